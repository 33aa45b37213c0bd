"""Pixels stand for any range, in float32 arithmetic that has one result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeonnx.io.pixels import from_pixels, has_pixels, to_pixels

EVERY = np.arange(256, dtype=np.uint8)
ends = st.floats(-1e4, 1e4, width=32)


@given(low=ends, width=st.floats(2.0**-10, 1e4, width=32), seed=st.integers(0, 99))
def test_pixels_of_any_range(low: float, width: float, seed: int) -> None:
    bounds = (low, low + width)
    if not has_pixels(bounds):  # too narrow for float32 there
        return
    shown = from_pixels(EVERY, bounds)
    bottom, top = np.float32(bounds[0]), np.float32(bounds[1])
    span = np.float32(top - bottom)
    one_by_one = [bottom + np.float32(np.float32(p) / np.float32(255)) * span for p in EVERY]
    np.testing.assert_array_equal(shown, np.array(one_by_one, np.float32))
    if span > 1e-3 * max(abs(bottom), abs(top)):  # else neighbours are one float32
        np.testing.assert_array_equal(to_pixels(shown, bounds), EVERY)
    rng = np.random.default_rng(seed)
    values = rng.uniform(bounds[0] - width, bounds[1] + width, 300).astype(np.float32)
    for value, pixel in zip(values, to_pixels(values, bounds), strict=True):
        share = np.float32(np.float32(min(max(value, bottom), top) - bottom) / span)
        assert pixel == int(np.rint(np.float32(share * np.float32(255))))


def test_in_the_unit_range_they_are_what_they_were() -> None:
    values = np.random.default_rng(0).uniform(-0.5, 1.5, 100_000).astype(np.float32)
    expected = np.rint(np.clip(values, 0, 1) * np.float32(255)).astype(np.uint8)
    np.testing.assert_array_equal(to_pixels(values), expected)
    np.testing.assert_array_equal(from_pixels(EVERY), EVERY.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(to_pixels(from_pixels(EVERY)), EVERY)


@pytest.mark.parametrize(
    "bounds", [None, (0.0, 0.0), (1.0, 0.0), (0.0, 1e39), (-3e38, 3e38), (1.0, 1.0 + 1e-12)]
)
def test_a_range_without_a_width_has_no_pixels(bounds: tuple[float, float] | None) -> None:
    assert not has_pixels(bounds)
