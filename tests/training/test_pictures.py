"""Pictures of a run: what they show, and that nothing they may meet breaks them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from aeonnx.errors import InputError
from aeonnx.training.recipes import Picture
from aeonnx.training.report.latents import interpolation, manifold, plane_of
from aeonnx.training.report.pictures import Curve, draw_images, draw_latents, draw_losses


def painted(z: Tensor) -> Tensor:
    """A decoder whose images can be read: all pixels are the sigmoid of z's sum."""
    return torch.sigmoid(z.sum(1))[:, None, None, None].expand(-1, 1, 4, 4)


def latents(n: int, d: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(n * 100 + d))


@given(n=st.integers(2, 40), d=st.integers(1, 9), steps=st.integers(2, 12))
def test_interpolations_begin_and_end_at_the_latents(n: int, d: int, steps: int) -> None:
    z = latents(n, d)
    picture = interpolation(painted, z, steps)
    rows = picture.images.unflatten(0, (-1, steps))
    assert len(rows) == min(8, n // 2)
    assert picture.columns == steps
    torch.testing.assert_close(rows[:, 0], painted(z[0 : 2 * len(rows) : 2]))
    torch.testing.assert_close(rows[:, -1], painted(z[1 : 2 * len(rows) : 2]))


def test_interpolation_needs_two_latents() -> None:
    with pytest.raises(InputError, match="interpolation: expected 2 latents or more, got 1"):
        interpolation(painted, latents(1, 3))


@given(d=st.integers(1, 20), side=st.integers(1, 9))
def test_the_manifold_is_centred_where_the_latents_are(d: int, side: int) -> None:
    z = latents(60, d) + 2
    side = 2 * side + 1
    picture = manifold(painted, z, side)
    assert len(picture.images) == (side if d == 1 else side * side)
    centre = picture.images[len(picture.images) // 2]
    torch.testing.assert_close(centre, painted(z.mean(0, keepdim=True))[0], rtol=0, atol=1e-5)


def test_the_plane_is_that_of_the_principal_components() -> None:
    z = torch.zeros(100, 5)
    z[:, 3] = torch.linspace(-3, 3, 100)
    z[:, 1] = torch.linspace(-1, 1, 100).roll(50)
    plane = plane_of(z)
    assert abs(float(plane.axes[0, 3])) > 0.9
    assert float(plane.shares.sum()) == pytest.approx(1)
    assert plane.shares[0] > plane.shares[1]


@pytest.mark.parametrize("stages", [1, 2, 4])
@pytest.mark.parametrize("epochs", [1, 30])
def test_losses_of_every_stage_are_drawn(tmp_path: Path, stages: int, epochs: int) -> None:
    course = tuple(np.linspace(5, 1, epochs))
    curves = [Curve(f"stage {i}", course, course, "negative_elbo") for i in range(stages)]
    with Image.open(draw_losses(tmp_path / "loss.png", curves)) as picture:
        assert picture.width > 350 * stages
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24) or []}
        assert len(colours) > 10


@pytest.mark.parametrize("d", [1, 2, 16])
@pytest.mark.parametrize("classes", [0, 3, 47])
def test_latents_of_any_size_are_drawn(tmp_path: Path, d: int, classes: int) -> None:
    labels = torch.arange(90) % classes if classes else None
    names = tuple(f"class {i}" for i in range(classes))
    path = draw_latents(tmp_path / "z.png", latents(90, d), labels, names)
    with Image.open(path) as picture:
        assert min(picture.size) > 300


@pytest.mark.parametrize("d", [1, 2, 8])
def test_latents_that_do_not_vary_are_drawn(tmp_path: Path, d: int) -> None:
    assert draw_latents(tmp_path / "z.png", torch.full((5, d), 2.0), None, ()).stat().st_size
    assert draw_latents(
        tmp_path / "one.png", torch.ones(1, d), torch.zeros(1, dtype=torch.int64), ("a",)
    ).exists()


@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 5, 9), (3, 64, 32), (4, 256, 256), (1, 1, 30)])
def test_images_of_any_shape_are_drawn(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    images = torch.rand(6, *shape, generator=torch.Generator().manual_seed(0))
    with Image.open(draw_images(tmp_path / "x.png", Picture("x", images, 3))) as picture:
        assert min(picture.size) >= 60
