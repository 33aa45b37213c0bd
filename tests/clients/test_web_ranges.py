"""The browser page where a decoder's images are not in [0, 1]."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aeonnx as library
from aeonnx.tools.web.site import DemoFiles
from tests.clients.browser import opened

pytestmark = pytest.mark.clients


def say_range(site: Path, bounds: list[float] | None) -> None:
    """Let the manifest say another range of what the decoder gives."""
    path = site / "bundles/vae/manifest.json"
    whole = json.loads(path.read_text())
    whole["parts"]["decoder"]["fp32"]["outputs"][0]["range"] = bounds
    path.write_text(json.dumps(whole))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (-0.25, 3.0), (0.25, 0.5)])
def test_the_range_is_what_black_and_white_stand_for(
    browser: Any, changed: Path, shown: DemoFiles, low: float, high: float
) -> None:
    say_range(changed, [low, high])
    with opened(browser, changed) as page:
        page.tab.click("#zero")
        page.settle()
        pixels = page.pixels("#decoded")
        assert page.text("#verdict") == "Equal to PyTorch"
        assert page.complaints == []
    bundle = library.load(shown.bundles["vae"])
    values = bundle.decode(np.zeros((1, 20), np.float32))[0, 0]
    expected = np.rint((np.clip(values, low, high) - low) / (high - low) * 255)
    assert np.abs(pixels - expected).max() <= 1
    assert np.abs(pixels - values * 255).max() > 10  # what it would be of [0, 1]


def test_floats_of_any_range_are_not_drawn(browser: Any, changed: Path) -> None:
    say_range(changed, None)
    with opened(browser, changed) as page:
        assert page.text("#latents .problem").endswith(
            "this bundle's decoder cannot decode: expected reconstruction float32 "
            "[batch, 1, 28, 28] in a range [low, high] whose width is a float32 above 0, got one "
            "of any range: export it with such a range, or take its floats with the library's run"
        )
        assert not page.tab.is_visible("#decoded")
        assert not page.tab.is_visible("#denoise .problem")
