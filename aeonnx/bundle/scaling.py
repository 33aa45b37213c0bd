"""How a diffusion model scales the latents of an autoencoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aeonnx._util.serde import require

__all__ = ["Scaling"]


@dataclass(frozen=True)
class Scaling:
    """A diffusion model works on (z - shift) * factor, where z is the autoencoder's own latent.

    Rombach et al. 2022, "High-resolution image synthesis with latent diffusion models", section
    D.1: latents of unit variance. `scaling_factor` and `shift_factor` of diffusers.

    Args:
        factor: one number, or one for each channel; not 0.
        shift: likewise.
        in_graph: the tensor is scaled already: the encoder's graph scales what it returns, the
            decoder's undoes it. If not, the program does both.
    """

    factor: tuple[float, ...]
    shift: tuple[float, ...]
    in_graph: bool

    def __post_init__(self) -> None:
        for field, numbers in (("factor", self.factor), ("shift", self.shift)):
            require(numbers, f"{field}: expected one number, or one for each channel, got none")
            require(
                all(math.isfinite(number) for number in numbers),
                f"{field}: expected finite numbers, got {numbers}",
            )
        require(all(self.factor), f"factor: expected no 0, got {self.factor}")

    def require_channels(self, channels: int) -> None:
        """Raise `ValueError` unless there is one number, or one for each of so many channels."""
        for field, numbers in (("factor", self.factor), ("shift", self.shift)):
            require(
                len(numbers) in (1, channels),
                f"scaling.{field}: expected 1 number or {channels}, one for each channel, got "
                f"{len(numbers)}",
            )

    def __str__(self) -> str:
        where = "done in the graph" if self.in_graph else "left to your program"
        scaled = f"(z - {_shown(self.shift)})" if any(self.shift) else "z"
        if {*self.factor} != {1.0}:
            scaled += f" * {_shown(self.factor)}"
        return "not scaled" if scaled == "z" else f"{scaled}, for a diffusion model: {where}"


def _shown(numbers: tuple[float, ...]) -> str:
    same = len(set(numbers)) == 1
    return f"{numbers[0]:.5g}" if same else f"[{', '.join(f'{number:.5g}' for number in numbers)}]"
