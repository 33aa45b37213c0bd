"""Margins, and tiles that give the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from aeonnx.bundle import BATCH, Axis, TensorSpec
from aeonnx.exporting.margins import with_margins
from aeonnx.exporting.verify.reference import Reference
from aeonnx.models import Part
from aeonnx.runtime.tiles import pad_to_allowed, pieces, run_tiled

CHANNELS = 4


class Attention(nn.Module):
    """Each place looks at all."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens).reshape(x.shape)


class Placed(nn.Module):
    """Adds to each place a number that says where it is."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.01 * torch.arange(x.shape[-1])


class Running(nn.Module):
    """The running sum from one end."""

    def __init__(self, *, back: bool) -> None:
        super().__init__()
        self.back = back

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(-1).cumsum(-1).flip(-1) if self.back else x.cumsum(-1)


def convolutions(*kernels: int, dilation: int = 1) -> list[nn.Module]:
    widths = [1, *[CHANNELS] * (len(kernels) - 1), 1]
    layers: list[nn.Module] = []
    for kernel, before, after in zip(kernels, widths, widths[1:], strict=False):
        padding = dilation * (kernel // 2)
        layers += [nn.Conv2d(before, after, kernel, padding=padding, dilation=dilation), nn.GELU()]
    return layers


def part(*layers: nn.Module, multiple: int = 1) -> Part:
    torch.manual_seed(0)
    shape = ("batch", 1, "height", "width")
    axes = {name: Axis(multiple, 4 * multiple) for name in ("height", "width")}
    x, y = (TensorSpec(name, shape, kind="image") for name in ("x", "y"))
    return Part(nn.Sequential(*layers), (x,), (y,), axes=axes)


U_NET = [
    nn.Conv2d(1, CHANNELS, 3, stride=2, padding=1),
    nn.GELU(),
    nn.MaxPool2d(2),
    nn.Upsample(scale_factor=2),
    nn.ConvTranspose2d(CHANNELS, 1, 4, stride=2, padding=1),
]


@pytest.mark.parametrize(
    ("layers", "multiple", "margin"),
    [
        ([nn.ReLU()], 1, 0),
        (convolutions(3), 1, 1),
        (convolutions(3, 3, 3), 1, 3),
        (convolutions(7, 1), 1, 3),
        (convolutions(3, 3, dilation=4), 1, 8),
        ([nn.AvgPool2d(2), nn.Upsample(scale_factor=2)], 2, 1),
        ([nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Conv2d(4, 1, 1)], 1, None),
        ([nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 3, padding=1)], 1, 1),
        ([Attention()], 1, None),
        ([Placed()], 1, None),
    ],
)
def test_the_margin_is_how_far_outputs_look(
    layers: list[nn.Module], multiple: int, margin: int | None
) -> None:
    axes = with_margins(part(*layers, multiple=multiple)).axes
    assert [axes[name].margin for name in ("height", "width", BATCH)] == [margin, margin, 0]


def tiled_and_whole(found: Part, height: int, width: int, side: int) -> tuple[np.ndarray, ...]:
    x = np.random.default_rng(0).normal(size=(2, 1, height, width)).astype(np.float32)
    reference = Reference(found)
    sizes = {"height": height, "width": width, BATCH: 2}
    tiles = run_tiled(found, reference.double, {"x": x}, sizes, side)["y"]
    return tiles, reference.double({"x": x})["y"]


@pytest.mark.parametrize("back", [False, True])
def test_what_reaches_one_end_alone_has_no_margin(back: bool) -> None:
    axes = with_margins(part(Running(back=back))).axes
    assert axes["width"].margin is None
    assert axes["height"].margin == 0


@given(
    layers=st.lists(st.sampled_from([1, 3, 5]), min_size=1, max_size=4),
    height=st.integers(5, 70),
    width=st.integers(5, 70),
    side=st.integers(1, 40),
)
@settings(max_examples=8)
def test_tiles_are_the_whole(layers: list[int], height: int, width: int, side: int) -> None:
    found = with_margins(part(*convolutions(*layers)))
    tiles, whole = tiled_and_whole(found, height, width, side)
    np.testing.assert_allclose(tiles, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (132, 60), (16, 200)])
def test_tiles_of_strided_networks_are_the_whole(height: int, width: int) -> None:
    found = with_margins(part(*U_NET, multiple=4))
    assert found.axes["height"].margin is not None
    tiles, whole = tiled_and_whole(found, height, width, side=1)
    np.testing.assert_allclose(tiles, whole, rtol=0, atol=1e-12)


def test_a_margin_that_is_one_too_small_shows() -> None:
    found = with_margins(part(*convolutions(3, 3, 3)))
    less = {
        name: replace(axis, margin=max(0, (axis.margin or 0) - 1))
        for name, axis in found.axes.items()
    }
    tiles, whole = tiled_and_whole(replace(found, axes=less), 40, 40, side=9)
    assert np.abs(tiles - whole).max() > 1e-6
    tiles, whole = tiled_and_whole(found, 40, 40, side=9)
    assert np.abs(tiles - whole).max() < 1e-12


@given(
    multiple=st.integers(1, 8),
    margin=st.integers(0, 40),
    least=st.integers(1, 6),
    count=st.integers(1, 100),
    side=st.integers(1, 200),
)
def test_pieces_cover_an_axis_once(
    multiple: int, margin: int, least: int, count: int, side: int
) -> None:
    axis = Axis(multiple, least * multiple, margin=margin)
    size = max(count, least) * multiple
    found = pieces(axis, size, side)
    assert [piece.start for piece in found] == [0, *(piece.stop for piece in found[:-1])]
    assert found[-1].stop == size
    for piece in found:
        assert axis.allows(piece.last - piece.first)
        assert piece.first % multiple == piece.start % multiple == 0
        assert piece.first == 0 or piece.first <= piece.start - margin
        assert piece.last == size or piece.last >= piece.stop + margin


class Codec(nn.Module):
    """Signals to codes, and back."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Conv1d(1, 8, 8, stride=4, padding=2)
        self.codes = nn.Embedding(8, 6)
        self.up = nn.ConvTranspose1d(6, 1, 8, stride=4, padding=2)


class Encode(nn.Module):
    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, x: Tensor) -> Tensor:
        return self.codec.down(x).argmax(1)


class Decode(nn.Module):
    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, codes: Tensor) -> Tensor:
        return self.codec.up(self.codec.codes(codes).transpose(1, 2))


def test_codes_and_signals_have_margins_too() -> None:
    x = TensorSpec("x", ("batch", 1, "4*frames"), kind="signal")
    codes = TensorSpec("codes", ("batch", "frames"), "int64", (0, 7), kind="codes")
    y = TensorSpec("y", ("batch", 1, "4*frames"), kind="signal")
    codec = Codec()
    encoder = with_margins(Part(Encode(codec), (x,), (codes,)))
    decoder = with_margins(Part(Decode(codec), (codes,), (y,)))
    assert encoder.axes["frames"].margin == 1
    assert decoder.axes["frames"].margin == 1
    values = np.random.default_rng(0).integers(0, 8, (1, 50))
    reference = Reference(decoder)
    whole = reference.double({"codes": values})["y"]
    tiles = run_tiled(decoder, reference.double, {"codes": values}, {"frames": 50, BATCH: 1}, 5)
    np.testing.assert_allclose(tiles["y"], whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "size", "padded"),
    [
        (("height", "width"), (37, 53), (40, 56)),
        (("height", "width"), (3, 16), (16, 16)),
        (("height/8", "2*width"), (5, 33), (5, 48)),
        (("height/8", "2*width"), (1, 1), (2, 32)),
        (("height", "height"), (16, 37), (40, 40)),
        (("height", "width"), (100, 16), (100, 16)),  # above the largest: refused when it is run
        (("batch2", 7), (3, 7), (3, 7)),
    ],
)
def test_inputs_are_padded_to_the_next_size(
    shape: tuple[int | str, ...], size: tuple[int, ...], padded: tuple[int, ...]
) -> None:
    spec = TensorSpec("x", (BATCH, *shape))
    axes = {"height": Axis(8, 16, 96), "width": Axis(8, 16), "batch2": Axis()}
    whole = Part(nn.Identity(), (spec,), (replace(spec, name="y"),), axes=axes)
    x = np.random.default_rng(0).random((2, *size))
    found = pad_to_allowed(whole, spec, x)
    assert found.shape[1:] == padded
    np.testing.assert_array_equal(found[:, : size[0], : size[1]], x)
    if padded != size and min(size) > 1:
        expected = np.pad(
            x, [(0, 0), *((0, new - old) for new, old in zip(padded, size, strict=True))], "reflect"
        )
        np.testing.assert_array_equal(found, expected)
