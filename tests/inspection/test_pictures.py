"""What the page of `aeonnx inspect --html` shows of tensors that are no pictures."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import aeonnx
from aeonnx.bundle import TensorSpec
from aeonnx.models import Part
from aeonnx.tools.inspection import write_page
from aeonnx.tools.inspection.curves import HEIGHT, WIDTH, curves

pytestmark = pytest.mark.usefixtures("few_rows")

Page = Callable[[str], list[tuple[str, bytes, aeonnx.Bundle]]]
"""(factory) -> caption, data and bundle of each picture on its page."""


class One(nn.Module):
    """A denoiser of `kind`, between the shapes of one image."""

    def __init__(
        self, network: nn.Module, kind: str, before: tuple[int, ...], after: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.network, self.kind, self.before, self.after = network, kind, before, after

    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", ("batch", *self.before), kind=self.kind, range=(0.0, 1.0))
        y = TensorSpec("y", ("batch", *self.after), kind=self.kind)
        return {"denoiser": Part(self.network, (x,), (y,))}


def volume() -> nn.Module:
    return One(nn.Conv3d(1, 1, 3, padding=1), "volume", (1, 5, 8, 9), (1, 5, 8, 9))


def signal() -> nn.Module:
    return One(nn.Conv1d(2, 2, 5, padding=2), "signal", (2, 400), (2, 400))


def larger() -> nn.Module:
    return One(nn.Upsample(scale_factor=2), "image", (3, 6, 6), (3, 12, 12))


def spectral() -> nn.Module:
    return One(nn.Conv2d(7, 7, 1), "image", (7, 6, 6), (7, 6, 6))


@pytest.fixture
def page(tmp_path: Path) -> Page:
    """Export what a factory makes, and read its page."""

    def make(factory: str) -> list[tuple[str, bytes, aeonnx.Bundle]]:
        torch.manual_seed(0)
        folder, target = tmp_path / factory, tmp_path / "page.html"
        aeonnx.export("own", folder, from_source=f"module:{__name__}:{factory}")
        write_page(folder, target)
        found = re.findall(r'src="data:[^;]+;base64,([^"]+)"[^>]*alt="([^"]+)"', target.read_text())
        bundle = aeonnx.load(folder, ["cpu"])
        return [(html.unescape(text), base64.b64decode(data), bundle) for data, text in found]

    return make


def golden_of(bundle: aeonnx.Bundle) -> tuple[np.ndarray, np.ndarray]:
    stored = bundle.variant("denoiser").golden[0]
    return bundle.read_golden(stored.inputs["x"]), bundle.read_golden(stored.outputs["y"])


def test_the_middle_of_a_volume_is_shown(page: Page) -> None:
    ((caption, data, bundle),) = page("volume")
    assert caption == (
        "denoiser: x, slices in the middle (top row) and y, slices in the middle (bottom row)"
    )
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    x, _ = golden_of(bundle)
    expected = (x[1, 0, 2] * 255).round()
    np.testing.assert_array_equal(pixels[2:10, 2 + 11 : 2 + 11 + 9], expected)


def test_signals_are_curves_over_one_another(page: Page) -> None:
    ((caption, data, bundle),) = page("signal")
    assert caption == "denoiser: x (grey) and y (blue)"
    image = ET.fromstring(data)  # our own
    assert image.get("height") == str(2 * HEIGHT)
    lines = image.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4  # two channels, before and after
    x, y = golden_of(bundle)
    for line, values in zip(lines, (x[0, 0], y[0, 0], x[0, 1], y[0, 1]), strict=True):
        points = np.array([point.split(",") for point in line.get("points", "").split()], float)
        assert len(points) == 400
        assert (points[0, 0], points[-1, 0]) == (0, WIDTH)
        assert np.corrcoef(points[:, 1], values)[0, 1] < -0.999  # high values are at the top


def test_pictures_of_two_sizes_are_two(page: Page) -> None:
    found = page("larger")
    assert [caption for caption, _, _ in found] == ["denoiser: x", "denoiser: y"]
    heights = [Image.open(io.BytesIO(data)).height for _, data, _ in found]
    assert heights == [2 + 6 + 2, 2 + 12 + 2]


def test_of_many_channels_the_first_is_shown(page: Page) -> None:
    ((caption, data, _),) = page("spectral")
    assert caption.startswith("denoiser: x, first channel (top row)")
    assert Image.open(io.BytesIO(data)).mode == "L"


def test_long_and_constant_signals_stay_in_their_stripe() -> None:
    long = np.sin(np.arange(100_000) / 50).astype(np.float32)
    drawn = curves([np.stack([long, np.full_like(long, 3)])])
    assert len(drawn) < 60_000
    points = [re.findall(r"([\d.]+),([\d.]+)", line) for line in drawn.splitlines()[1:3]]
    for stripe, line in enumerate(points):
        found = np.array(line, float)
        assert found[:, 0].max() <= WIDTH
        assert (found[:, 1] >= stripe * HEIGHT).all()
        assert (found[:, 1] <= (stripe + 1) * HEIGHT).all()
