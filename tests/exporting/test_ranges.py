"""Images in any range: pixels, pictures, samples, scores and fewer bits."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

import aeonnx as aeonnx_package
from aeonnx.bundle import TensorSpec
from aeonnx.io.pixels import from_pixels, to_pixels
from aeonnx.runtime import verify
from aeonnx.runtime.compare import malformed

MODULE = """
import torch
from torch import nn

from aeonnx.models import Part, EncodeDecode, image, latent, scorer


class Signed(nn.Module):
    def __init__(self, bounds=(-1.0, 1.0), channels=1, out=None, gain=1.0):
        super().__init__()
        torch.manual_seed(1)
        size = channels * 16
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, 32), nn.ReLU(), nn.Linear(32, 6))
        self.decoder = nn.Sequential(
            nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, size), Ranged(*(bounds or (-1, 1)), gain),
            nn.Unflatten(1, (channels, 4, 4)),
        )
        self.bounds, self.shape = bounds, (channels, 4, 4)

    def parts(self):
        x = image("x", self.shape, "images", range=self.bounds)
        y, z = image("y", self.shape, "images", range=self.bounds), latent("z", 6, "latent")
        whole = Part(EncodeDecode(self.encoder, self.decoder), (x,), (y,))
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (y,)),
            "reconstructor": whole,
            "scorer": scorer(whole),
        }


class Ranged(nn.Module):
    def __init__(self, low, high, gain):
        super().__init__()
        self.middle, self.half, self.gain = (low + high) / 2, (high - low) / 2, gain

    def forward(self, x):
        return self.middle + self.half * torch.tanh(self.gain * x)


def signed():
    return Signed()


def wide():
    return Signed((-20.0, 300.0))


def saturated():
    return Signed(gain=1e3)


def unranged():
    return Signed(None)


def two_channels():
    return Signed(channels=2)


def half():
    model = Signed()
    declared = model.parts()
    y = image("y", model.shape, "images", range=None)
    parts = {name: declared[name] for name in ("encoder", "decoder")}
    whole = declared["reconstructor"]
    parts["reconstructor"] = Part(whole.module, whole.inputs, (y,))
    model.parts = lambda: parts
    return model
"""


@pytest.fixture
def ranged(aeonnx: Callable[..., Result]) -> Iterator[Callable[..., Result]]:
    """`aeonnx export` of one of the module's factories into b, with pixels to calibrate with."""
    Path("ranges.py").write_text(MODULE)
    rng = np.random.default_rng(0)

    def export(factory: str, *options: str, channels: int = 1) -> Result:
        rows = rng.integers(0, 256, (64, channels, 4, 4), np.uint8)
        np.save("pixels.npy", rows)
        return aeonnx(
            "export", "--from", f"module:ranges:{factory}", "-o", "b",
            "--calibration", "pixels.npy", *options,
        )  # fmt: skip

    yield export
    sys.modules.pop("ranges", None)


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize(
    ("factory", "bounds"),
    [("signed", (-1.0, 1.0)), pytest.param("wide", (-20.0, 300.0), marks=pytest.mark.slow)],
)
def test_every_variant_of_images_in_another_range(
    ranged: Callable[..., Result],
    aeonnx: Callable[..., Result],
    factory: str,
    bounds: tuple[float, float],
) -> None:
    result = ranged(
        factory, "--io", "uint8", "--precision", "fp16", "--precision", "int8", "--prior", "fitted"
    )
    assert result.exit_code == 0, result.stderr
    bundle = aeonnx_package.load("b")
    assert verify(bundle).passed
    pixels = np.load("pixels.npy")
    x = from_pixels(pixels, bounds)
    floats = bundle.reconstruct(x)
    assert floats.min() < (bounds[0] + bounds[1]) / 2
    np.testing.assert_array_equal(bundle.reconstruct(pixels), floats)
    for precision in ("fp32", "fp16", "int8"):
        given = bundle.session("reconstructor", f"{precision}-uint8").run({"x": pixels})["y"]
        plain = bundle.session("reconstructor", precision).run({"x": x})["y"]
        np.testing.assert_array_equal(given, to_pixels(plain, bounds))
        assert len(np.unique(given)) > 20  # and not clipped to black
    np.testing.assert_array_equal(
        bundle.reconstruct(pixels, pixels=True), to_pixels(floats, bounds)
    )
    z = bundle.encode(x)
    np.testing.assert_array_equal(
        bundle.decode(z, pixels=True), to_pixels(bundle.decode(z), bounds)
    )
    # The sampler's pixels, and what they stand for.
    drawn = bundle.run("sampler", seed=np.array([3]), index=np.arange(8))["image"]
    np.testing.assert_array_equal(drawn, bundle.generate(8, 3, pixels=True))
    np.testing.assert_array_equal(drawn, to_pixels(bundle.generate(8, 3), bounds))
    # Scores over 1, with a range that says so.
    error = bundle.run("scorer", x=x)["error"]
    np.testing.assert_allclose(error, np.square(x - floats).mean((1, 2, 3)), rtol=1e-4)
    widest = (bounds[1] - bounds[0]) ** 2
    assert bundle.variant("scorer").outputs[-1].range == (0.0, widest)
    measured = bundle.variant("reconstructor", "int8").quality
    assert measured is not None
    assert [item.metric for item in measured["y"]] == ["snr", "psnr"]
    # Pictures are the same pixels, from floats in the range or from pixels.
    np.save("floats.npy", x[:1])
    for source in ("floats.npy", "one.npy"):
        np.save("one.npy", pixels[:1])
        done = aeonnx("reconstruct", "b", source, "-o", "out.png", "--force")
        assert done.exit_code == 0, done.stderr
        np.testing.assert_array_equal(
            np.asarray(Image.open("out.png")), to_pixels(floats, bounds)[0, 0]
        )
    np.save("outside.npy", x[:1] + np.float32(bounds[1] - bounds[0]))
    refused = aeonnx("encode", "b", "outside.npy", "-o", "z.npy")
    assert refused.exit_code == 1
    shown = f"expected floats in [{bounds[0]:g}, {bounds[1]:g}]"
    assert shown in refused.stderr
    page = aeonnx("inspect", "b", "--html", "page.html")
    assert page.exit_code == 0, page.stderr


def test_the_last_place_of_tanh_is_no_fault(ranged: Callable[..., Result]) -> None:
    result = ranged("saturated", "--part", "decoder")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (0.0, 1.0), (-20.0, 300.0)])
def test_rounding_may_leave_a_range_by_four_last_places(bounds: tuple[float, float]) -> None:
    spec = TensorSpec("y", ("batch", 2), range=bounds)
    place = float(np.spacing(np.float32(max(map(abs, bounds)))))
    for places, faults in ((0, 0), (4, 0), (6, 1)):
        for end, sign in zip(bounds, (-1, 1), strict=True):
            value = np.full((1, 2), np.mean(bounds), np.float32)
            value[0, 0] = np.float32(end + sign * places * place)
            found = malformed([spec], {"batch": 1}, {"y": value})
            assert len(found) == faults, (places, end)
            if found:
                assert f"expected values in [{bounds[0]:g}, {bounds[1]:g}], got " in found[0]
                assert f"{value[0, 0]:.9g}" in found[0]
                assert f"{value[0, 0]:.9g}" not in (f"{bounds[0]:.9g}", f"{bounds[1]:.9g}")


@pytest.mark.parametrize(
    ("factory", "channels", "text"),
    [
        ("unranged", 1, "no input or output of encoder can be pixels: x has no range "
         "[low, high] whose width is a float32 above 0; z is not float32 images [batch, C, H, W]"),
        ("two_channels", 2, "x has 2 channels, expected 1, 3 or 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_pixels_is_refused_before_the_work(
    ranged: Callable[..., Result], factory: str, channels: int, text: str
) -> None:
    result = ranged(factory, "--io", "uint8", channels=channels)
    assert result.exit_code == 2
    assert text in result.stderr
    assert "choose other parts with --part, or leave --io out" in result.stderr
    assert not Path("b").exists()


def test_a_tensor_without_a_range_stays_floats_beside_one_that_has_it(
    ranged: Callable[..., Result],
) -> None:
    result = ranged("half", "--io", "uint8", "--part", "reconstructor")
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(Path("b/manifest.json").read_text())
    variant = document["parts"]["reconstructor"]["fp32-uint8"]
    assert [spec["dtype"] for spec in (*variant["inputs"], *variant["outputs"])] == [
        "uint8", "float32",
    ]  # fmt: skip


def test_without_a_range_there_is_no_sampler(ranged: Callable[..., Result]) -> None:
    result = ranged("unranged", "--part", "sampler", "--prior", "fitted")
    assert result.exit_code == 2
    assert "no sampler: it outputs pixels, and the decoder's y has no range [low, high]" in (
        result.stderr
    )
