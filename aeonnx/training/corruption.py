"""Corruption of the inputs that a denoising autoencoder is trained on; exported graphs have none.

Vincent et al. 2010, "Stacked denoising autoencoders", section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from aeonnx.catalog.ranges import PAIRS, CorruptionKind, Levels, allowed_by, ends
from aeonnx.errors import UsageError
from aeonnx.training.jpeg import compressed
from aeonnx.training.random import Noise

__all__ = ["CORRUPTIONS", "Corruption"]

_UNBOUNDED = ("awgn",)


def _gaussian(x: Tensor, level: float | Tensor, normal: Tensor) -> Tensor:
    return (x + level * normal).clamp(0, 1)


def _white(x: Tensor, level: float | Tensor, normal: Tensor) -> Tensor:
    return x + level * normal


def _poisson_gaussian(x: Tensor, level: float | Tensor, normal: Tensor) -> Tensor:
    deviation = level * (x.clamp(min=0) + _READING**2).sqrt()
    return (x + deviation * normal).clamp(0, 1)


def _jpeg(x: Tensor, level: float | Tensor, _: Tensor) -> Tensor:
    quality = torch.as_tensor(100 * (1 - level), device=x.device).clamp(min=1)
    return compressed(x, quality.reshape(-1).expand(len(x)))


def _masking(x: Tensor, level: float | Tensor, uniform: Tensor) -> Tensor:
    return x * (uniform >= level)


def _salt_pepper(x: Tensor, level: float | Tensor, uniform: Tensor) -> Tensor:
    return torch.where(uniform < level, (uniform < level / 2).to(x.dtype), x)


def _nothing(noise: Noise, *_: int) -> Tensor:
    return noise.uniform()[:, None]


_READING = 0.2  # noise of a camera's electronics, as a share of the noise of white light

_Apply = Callable[[Tensor, float | Tensor, Tensor], Tensor]

CORRUPTIONS: dict[str, tuple[Callable[..., Tensor], _Apply]] = {
    "gaussian": (Noise.normal, _gaussian),
    "masking": (Noise.uniform, _masking),
    "salt-pepper": (Noise.uniform, _salt_pepper),
    "poisson-gaussian": (Noise.normal, _poisson_gaussian),
    "jpeg": (_nothing, _jpeg),
    "awgn": (Noise.normal, _white),
}
"""By kind: the function that draws the noise, and (x, level, noise) -> corrupted x."""


@dataclass(frozen=True)
class Corruption:
    """A kind of noise and its level.

    Args:
        kind: "gaussian" adds N(0, level^2) and clips to [0, 1]; "masking" sets a fraction `level`
            of the values to 0; "salt-pepper" sets a fraction `level` to 0 or 1, equally often;
            "poisson-gaussian" adds the noise of a camera, N(0, level^2 (x + 0.04)), and clips (the
            light's noise and the electronics' as one gaussian that depends on the signal, Foi et
            al. 2008, "Practical Poissonian-Gaussian noise modeling and fitting for single-image
            raw-data", equation 6); "jpeg" compresses with quality 100 (1 - level);
            "awgn" (additive white gaussian noise) adds N(0, level^2) and does not clip, as in
            arrays of floats that a sensor gives.
        level: standard deviation, that of white, fraction of the values, or lack of quality, in
            (0, 1]; or the ends of a range of levels, such as "0.02-0.3", from which each row draws
            its own.

    Raises:
        UnknownNameError: there is no such kind.
        UsageError: the level is out of range, or the kind is "pairs", which needs no noise.
    """

    kind: str
    level: str | float

    def __post_init__(self) -> None:
        for name, value, hint in (
            ("corruption", self.kind, CorruptionKind),
            ("corruption level", self.level, Levels),
        ):
            checked = allowed_by(hint).check(name, value)
        object.__setattr__(self, "level", checked)  # "0.3" becomes 0.3
        if self.kind == PAIRS:
            raise UsageError(
                f"corruption {PAIRS}: the noisy images come from a folder of their own: give both "
                "with --pairs NOISY CLEAN"
            )

    def __str__(self) -> str:
        level = self.level if isinstance(self.level, str) else f"{self.level:g}"
        return f"{self.kind} {level}"

    @property
    def unbounded(self) -> bool:
        """Whether corrupted values can be outside of [0, 1]."""
        return self.kind in _UNBOUNDED

    @property
    def draws(self) -> int:
        """Number of tensors that `draw` returns."""
        return 2 if isinstance(self.level, str) else 1

    def draw(self, noise: Noise, *shape: int) -> tuple[Tensor, ...]:
        """The random numbers for one batch of values of `shape`.

        Returns:
            Noise, float32 [rows, *shape], of "jpeg" [rows, 1]; for a range of levels, also U[0, 1),
            float32 [rows].
        """
        drawn = CORRUPTIONS[self.kind][0](noise, *shape)
        return (drawn, noise.uniform()) if self.draws > 1 else (drawn,)

    def __call__(self, x: Tensor, drawn: Tensor, share: Tensor | None = None) -> Tensor:
        """Corrupt images or features: x -> x_tilde, of the same shape, and but for "awgn" range.

        Args:
            x: images or features [N, ...]; in [0, 1] unless the kind is "masking"; for "jpeg",
                images [N, C, H, W].
            drawn: random numbers from `draw`.
            share: for a range of levels, each row's share of the way from its lower end to its
                upper end, float32 [N].
        """
        low, high = ends(self.level)
        level: float | Tensor = low
        if share is not None:
            level = (low + (high - low) * share).view(-1, *[1] * (x.ndim - 1))
        return CORRUPTIONS[self.kind][1](x, level, drawn)
