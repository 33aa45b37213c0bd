"""Axes: sizes that follow them, and the rules that sizes keep."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeonnx.bundle import Axis, TensorSpec, nearest, scaled, shape_at, solve

ANY = {name: Axis() for name in ("batch", "height", "width", "frames")}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("batch", ("batch", 1, 1)),
        ("height/8", ("height", 1, 8)),
        ("320*frames", ("frames", 320, 1)),
        ("a_1", ("a_1", 1, 1)),
    ],
)
def test_sizes_that_follow_an_axis(text: str, found: tuple[str, int, int]) -> None:
    axis = scaled(text)
    assert axis is not None
    assert (axis.axis, axis.factor, axis.divisor) == found


@pytest.mark.parametrize(
    "text", ["", "8", "H", "2*h/2", "h//2", "h/0", "0*h", "01*h", "h ", " h", "h\n", "-1*h", "h+1"]
)
def test_texts_that_are_no_size(text: str) -> None:
    assert scaled(text) is None
    with pytest.raises(ValueError, match="shape: expected sizes above 0"):
        TensorSpec("x", ("batch", text))


@given(
    frames=st.integers(1, 10**6),
    factor=st.integers(1, 999),
    divisor=st.sampled_from([1, 2, 8]),
    count=st.integers(1, 1000),
)
def test_solving_is_the_inverse_of_a_shape(
    frames: int, factor: int, divisor: int, count: int
) -> None:
    sizes = {"frames": frames, "height": divisor * count, "batch": 3}
    shapes = {
        "x": ("batch", f"{factor}*frames", 7),
        "z": ("batch", f"height/{divisor}" if divisor > 1 else "height"),
    }
    real = {name: shape_at(shape, sizes) for name, shape in shapes.items()}
    assert solve({name: (shapes[name], real[name]) for name in shapes}, ANY) == sizes


@given(
    multiple=st.integers(1, 64),
    least=st.integers(1, 20),
    more=st.one_of(st.none(), st.integers(0, 20)),
    size=st.integers(1, 3000),
)
def test_the_nearest_size_is_allowed_and_none_is_nearer(
    multiple: int, least: int, more: int | None, size: int
) -> None:
    most = None if more is None else (least + more) * multiple
    axis = Axis(multiple, least * multiple, most)
    found = nearest(axis, size)
    assert axis.allows(found)
    distance = abs(found - size)
    near = range(max(1, size - distance + 1), size + distance)
    assert not any(axis.allows(other) for other in near)


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        (
            {"x": (("batch", "16*frames"), (2, 33))},
            "x: expected a multiple of 16 for 16*frames, got 33",
        ),
        (
            {"x": (("batch", "height"), (2, 8)), "y": (("batch", "height"), (2, 9))},
            "height: expected one size in all inputs, got 8 in x and 9 in y",
        ),
        (
            {"x": (("batch", "height"), (2, 8)), "y": (("batch", "height"), (3, 8))},
            "batch: expected one size in all inputs, got 2 in x and 3 in y",
        ),
        (
            {"x": (("batch", "width"), (2, 41))},
            "x: width: expected a multiple of 8 from 16 to 64, got 41: the nearest is 40",
        ),
        (
            {"x": (("batch", "width"), (2, 80))},
            "x: width: expected a multiple of 8 from 16 to 64, got 80: the nearest is 64",
        ),
    ],
)
def test_sizes_that_break_a_rule_are_named(
    shapes: dict[str, tuple[tuple[int | str, ...], tuple[int, ...]]], text: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        solve(shapes, {**ANY, "width": Axis(8, 16, 64)})


@pytest.mark.parametrize(
    ("kind", "axes"), [("image", 4), ("volume", 5), ("signal", 3), ("vector", 2), ("score", 1)]
)
def test_kinds_have_their_axes(kind: str, axes: int) -> None:
    shape = ("batch", *[4] * 5)
    assert len(TensorSpec("x", shape[:axes], kind=kind).shape) == axes
    for wrong in {1, 2, 3, 4, 5, 6} - {axes}:
        with pytest.raises(ValueError, match=f"kind: expected {axes} axes"):
            TensorSpec("x", shape[:wrong], kind=kind)


@pytest.mark.parametrize(
    ("kind", "shape", "text"),
    [
        ("image", ("batch", 3, 8), "kind: expected 4 axes of a tensor of the kind image, got"),
        ("picture", ("batch", 3), "kind: expected one of"),
        ("score", ("batch", 1), "kind: expected 1 axes"),
    ],
)
def test_other_numbers_of_axes_are_refused(
    kind: str, shape: tuple[int | str, ...], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        TensorSpec("x", shape, kind=kind)


def test_columns_have_names_and_units() -> None:
    row = TensorSpec("x", ("batch", 2), kind="vector", names=("t", "p"), units=("°C", "Pa"))
    assert row.units == ("°C", "Pa")
    with pytest.raises(ValueError, match="names: expected 2, one for each place of the second"):
        TensorSpec("x", ("batch", 2), kind="vector", names=("t",))
    with pytest.raises(ValueError, match="rate: expected above 0 Hz, got 0"):
        TensorSpec("x", ("batch", 1, "time"), kind="signal", rate=0)
