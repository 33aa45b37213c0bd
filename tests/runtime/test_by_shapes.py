"""What follows from shapes is found once for each, and never from another's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from aeonnx.runtime.by_shapes import ByShapes
from aeonnx.runtime.session import Array


def test_each_shape_has_its_own() -> None:
    asked = []

    def find(inputs: Mapping[str, Array]) -> int:
        asked.append(inputs["x"].shape)
        return inputs["x"].size + inputs["y"].size

    sizes = ByShapes(("x", "y"), find)
    for count in (*range(1, 100), 99, 5):
        assert sizes({"x": np.zeros((2, count)), "y": np.zeros(3)}) == 2 * count + 3
        assert sizes({"x": np.zeros((2, count)), "y": np.zeros(4)}) == 2 * count + 4
    assert len(asked) < 2 * 101  # the last ones were known
    assert sizes({"x": np.zeros((99, 2)), "y": np.zeros(3)}) == 201


def test_what_is_raised_is_raised_again() -> None:
    def find(_: Mapping[str, Array]) -> int:
        raise ValueError("no")

    sizes = ByShapes(("x",), find)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            sizes({"x": np.zeros(1)})
