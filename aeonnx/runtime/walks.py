"""Latents that are chosen, and not drawn one by one: on a way between two, along one number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.errors import InputError, UsageError
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.file_rows import open_rows_of
from aeonnx.runtime.generating import latent_shape
from aeonnx.runtime.prior import (
    Distribution,
    Gaussian,
    Mixture,
    check_range,
    of_normal,
    shares_of,
    standard_normal,
    truncated,
)
from aeonnx.runtime.session import Array
from aeonnx.runtime.stream import ahead, rows_at_once

__all__ = ["Walk", "slerp", "walked"]

_DEVIATIONS = 3.0  # of the ends of a sweep
_DIGITS = 100  # more than any seed has; of thousands, int() raises an error
_NEARLY_PARALLEL = 1e-6  # sine of an angle


@dataclass(frozen=True)
class Walk:
    """How latents are chosen.

    Args:
        interpolate: two seeds, or paths of two pictures, to go between; None for none.
        sweep: index of the number of the latent that goes from -3 to 3 standard deviations of the
            prior, while the others stay those of one drawn latent; None for none.
        truncate: most standard deviations of each drawn number; None for no limit.

    Raises:
        UsageError: an option contradicts another, or is out of range.
    """

    interpolate: tuple[str, str] | None = None
    sweep: int | None = None
    truncate: float | None = None

    def __post_init__(self) -> None:
        if self.interpolate and self.sweep is not None:
            raise UsageError("--interpolate and --latent-sweep choose the latents: give one")
        limit = self.truncate
        if limit is not None and not 0 < limit < math.inf:
            raise UsageError(f"--truncate: expected a number above 0, got {limit}")
        if limit is not None and self.interpolate and not all(map(_is_seed, self.interpolate)):
            raise UsageError("--truncate limits drawn latents, not those of pictures: leave it out")

    @property
    def plain(self) -> bool:
        """Whether latents are drawn as always."""
        return self == Walk()


def walked(
    bundle: Bundle,
    n: int,
    seed: int,
    first: int,
    walk: Walk,
    *,
    size: Sequence[int] | None = None,
    pixels: bool = False,
    **others: Any,
) -> Iterator[Array]:
    """Images of chosen latents, in batches.

    Args:
        bundle: has a decoder.
        n: number of images.
        seed, first: of the drawn latents, see `Bundle.generate`.
        walk: how they are chosen.
        size, pixels, others: see `Bundle.generate`.

    Raises:
        UsageError: the latent has no such number.
        ImageError: a picture cannot be read.
        BundleError, InputError: see `Bundle.generate` and `Bundle.encode`.
    """
    check_range(seed, first, n)
    bundle.require("decode")
    shape = latent_shape(bundle.manifest, size)
    prior = bundle.prior if _drawn(walk) else Gaussian()
    ends = None
    if walk.interpolate:
        ends = [_end(bundle, each, first, shape, prior, walk, others) for each in walk.interpolate]
        one, other = (list(end.shape) for end in ends)
        if one != other:
            raise InputError(
                f"--interpolate: expected two latents of one size, got {one} and {other}: give "
                "pictures of one size, or with a seed --size"
            )
        shape = ends[0].shape
    dtype = bundle.variant("decoder").inputs[0].dtype
    rows = rows_at_once(bundle, "decode", math.prod(shape))

    def chosen() -> Iterator[Array]:
        for start in range(0, n, rows):
            places = np.arange(start, min(start + rows, n))
            if ends is not None:
                way = places / max(1, n - 1)
                centre = _centre(prior, shape)
                found = slerp(ends[0] - centre, ends[1] - centre, way) + centre
            else:
                eps = _normal(walk, seed, first, places, shape)
                drawn = np.full(len(places), first) if walk.sweep is not None else first + places
                shares = shares_of(prior, seed, drawn.astype(np.uint64), math.prod(shape))
                found = of_normal(prior, eps, shape, shares)
                if walk.sweep is not None:
                    _sweep(found, walk.sweep, places / max(1, n - 1), prior, shares)
            yield found.astype(dtype)

    return ahead(bundle.decode(z, pixels=pixels, **others) for z in ahead(chosen()))


def slerp(one: Array, other: Array, shares: npt.NDArray[np.float64]) -> Array:
    """Spherical interpolation: the way from one latent to another that keeps its distance from 0.

    Shoemake 1985, "Animating rotation with quaternion curves", equation 2; White 2016, "Sampling
    generative networks", section 2.1: a straight line passes through lengths that the prior
    hardly ever has.

    Args:
        one: where the share is 0, [...].
        other: where it is 1, [...].
        shares: [n].

    Returns:
        [n, ...].
    """
    a, b = one.ravel().astype(np.float64), other.ravel().astype(np.float64)
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    angle = math.acos(float(np.clip(a @ b / lengths, -1, 1))) if lengths > 0 else 0.0
    t = shares[:, None]
    if math.sin(angle) < _NEARLY_PARALLEL:
        found = (1 - t) * a + t * b
    else:
        found = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / math.sin(angle)
    return found.reshape(len(shares), *one.shape)


def _drawn(walk: Walk) -> bool:
    return walk.interpolate is None or any(map(_is_seed, walk.interpolate))


def _is_seed(text: str) -> bool:
    return text.isdecimal() and len(text) <= _DIGITS


def _end(
    bundle: Bundle,
    text: str,
    first: int,
    shape: tuple[int, ...],
    prior: Distribution,
    walk: Walk,
    others: Mapping[str, Any],
) -> Array:
    """One end of an interpolation: float64 of the latent's shape."""
    if _is_seed(text):
        check_range(int(text), first, 1)
        place, size = np.array([first], np.uint64), math.prod(shape)
        eps = _limited(standard_normal(int(text), place, size), walk)
        one: Array = of_normal(prior, eps, shape, shares_of(prior, int(text), place, size))[0]
        return one
    names = {spec.name for spec in bundle.inputs("encoder")[1:]}
    rows = next(open_rows_of(bundle, "encode", [Path(text)], None).batches(1))
    known = {name: value for name, value in others.items() if name in names}
    latent: Array = bundle.encode(rows[:1], **known)[0].astype(np.float64)
    return latent


def _normal(
    walk: Walk, seed: int, first: int, places: Array, shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Standard normals of the images `places`, [len(places), size]: all the same for a sweep."""
    size = math.prod(shape)
    if walk.sweep is None:
        return _limited(standard_normal(seed, (first + places).astype(np.uint64), size), walk)
    if not 0 <= walk.sweep < size:
        raise UsageError(
            f"--latent-sweep: expected the index of one of the latent's {size} numbers, 0 to "
            f"{size - 1}, got {walk.sweep}"
        )
    one = _limited(standard_normal(seed, np.array([first], np.uint64), size), walk)
    return np.repeat(one, len(places), axis=0)


def _sweep(
    latents: Array, number: int, way: Array, prior: Distribution, shares: Array | None
) -> None:
    """Set one number of each latent, [n, ...], from -3 to 3 of its standard deviations."""
    flat = latents.reshape(len(latents), -1)
    mean, deviation = _spread(prior, latents.shape[1:], shares)
    flat[:, number] = (mean + _DEVIATIONS * (2 * way[:, None] - 1) * deviation)[:, number]


def _spread(
    prior: Distribution, shape: tuple[int, ...], shares: Array | None
) -> tuple[Array, Array]:
    """Mean and standard deviation of each number of a latent, [n or 1, size] each.

    Of a mixture, they are those of the component that the latent is from.
    """
    if isinstance(prior, Mixture):
        assert shares is not None  # noqa: S101  # the caller has them for a mixture
        return shares @ prior.mean, shares @ _deviations(prior.factor, 3)
    mean = np.zeros(shape[0]) if prior.mean is None else prior.mean
    factor = np.ones(shape[0]) if prior.factor is None else prior.factor
    places = math.prod(shape[1:])
    return np.repeat(mean, places)[None], np.repeat(_deviations(factor, 2), places)[None]


def _deviations(factor: Array, axes: int) -> Array:
    """Of each channel, from a factor of the covariance, or from its diagonal with an axis less."""
    return np.sqrt(np.square(factor).sum(-1)) if factor.ndim == axes else factor


def _limited(eps: npt.NDArray[np.float64], walk: Walk) -> npt.NDArray[np.float64]:
    return eps if walk.truncate is None else truncated(eps, walk.truncate)


def _centre(prior: Distribution, shape: tuple[int, ...]) -> Array:
    """Mean of the prior, of a latent's shape."""
    if isinstance(prior, Mixture):
        return prior.weights @ prior.mean
    if prior.mean is None:
        return np.zeros(shape)
    return np.broadcast_to(prior.mean.reshape(-1, *[1] * (len(shape) - 1)), shape)
