"""The commands that messages recommend for what a bundle lacks: each of them works."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from torch import nn

from aeonnx import export, load, train
from aeonnx.errors import BundleError, UsageError
from aeonnx.models import Part, image, latent

Cli = Callable[..., Result]


class Small(nn.Module):
    """An autoencoder of images of 8x8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
        self.decoder = nn.Sequential(nn.Linear(2, 64), nn.Unflatten(1, (1, 8, 8)), nn.Sigmoid())

    def parts(self) -> dict[str, Part]:
        x, y, z = image("x", (1, 8, 8), ""), image("y", (1, 8, 8), ""), latent("z", 2, "latent")
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (y,)),
        }


SOURCE = f"module:{__name__}:Small"


def replace_stderr(result: Result, text: str) -> Result:
    """The result with the beginning of its message alone."""
    result.stderr_bytes = text.encode()
    return result


def recommended(result: Result, **meant: object) -> list[str]:
    """The command in a message, with its placeholders filled in."""
    assert result.exit_code == 1, result.output
    command = result.stderr.rpartition("aeonnx export ")[2].partition(" (")[0]
    for name, value in meant.items():
        command = command.replace(name, str(value))
    return ["export", *shlex.split(command)]


def test_commands_for_a_model_of_aeonnx_work(aeonnx: Cli, run_of: Callable[..., Path]) -> None:
    Path("runs").mkdir()
    Path("runs/dae").symlink_to(run_of("dae"))
    there = "my bundle"
    assert aeonnx("export", "--model", "dae", "--part", "encoder", "-o", there).exit_code == 0
    np.save("z.npy", np.zeros((1, 32), np.float32))
    lacking = aeonnx("decode", there, "z.npy", "-o", "x.npy")
    assert "no part 'decoder', it has: encoder. Add it with: aeonnx export" in lacking.stderr
    assert "--from" not in lacking.stderr
    assert aeonnx(*recommended(lacking)).exit_code == 0
    lacking = aeonnx("generate", there, "-n", 1, "-o", "x.npy")
    assert "this dae has no prior over its latents" in lacking.stderr
    done = aeonnx(*recommended(lacking))
    assert done.exit_code == 0, done.output
    assert aeonnx("generate", there, "-n", 1, "-o", "x.npy").exit_code == 0


def test_a_part_that_a_model_never_has_is_told_with_the_models_that_have_it(
    aeonnx: Cli, bundle_of: Callable[..., Path]
) -> None:
    lacking = aeonnx("denoise", bundle_of(), "x.npy", "-o", "y.npy")
    assert "A vae has none; models of aeonnx that have one: dae, sdae" in lacking.stderr
    assert "aeonnx export" not in lacking.stderr


def test_an_architecture_with_fewer_parts_is_not_told_to_export_others(
    aeonnx: Cli,
) -> None:
    Path("photos").mkdir()
    for name in "abc":
        Image.new("L", (128, 128), 90).save(f"photos/{name}.png")
    train("dae", "run", arch="unet", data="photos", epochs=1, hidden=(4, 4), device="cpu")
    export("dae", "b", checkpoint="run")
    for verb, part in (("score", "scorer"), ("encode", "encoder")):
        lacking = aeonnx(verb, "b", "photos", "-o", "y.npy")
        assert lacking.exit_code == 1, lacking.output
        assert f"no part {part!r}, it has: denoiser. A dae with --arch unet has none; " in (
            lacking.stderr
        )
        assert "aeonnx export" not in lacking.stderr
    lacking = aeonnx("generate", "b", "-n", 1, "-o", "y.npy")
    assert "no prior over its latents to generate from: the model has no decoder" in lacking.stderr
    assert "aeonnx export" not in lacking.stderr
    with load("b") as bundle, pytest.raises(BundleError, match="None can be made: the model has"):
        bundle.run("sampler", seed=np.array([1]), index=np.arange(2))

    export_run = ("export", "--model", "dae", "--checkpoint", "run", "-o", "c")
    for options, told in (
        (("--part", "scorer"), "unknown part of dae 'scorer'. Known: denoiser."),
        (("--score", "dssim"), "--score dssim is for the part scorer, and this model has denoiser"),
        (("--prior", "fitted"), "--prior fitted: the model has no decoder"),
    ):
        refused = aeonnx(*export_run, *options)
        assert refused.exit_code == 2, refused.output
        assert told in refused.stderr
    with pytest.raises(UsageError, match="--score nll is for the part scorer"):
        export("dae", "c", checkpoint="run", score="nll")
    assert not Path("c").exists()


@pytest.mark.parametrize(
    ("model", "options", "part"),
    [("ae", ("--score", "dssim"), "scorer"), ("dae", ("--ensemble", 8), "denoiser")],
)
def test_an_option_of_a_part_that_is_not_exported_is_refused(
    aeonnx: Cli, run_of: Callable[..., Path], model: str, options: tuple[str, ...], part: str
) -> None:
    some = ("export", "-m", model, "--checkpoint", run_of(model), "--part", "encoder", "-o", "b")
    refused = aeonnx(*some, *options)
    assert refused.exit_code == 2, refused.output
    assert f"is for the part {part}, which is not exported: add --part {part}" in refused.stderr


def test_commands_for_a_model_from_elsewhere_work(aeonnx: Cli) -> None:
    first = ("--model", "mine", "--from", SOURCE, "--part", "encoder", "-o", "there")
    assert aeonnx("export", *first).exit_code == 0
    inputs = np.random.default_rng(0).random((64, 1, 8, 8), np.float32)
    np.save("x.npy", inputs)
    np.save("z.npy", np.zeros((1, 2), np.float32))
    meant = {"SOURCE": SOURCE, "INPUTS.npy": "x.npy"}
    lacking = aeonnx("decode", "there", "z.npy", "-o", "y.npy")
    assert "If mine (Small) has one, add it with: aeonnx export --model mine --from SOURCE" in (
        lacking.stderr
    )
    assert "SOURCE is what the bundle was exported from" in lacking.stderr
    assert aeonnx(*recommended(lacking, **meant)).exit_code == 0
    assert aeonnx("decode", "there", "z.npy", "-o", "y.npy").exit_code == 0

    lacking = aeonnx("generate", "there", "-n", 2, "-o", "made.npy")
    assert "mine (Small) has no prior over its latents" in lacking.stderr
    done = aeonnx(*recommended(lacking, **meant))
    assert done.exit_code == 0, done.output
    assert aeonnx("generate", "there", "-n", 2, "-o", "made.npy").exit_code == 0

    lacking = aeonnx("encode", "there", "x.npy", "-o", "y.npy", "--precision", "fp16", "--force")
    assert "encoder is not in this bundle in fp16, but in fp32" in lacking.stderr
    assert "--part encoder --precision fp16 --calibration x.npy" in " ".join(
        recommended(lacking, **meant)
    )

    lacking = aeonnx("classify", "there", "x.npy", "-o", "y.npy")
    assert "mine (Small) learns no classes, so it cannot classify: use an sdae" in lacking.stderr


@pytest.mark.parametrize("prior", ["standard", "fitted"])
def test_both_priors_that_are_recommended_can_be_had_for_rows(aeonnx: Cli, prior: str) -> None:
    source = "module:tests.modules:Rows"
    rows = ("export", "--model", "rows", "--from", source, "-o", "there")
    assert aeonnx(*rows).exit_code == 0
    np.save("x.npy", np.random.default_rng(0).random((64, 8), np.float32))
    lacking = aeonnx("generate", "there", "-n", 2, "-o", "made.npy")
    assert "decode latents of your own, draw from N(0, I) after: aeonnx export" in lacking.stderr
    if prior == "standard":
        lacking = replace_stderr(lacking, lacking.stderr.partition(", or fit one")[0])
    done = aeonnx(*recommended(lacking, **{"SOURCE": source, "INPUTS.npy": "x.npy"}))
    assert done.exit_code == 0, done.output
    assert aeonnx("generate", "there", "-n", 2, "-o", "made.npy").exit_code == 0


def test_a_part_of_code_from_elsewhere_is_not_recommended(aeonnx: Cli) -> None:
    rows = ("export", "--model", "rows", "--from", "module:tests.modules:Rows", "-o", "there")
    assert aeonnx(*rows).exit_code == 0
    lacking = aeonnx("score", "there", "x.npy", "-o", "y.npy")
    assert "A model from elsewhere has one only if its method parts() declares it" in lacking.stderr
    assert "aeonnx export" not in lacking.stderr
    with load("there") as bundle, pytest.raises(BundleError, match="None can be made: it outputs"):
        bundle.run("sampler", seed=np.array([1]), index=np.arange(2))


def test_modules_without_a_source_are_told_of_the_function(aeonnx: Cli) -> None:
    x = np.zeros((1, 8), np.float32)
    export(encoder=nn.Linear(8, 2), example=x, model="plain", output="there")
    lacking = aeonnx("decode", "there", "z.npy", "-o", "y.npy")
    assert "export again: aeonnx.export(..., decoder=MODULE)" in lacking.stderr
    against = aeonnx("verify", "there", "--against", "runs/plain")
    assert against.exit_code == 2
    assert "its graphs were compared with them at the export" in against.stderr


def test_a_checkpoint_is_not_asked_for_a_model_from_elsewhere(aeonnx: Cli) -> None:
    rows = ("export", "--model", "rows", "--from", "module:tests.modules:Rows", "-o", "there")
    assert aeonnx(*rows).exit_code == 0
    Path("x").mkdir()
    for command in (("verify", "there", "--against", "x"), ("bench", "there", "--checkpoint", "x")):
        result = aeonnx(*command)
        assert result.exit_code == 2, result.output
        assert "this one is of rows (Rows): give what it was exported from as --from" in (
            result.stderr
        )


@pytest.mark.parametrize("name", ["vae", "dae"])
def test_another_class_under_the_name_of_a_model_of_aeonnx_is_from_elsewhere(
    aeonnx: Cli, name: str
) -> None:
    source = ("--model", name, "--from", SOURCE, "--part", "encoder")
    assert aeonnx("export", *source, "-o", "there").exit_code == 0
    np.save("z.npy", np.zeros((1, 2), np.float32))
    assert "--from SOURCE" in aeonnx("decode", "there", "z.npy", "-o", "y.npy").stderr
