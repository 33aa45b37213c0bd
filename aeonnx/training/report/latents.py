"""Points in latent space, and pictures that a decoder makes from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from aeonnx.errors import InputError
from aeonnx.training.recipes import Picture

__all__ = ["Plane", "interpolation", "manifold", "plane_of"]

_ROWS = 8  # of an interpolation


class Plane(NamedTuple):
    """The plane of the first principal components of latents: float64 on the CPU.

    Args:
        centre: mean of the latents, [d].
        axes: orthonormal rows, [k, d], k = min(2, d).
        deviations: standard deviation along each axis, [k].
        shares: share of the total variance along each axis, [k]; 0 if the variance is 0.
    """

    centre: Tensor
    axes: Tensor
    deviations: Tensor
    shares: Tensor


def plane_of(z: Tensor) -> Plane:
    """The first two principal components of latents z [n, d]; for d <= 2 the coordinate axes."""
    z = z.detach().cpu().double()
    n, d = z.shape
    centre = z.mean(0)
    centred = z - centre
    if d > 2:
        if n < 2:
            centred = torch.cat([centred, torch.zeros_like(centred)])
        axes = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
        # The sign of a component is arbitrary: make its largest entry positive on every machine.
        largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
        axes = axes * largest.sign()
    else:
        axes = torch.eye(d, dtype=torch.float64)
    variances = (centred @ axes.T).square().sum(0)
    total = centred.square().sum().clamp(min=torch.finfo(torch.float64).tiny)
    return Plane(centre, axes, (variances / max(1, n - 1)).sqrt(), variances / total)


def manifold(decode: Callable[[Tensor], Tensor], z: Tensor, side: int = 16) -> Picture:
    """Decode a grid of points in the plane in which latents vary most.

    The grid points are evenly spaced quantiles, 0.05 to 0.95, of the normal distribution with the
    mean and the standard deviations of `z` along the two axes of `plane_of`. The second axis points
    up.

    Args:
        decode: float32 [m, d] -> images float32 [m, C, H, W] in [0, 1].
        z: latents, float32 [n, d].
        side: images per axis.

    Returns:
        side * side images; for d = 1, a row of `side` images.
    """
    plane = plane_of(z)
    quantiles = torch.linspace(0.05, 0.95, side, dtype=torch.float64)
    places = torch.special.ndtri(quantiles).to(plane.axes)
    if len(plane.axes) == 1:
        steps = places[:, None]
    else:
        steps = torch.cartesian_prod(places.flip(0), places).flip(1)
    points = plane.centre + steps * plane.deviations @ plane.axes
    return Picture("manifold", decode(points.to(z)), columns=side)


def interpolation(decode: Callable[[Tensor], Tensor], z: Tensor, steps: int = 10) -> Picture:
    """Decode points on straight lines between latents.

    Args:
        decode: float32 [m, d] -> images float32 [m, C, H, W] in [0, 1].
        z: latents, float32 [n, d], n >= 2: row i of the picture goes from z[2i] to z[2i + 1].
        steps: images per row, both ends included.

    Returns:
        At most 8 rows of `steps` images.

    Raises:
        InputError: there are fewer than two latents.
    """
    if len(z) < 2:
        raise InputError(f"interpolation: expected 2 latents or more, got {len(z)}")
    rows = min(_ROWS, len(z) // 2)
    starts, ends = z[: 2 * rows : 2, None], z[1 : 2 * rows : 2, None]
    weights = torch.linspace(0, 1, steps).to(z)[:, None]
    points = torch.lerp(starts, ends, weights).flatten(0, 1)  # lerp is exact at both ends
    return Picture("interpolation", decode(points), columns=steps)
