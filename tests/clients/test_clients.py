"""Every client against fresh bundles of all models: the numbers, the pixels and the errors."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import aeonnx
from aeonnx import images, manifest
from clients.proof.bundles import BUNDLES
from clients.proof.program import Program, lines_of, pixels_of, times_of
from tests.clients.damaged import REFUSED, WRONG, with_manifest
from tests.clients.manifests import accepted, damage

pytestmark = pytest.mark.clients

Copy = Callable[[str], Path]

LARGEST = 2**63 - 1


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Copy:
    """A copy of a bundle, to be changed."""

    def take(name: str) -> Path:
        return shutil.copytree(made / name, tmp_path / name)

    return take


@pytest.mark.parametrize("name", BUNDLES)
def test_every_golden_vector_holds(program: Program, made: Path, name: str) -> None:
    done = program("check", made / name)
    lines = lines_of(done.stdout)
    assert done.returncode in program.passes, done.stdout + done.stderr
    outputs = {
        (part, variant, output): stored.tolerance
        for part, variants in manifest.read(made / name).parts.items()
        for variant, graph in variants.items()
        for output, stored in graph.golden.outputs.items()
        if not program.lacks(variant)
    }
    assert {(line.part, line.variant, line.output) for line in lines} == set(outputs)
    for line in lines:
        tolerance = outputs[line.part, line.variant, line.output]
        assert tolerance is not None
        assert line.tolerance == pytest.approx(tolerance, rel=0.01)
        assert line.error <= program.language.slack * tolerance
        assert (line.verdict == "ok") == (line.error <= line.tolerance)
    last = done.stdout.splitlines()[-1]
    parts = len({line.part for line in lines})
    assert last.startswith(f"checked {len(lines)} outputs of {parts} parts with "), last


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_wrong_numbers_are_found(
    program: Program, copy: Copy, change: Callable[[Path], object]
) -> None:
    folder = copy("vae")
    change(folder)
    done = program("check", folder)
    assert done.returncode == 3, done.stdout + done.stderr
    slack = program.language.slack
    lines = [line for line in lines_of(done.stdout) if line.verdict == "WRONG"]
    wrong = [line for line in lines if not line.error <= slack * line.tolerance]
    assert ("decoder", "fp32", "reconstruction") in {
        (line.part, line.variant, line.output) for line in wrong
    }
    assert all(not line.error <= line.tolerance for line in lines)
    assert all(line.part == "decoder" for line in wrong)


def test_check_times_every_variant(program: Program, made: Path) -> None:
    done = program("check", made / "vae", "--time")
    assert done.returncode in program.passes, done.stderr
    parts = manifest.read(made / "vae").parts
    taken = times_of(done.stdout)
    assert set(taken) == {(part, name) for part, variants in parts.items() for name in variants}
    assert all(0 < time < 1e6 for time in taken.values())


@pytest.mark.parametrize(
    ("name", "seed", "count"),
    [
        ("vae", 7, 64),
        ("vae", LARGEST, 5),
        ("vae", 0, 1100),
        ("ae", 2**53 + 1, 1),
        ("vae-conv", 3, 10),
    ],
)
def test_a_seed_gives_the_pixels_that_python_gives(
    program: Program, made: Path, tmp_path: Path, name: str, seed: int, count: int
) -> None:
    picture = tmp_path / "grid.png"
    done = program("generate", made / name, "--seed", seed, "-n", count, picture)
    assert done.returncode == 0, done.stderr
    with aeonnx.load(made / name, providers=["cpu"]) as bundle:
        expected = images.grid(bundle.generate(count, seed=seed, pixels=True))
    if program.language.slack == 1 and count <= 64:
        np.testing.assert_array_equal(pixels_of(picture), expected)
    # Sums in another order round one pixel in 100,000 the other way.
    assert_close(pixels_of(picture), expected, share=1e-4)


def test_seed_0_and_64_images_are_what_generate_takes_by_itself(
    program: Program, made: Path, tmp_path: Path
) -> None:
    for target, options in (("a.png", ()), ("b.png", ("--seed", 0, "-n", 64))):
        assert program("generate", made / "vae", *options, tmp_path / target).returncode == 0
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.png"), pixels_of(tmp_path / "b.png"))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
@pytest.mark.parametrize("name", ["dae", "dae-conv"])
def test_denoises_as_python_does(
    program: Program, made: Path, tmp_path: Path, name: str, mode: str
) -> None:
    noisy, clean = tmp_path / "noisy.png", tmp_path / "clean.png"
    coloured(made / "noisy.png").convert(mode).save(noisy)
    done = program("denoise", made / name, noisy, clean)
    assert done.returncode == 0, done.stderr
    with aeonnx.load(made / name, providers=["cpu"]) as bundle:
        pixels = images.read_image(noisy, bundle.manifest.input_shape)[None]
        expected = images.grid(bundle.denoise(pixels))
    assert_close(pixels_of(clean), expected, share=0.01)


def assert_close(
    found: npt.NDArray[np.uint8], expected: npt.NDArray[np.uint8], share: float
) -> None:
    """Off by one level at most, in a share of the pixels."""
    assert found.shape == expected.shape
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= share


def coloured(path: Path) -> Image.Image:
    """The digit in a picture with every kind of colour and alpha."""
    grey = pixels_of(path).astype(int)
    across = np.arange(grey.shape[1]) * 9
    colours = [grey, (grey + across) % 256, 255 - grey // 2, 255 - across + 0 * grey]
    return Image.fromarray(np.stack(colours, axis=-1).astype(np.uint8), "RGBA")


@pytest.mark.parametrize(("change", "code", "text"), REFUSED.values(), ids=REFUSED)
def test_a_damaged_bundle_is_refused(
    program: Program, copy: Copy, change: Callable[[Path], object], code: int, text: str
) -> None:
    folder = copy("vae")
    change(folder)
    refused(program, code, text.format(folder=folder), "check", folder)


def test_an_engine_too_old_for_a_graph_is_refused(program: Program, copy: Copy) -> None:
    folder, newer = copy("vae"), {"min_onnxruntime": "99.0", "opset": 99}
    with_manifest(folder, lambda found: found["parts"]["decoder"]["fp32"].update(newer))
    refused(program, 4, "decoder.onnx needs ", "check", folder)


def refused(program: Program, code: int, text: str, *arguments: object) -> None:
    """It ends with this code and these words, and nothing else."""
    done = program(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr.startswith(f"Error: {text}")
    assert len(done.stderr.splitlines()) <= (8 if code == 2 else 1)


def test_what_is_not_there_is_named(program: Program, made: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    nowhere = tmp_path / "nowhere"
    refused(program, 1, f"no bundle at {nowhere}: it ", "check", nowhere)
    no_sampler = 'this bundle has no part "sampler", it has: decoder, denoiser, encoder, scorer.'
    refused(program, 1, no_sampler, "generate", made / "dae", target)
    no_denoiser = 'this bundle has no part "denoiser", it has: '
    refused(program, 1, no_denoiser, "denoise", made / "vae", made / "noisy.png", target)
    missing = tmp_path / "missing.png"
    refused(program, 1, f"{missing} ", "denoise", made / "dae", missing, target)
    assert not target.exists()


def test_a_picture_that_does_not_fit_is_refused(
    program: Program, made: Path, tmp_path: Path
) -> None:
    wide, broken, target = (tmp_path / name for name in ("wide.png", "broken.png", "out.png"))
    target.write_bytes(b"kept")
    Image.new("L", (30, 28)).save(wide)
    expected = f"{wide}: expected 28x28 pixels, got 30x28: resize it first"
    refused(program, 1, expected, "denoise", made / "dae", wide, target)
    whole = (made / "noisy.png").read_bytes()
    for data in (b"", b"no picture", whole[:60], whole[: len(whole) // 2]):
        broken.write_bytes(data)
        expected = f"{broken} is not a readable PNG image: "
        refused(program, 1, expected, "denoise", made / "dae", broken, target)
    assert target.read_bytes() == b"kept"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paint"],
        ["check"],
        ["check", "BUNDLE", "--often"],
        ["check", "BUNDLE", "more"],
        ["denoise", "BUNDLE", "in.png"],
        ["generate", "BUNDLE"],
        ["generate", "BUNDLE", "out.png", "--seed"],
        ["generate", "BUNDLE", "out.png", "--seed", "-1"],
        ["generate", "BUNDLE", "out.png", "--seed", str(2**63)],
        ["generate", "BUNDLE", "out.png", "--seed", "seven"],
        ["generate", "BUNDLE", "out.png", "-n", "0"],
        ["generate", "BUNDLE", "out.png", "-n", "1.5"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_end_with_the_usage(
    program: Program, made: Path, tmp_path: Path, arguments: list[str]
) -> None:
    values = {"BUNDLE": made / "vae", "out.png": tmp_path / "out.png"}
    done = program(*(values.get(item, item) for item in arguments))
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("Error: ")
    for verb in ("check BUNDLE [--time]", "denoise BUNDLE in.png out.png", "generate BUNDLE"):
        assert verb in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_result_that_cannot_be_written_is_an_error(
    program: Program, made: Path, tmp_path: Path
) -> None:
    target = tmp_path / "no folder" / "out.png"
    refused(program, 1, f"cannot write {target}", "generate", made / "vae", "-n", 1, target)
    (tmp_path / "taken").mkdir()
    done = program("generate", made / "vae", "-n", 1, tmp_path / "taken")
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_1000_damaged_manifests(program: Program, made: Path, tmp_path: Path) -> None:
    damage(made / "vae", tmp_path, 1000)
    done = program.fuzz(tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert not done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    texts = {path.stem: path.read_bytes() for path in (tmp_path / "manifests").iterdir()}
    assert set(said) == set(texts)
    assert len(texts) > 1000
    for name, text in texts.items():
        assert said[name] == "accepted" or len(said[name].removeprefix("refused: ")) > 5, name
        if accepted(tmp_path / "bundle", text):
            assert said[name] == "accepted", name
    assert said["whole"] == "accepted"
    by_hand = [name for name in texts if not name.startswith(("random", "whole"))]
    assert all(said[name].startswith("refused: ") for name in by_hand)


def test_a_field_that_it_does_not_know_is_no_reason_to_refuse(program: Program, copy: Copy) -> None:
    folder = copy("vae")
    with_manifest(folder, lambda found: found.update(later={"a": [1, None, math.pi]}))
    assert json.loads((folder / "manifest.json").read_text())["later"]
    assert program("check", folder).returncode in program.passes
