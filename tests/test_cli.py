"""The command line as a person uses it: files in, files out, errors in words."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

import aeonnx as package
from aeonnx.runtime import Bundle
from tests.support import graph_file

Cli = Callable[..., Result]
Maker = Callable[..., Path]


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    path = tmp_path / "digits.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), dtype=np.uint8))
    return path


def test_from_training_to_pictures(aeonnx: Cli) -> None:
    """The way of the README, with the defaults that meet."""
    result = aeonnx("train", "-m", "vae", "--epochs", 1, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "epoch 1/1  train  loss" in result.stderr
    assert "aeonnx export --model vae\n" in result.stdout
    result = aeonnx("export", "--model", "vae", "--part", "decoder")
    assert result.exit_code == 0, result.output
    assert "✓" in result.stdout
    assert "aeonnx generate dist/vae -n 64 --seed 7 -o grid.png" in result.stdout
    result = aeonnx("generate", "dist/vae", "-n", 64, "--seed", 7, "-o", "grid.png")
    assert result.stdout == "grid.png: uint8 [64, 1, 28, 28] on CPUExecutionProvider\n"
    with Image.open("grid.png") as picture:
        assert picture.size == (8 * 30 + 2, 8 * 30 + 2)
    result = aeonnx("verify", "dist/vae")
    assert result.exit_code == 0, result.output


def test_train_json(aeonnx: Cli) -> None:
    options = ("--corruption", "masking", "--corruption-level", 0.2, "--device", "cpu")
    result = aeonnx("train", "-m", "dae", "--epochs", 1, *options, "-o", "my/run", "--json")
    document = json.loads(result.stdout)
    assert document["training"]["options"] == {"corruption": "masking", "corruption_level": 0.2}
    assert set(document["training"]["metrics"]) == {"mse", "psnr", "psnr_corrupted"}
    assert all(Path(path).is_file() for path in document["files"])


def test_export_json(aeonnx: Cli, run_of: Maker) -> None:
    parts = ("--part", "decoder", "--part", "encoder")
    result = aeonnx("export", "-m", "vae", *parts, "--checkpoint", run_of(), "-o", "b", "--json")
    document = json.loads(result.stdout)
    assert list(document["parts"]) == ["encoder", "decoder"]
    assert document["parity"]["passed"]
    assert document["parts"]["decoder"]["fp32"]["opset"] == 18


def test_inspect(aeonnx: Cli, bundle_of: Maker) -> None:
    result = aeonnx("inspect", bundle_of())
    for text in (
        "vae (mlp)",
        "mnist-sample",
        "float32 [batch, 1, 28, 28]",
        graph_file(bundle_of(), "decoder").name,
        "logvar",
    ):
        assert text in result.stdout
    document = json.loads(aeonnx("inspect", bundle_of(), "--json").stdout)
    assert document == json.loads((bundle_of() / "manifest.json").read_text())


def test_encode_then_decode_is_reconstruct(aeonnx: Cli, bundle_of: Maker, digits: Path) -> None:
    assert aeonnx("encode", bundle_of(), digits, "-o", "z.npy").exit_code == 0
    assert np.load("z.npy").shape == (5, 20)
    assert aeonnx("decode", bundle_of(), "z.npy", "-o", "decoded.npy").exit_code == 0
    assert aeonnx("reconstruct", bundle_of(), digits, "-o", "whole.npy").exit_code == 0
    np.testing.assert_allclose(np.load("decoded.npy"), np.load("whole.npy"), atol=1e-6)


def test_denoise_one_picture_to_one_picture(aeonnx: Cli, bundle_of: Maker, digits: Path) -> None:
    noisy = np.load(digits)[0, 0]
    Image.fromarray(noisy).save("noisy.png")
    result = aeonnx("denoise", bundle_of("dae"), "noisy.png", "-o", "clean.png")
    assert result.exit_code == 0, result.output
    expected = package.load(bundle_of("dae")).denoise(noisy[None, None])
    with Image.open("clean.png") as picture:
        np.testing.assert_array_equal(picture, (expected[0, 0] * 255).round().astype(np.uint8))


def test_a_folder_of_pictures(aeonnx: Cli, bundle_of: Maker, digits: Path) -> None:
    Path("in").mkdir()
    for i, digit in enumerate(np.load(digits)):
        Image.fromarray(digit[0]).save(f"in/{i}.png")
    assert aeonnx("encode", bundle_of(), "in", "-o", "folder.npy").exit_code == 0
    assert aeonnx("encode", bundle_of(), digits, "-o", "array.npy").exit_code == 0
    np.testing.assert_array_equal(np.load("folder.npy"), np.load("array.npy"))


def test_samples_do_not_depend_on_how_many(aeonnx: Cli, bundle_of: Maker) -> None:
    generate = ("generate", bundle_of(), "--seed", 5)
    aeonnx(*generate, "-n", 6, "-o", "six.npy")
    aeonnx(*generate, "-n", 2, "--first", 4, "-o", "last.npy")
    np.testing.assert_allclose(np.load("six.npy")[4:], np.load("last.npy"), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["trian"], 2, "no such command 'trian'. Did you mean 'train'?"),
        (["train", "-m", "vea"], 2, "unknown model 'vea'. Did you mean 'vae'?"),
        (["train"], 2, "Missing option '-m' / '--model', such as vae; or give -o RUN"),
        (["train", "-m", "vae", "--arch", "cov"], 2, "unknown architecture of vae 'cov'. Did you"),
        (
            ["train", "-m", "vae", "--data", "mnits"],
            2,
            "unknown data set 'mnits'. Did you mean 'mn",
        ),
        (["train", "-m", "vae", "--corruption", "masking"], 2, "vae takes no --corruption"),
        (["train", "-m", "dae", "--corruption", "mask"], 2, "unknown corruption 'mask'. Did you"),
        (["train", "-m", "vae", "--device", "gpu"], 2, "unknown device 'gpu'. "),
        (["train", "-m", "vae", "--epoch", "3"], 2, "'--epochs'"),
        (["train", "-m", "vae", "--epochs", "0"], 2, "epochs: expected 1 or more, got 0"),
        (
            ["export", "-m", "vae"],
            1,
            "no checkpoint at runs/vae. Train one with: aeonnx train",
        ),
        (["export", "-m", "vae", "--opset", "99"], 2, "--opset: expected 13 to 22, got 99"),
        (["verify", "dist/vae"], 1, "no bundle at dist/vae: it is not a folder. Make one with"),
        (["inspect", "dist/vae"], 1, "no bundle at dist/vae"),
        (["generate", "dist/vae", "-o", "x.png"], 1, "no bundle at dist/vae"),
        (["generate", "dist/vae"], 2, "Missing option '-o' / '--output'"),
    ],
)
def test_mistakes_are_told_in_words(
    aeonnx: Cli, arguments: list[str], code: int, text: str
) -> None:
    result = aeonnx(*arguments)
    assert text in result.stderr
    assert result.exit_code == code
    assert "Traceback" not in result.output
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["encode", "{b}", "none.png", "-o", "z.npy"], 1, "none.png does not exist"),
        (["encode", "{b}", "text.png", "-o", "z.npy"], 1, "is not a readable PNG, JPEG, BMP"),
        (
            ["encode", "{b}", "digits.npy", "-o", "z.png"],
            2,
            "mu is of the kind latent, not an image",
        ),
        (
            ["decode", "{b}", "digits.npy", "-o", "x.png"],
            1,
            "digits.npy: expected latents, a .npy or .npz array of floats [n, 20], got uint8",
        ),
        (
            ["decode", "{b}", "text.png", "-o", "x.png"],
            1,
            "text.png is not a readable array: it is not in numpy's format",
        ),
        (["denoise", "{b}", "digits.npy", "-o", "x.png"], 1, "has no part 'denoiser'"),
        (["generate", "{b}", "-o", "text.png"], 1, "text.png exists already: pass --force"),
        (["generate", "{b}", "-n", "0", "-o", "x.png"], 2, "'-n': 0 is not in the range"),
        (["generate", "{b}", "--seed", "-1", "-o", "x.png"], 2, "'--seed': -1 is not in the range"),
        (
            ["generate", "{b}", "-o", "x.gif"],
            2,
            "expected *.png, *.jpg, *.webp or *.tif (one picture), *.npy or *.npz (arrays)",
        ),
        (["generate", "{b}", "-o", "x.png", "--provider", "cdua"], 2, "Did you mean 'cuda'?"),
        (
            ["export", "-m", "vae", "--part", "sampler2", "--checkpoint", "{r}"],
            2,
            "unknown part of",
        ),
        (["export", "-m", "ae", "--checkpoint", "{r}"], 1, "holds a checkpoint of 'vae', not of"),
        (["verify", "{b}", "--against", "nowhere"], 1, "no checkpoint at nowhere"),
    ],
)
def test_bad_input_is_told_in_words_and_changes_nothing(
    aeonnx: Cli,
    digits: Path,
    bundle_of: Maker,
    run_of: Maker,
    arguments: list[str],
    code: int,
    text: str,
) -> None:
    Path("text.png").write_text("hello")
    words = [word.format(b=bundle_of(), r=run_of()) for word in arguments]
    result = aeonnx(*words)
    assert text in result.stderr
    assert result.exit_code == code
    assert "Traceback" not in result.output
    assert Path("text.png").read_text() == "hello"
    assert {path.name for path in Path().iterdir()} == {digits.name, "text.png"}


def test_force_replaces(aeonnx: Cli, bundle_of: Maker) -> None:
    Path("x.npy").write_text("old")
    assert aeonnx("generate", bundle_of(), "-n", 1, "-o", "x.npy", "--force").exit_code == 0
    assert np.load("x.npy").shape == (1, 1, 28, 28)


def test_parity_failure_exits_with_3(
    aeonnx: Cli, run_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate that no graph can pass."""
    monkeypatch.setattr("aeonnx.exporting.verify.tolerance.FACTOR", 0.0)
    result = aeonnx("export", "-m", "vae", "--part", "decoder", "--checkpoint", run_of(), "-o", "b")
    assert result.exit_code == 3
    assert "Error: graph and torch differ, nothing was written:" in result.stderr
    assert "decoder.reconstruction (fp32): max abs" in result.stderr
    assert "; it would pass at" in result.stderr
    assert not Path("b").exists()


def test_ctrl_c_exits_with_130(
    aeonnx: Cli, bundle_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bundle, "decode", interrupted)
    result = aeonnx("generate", bundle_of(), "-o", "x.png")
    assert result.exit_code == 130
    assert not Path("x.png").exists()


def test_version(aeonnx: Cli) -> None:
    assert aeonnx("--version").output == f"aeonnx {package.__version__}\n"


def test_recommended_commands_work_for_any_name(aeonnx: Cli, run_of: Maker) -> None:
    """Also where a shell would take a name for several words, or for a command."""
    folder = Path("my b/x;y")
    words = ["--checkpoint", run_of(), "--part", "decoder", "-o", folder]
    said = aeonnx("export", "-m", "vae", *words).stdout
    line = next(line for line in said.splitlines() if "aeonnx verify" in line)
    assert shlex.split(line) == ["aeonnx", "verify", "my b/x;y"]
    assert aeonnx(*shlex.split(line)[1:]).exit_code == 0
