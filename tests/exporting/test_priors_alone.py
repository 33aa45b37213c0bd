"""Priors of decoders of images of any size, and of rows, that no sampler can be made of."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from torch import nn

import aeonnx as package
from aeonnx.bundle import TensorSpec
from aeonnx.errors import BundleError, UsageError
from aeonnx.models import Part
from aeonnx.runtime import Bundle

Cli = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("few_rows")


def encoder() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(1, 2, 4, stride=4)


def decoder() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.ConvTranspose2d(2, 1, 4, stride=4), nn.Sigmoid())


@pytest.fixture
def pictures(aeonnx: Cli) -> np.ndarray[Any, Any]:  # noqa: ARG001  # in the folder of its commands
    x = np.random.default_rng(0).beta(0.5, 0.5, (64, 1, 16, 16)).astype(np.float32)
    np.save("x.npy", x)
    return x


@pytest.fixture
def any_size(pictures: np.ndarray[Any, Any]) -> Iterator[Callable[..., Bundle]]:
    """Options of the export -> a bundle of an autoencoder of pictures of any size."""
    opened: list[Bundle] = []

    def export(**options: Any) -> Bundle:
        package.export(
            encoder=encoder(), decoder=decoder(), example=pictures[:1], model="any", output="b",
            range=(0, 1), **options,
        )  # fmt: skip
        opened.append(package.load("b"))
        return opened[-1]

    yield export
    for bundle in opened:
        bundle.close()


def test_a_decoder_of_latents_of_any_size_generates_from_a_standard_normal(
    aeonnx: Cli, any_size: Callable[..., Bundle]
) -> None:
    bundle = any_size(prior="standard")
    assert bundle.parts == ("decoder", "encoder", "sampler")
    z = bundle.draw_latents(40, seed=5, size=(64, 48))
    assert z.shape == (40, 2, 16, 12)
    assert (z.mean(), z.std()) == pytest.approx((0, 1), abs=0.02)
    images = bundle.generate(40, seed=5, size=(64, 48))
    np.testing.assert_array_equal(images, bundle.decode(z))
    again = bundle.generate(3, seed=5, first=2, size=(64, 48))
    np.testing.assert_allclose(again, images[2:5], atol=1e-6)
    made = aeonnx("generate", "b", "--size", "64x48", "-n", 2, "--seed", 5, "-o", "made.npy")
    assert made.exit_code == 0, made.output
    np.testing.assert_allclose(np.load("made.npy"), images[:2], atol=1e-6)
    wrong = aeonnx("generate", "b", "--size", "64x48x3", "-n", 2, "-o", "no.npy")
    assert wrong.stderr == "Error: size: expected 2 numbers, height and width, got (64, 48, 3)\n"


def test_a_prior_is_fitted_to_each_place_of_latents_of_any_size(
    any_size: Callable[..., Bundle], pictures: np.ndarray[Any, Any]
) -> None:
    bundle = any_size(prior="fitted", calibration="x.npy", temperature=0.5)
    places = bundle.encode(pictures).transpose(1, 0, 2, 3).reshape(2, -1)
    drawn = bundle.draw_latents(100, size=(32, 64)).transpose(1, 0, 2, 3).reshape(2, -1)
    deviations = np.sqrt(np.diag(np.cov(places)))
    np.testing.assert_allclose(drawn.mean(1), places.mean(1), atol=0.05 * deviations.max())
    np.testing.assert_allclose(np.cov(drawn), np.cov(places) / 4, atol=0.02 * deviations.max() ** 2)


def test_the_note_says_that_a_model_was_not_trained_with_the_prior(aeonnx: Cli) -> None:
    source = ("--from", "module:tests.modules:Rows", "-m", "rows", "-o", "rows")
    done = aeonnx("export", *source, "--prior", "standard")
    assert done.exit_code == 0, done.output
    assert "rows does not say that it was trained to decode N(0, I)" in done.stdout
    assert "sampler left out: it outputs pixels, and the decoder's y is a vector" in done.stdout
    assert "aeonnx generate rows -n 64 --seed 7 -o made.npy" in done.stdout
    assert aeonnx("generate", "rows", "-n", 3, "-o", "made.npy").exit_code == 0
    assert np.load("made.npy").shape == (3, 8)


def test_a_decoder_alone_generates(aeonnx: Cli) -> None:
    z = np.zeros((1, 2, 4, 4), np.float32)
    with pytest.raises(UsageError, match="no encoder whose latents .*: give --prior standard"):
        package.export(
            decoder=decoder(), example=z, model="alone", output="alone", prior="fitted",
            calibration="x.npy",
        )  # fmt: skip
    package.export(decoder=decoder(), example=z, model="alone", output="alone")
    lacking = aeonnx("generate", "alone", "-n", 2, "-o", "made.npy")
    assert 'export again with aeonnx.export(..., prior="standard") to draw from' in lacking.stderr
    package.export(decoder=decoder(), example=z, model="alone", output="alone", prior="standard")
    assert aeonnx("generate", "alone", "-n", 2, "-o", "made.npy").exit_code == 0
    assert np.load("made.npy").shape == (2, 1, 16, 16)


class Codes(nn.Module):
    """A decoder of the numbers of codes, which no normal numbers are."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Embedding(5, 8)

    def parts(self) -> dict[str, Part]:
        codes = TensorSpec("codes", ("batch", 4), "int64", (0, 4), kind="codes")
        return {"decoder": Part(self.decoder, (codes,), (TensorSpec("y", ("batch", 4, 8)),))}


@pytest.mark.parametrize(
    ("where", "options", "text"),
    [
        (
            __name__ + ":Codes",
            ("--prior", "standard"),
            "and the decoder takes codes: int64 [batch, 4]",
        ),
        (
            "tests.modules:Rows",
            ("--prior", "standard", "--part", "encoder"),
            "are for the decoder and the sampler, and neither is exported: add --part decoder",
        ),
        ("tests.modules:Rows", ("--temperature", "0.5"), "fit one with --prior fitted"),
        ("tests.modules:Rows", ("--part", "nosuch"), "Known: decoder, encoder."),
    ],
)
def test_priors_that_nothing_draws_from_are_refused(
    aeonnx: Cli, where: str, options: tuple[str, ...], text: str
) -> None:
    source = ("--from", f"module:{where}", "-m", "m", "-o", "m")
    result = aeonnx("export", *source, *options)
    assert result.exit_code == 2, result.output
    assert text in result.stderr
    assert not Path("m").exists()


def test_a_sampler_and_the_manifest_have_one_prior(
    aeonnx: Cli, run_of: Callable[..., Path]
) -> None:
    options = ("export", "-m", "vae", "--checkpoint", run_of(), "-o", "b", "--part", "decoder")
    assert aeonnx(*options, "--part", "sampler").exit_code == 0
    result = aeonnx(*options, "--prior", "fitted", "--opset", 17)
    assert result.exit_code == BundleError("").exit_code
    assert "b has a sampler, whose prior would be replaced" in result.stderr


@pytest.mark.parametrize("prior", ["standard", "fitted"])
def test_the_sampler_that_is_recommended_draws_from_the_prior_of_the_bundle(
    aeonnx: Cli, run_of: Callable[..., Path], prior: str
) -> None:
    Path("runs").mkdir()
    Path("runs/vae").symlink_to(run_of("vae"))
    first = ("export", "-m", "vae", "-o", "b", "--part", "decoder", "--prior", prior)
    assert aeonnx(*first, "--opset", 17).exit_code == 0
    expected = package.load("b").draw_latents(3, seed=1)
    with pytest.raises(BundleError, match="no part 'sampler'.* Add it with: aeonnx ") as told:
        package.load("b").run("sampler", seed=np.array([1]), index=np.arange(3))
    command = str(told.value).rpartition("aeonnx ")[2]
    assert aeonnx(*shlex.split(command)).exit_code == 0
    drawn = package.load("b").run("sampler", seed=np.array([1]), index=np.arange(3))["z"]
    np.testing.assert_allclose(drawn, expected, rtol=1e-6, atol=1e-6)


def test_a_picture_is_no_calibration_of_rows(aeonnx: Cli) -> None:
    Image.new("L", (8, 8)).save("x.png")
    source = ("--from", "module:tests.modules:Rows", "-m", "m", "-o", "m")
    result = aeonnx("export", *source, "--prior", "fitted", "--calibration", "x.png")
    assert result.exit_code == 1
    assert result.stderr.endswith(
        "Error: x.png is a picture (PNG): expected rows of x, a .npy or .npz array of floats "
        "[n, 8]\n"
    )
