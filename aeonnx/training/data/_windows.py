"""Windows of a time series, cut out on demand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aeonnx._util.machine import fits_twice

__all__ = ["Windows", "starts_of"]


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one length, which may overlap.

    Args:
        series: float32 [D, T].
        starts: int64 [N], the first step of each window.
        length: number of steps W of a window.
    """

    series: Tensor
    starts: Tensor
    length: int

    @property
    def shape(self) -> tuple[int, ...]:
        """[D, W] of a window."""
        return len(self.series), self.length

    @property
    def nbytes(self) -> int:
        """Size in bytes of all windows as `read` returns them."""
        return len(self) * len(self.series) * self.length * 4

    @property
    def in_memory(self) -> bool:
        """Whether there is memory for all windows side by side."""
        return fits_twice(self.nbytes)

    def __len__(self) -> int:
        return len(self.starts)

    def read(self, places: Tensor) -> Tensor:
        """The windows at `places`, float32 [n, D, W]."""
        steps = self.starts[places][:, None] + torch.arange(self.length)
        return self.series[:, steps].transpose(0, 1).contiguous()


def starts_of(first: int, last: int, length: int, step: int) -> Tensor:
    """First steps of the windows that lie within the steps `first` to `last` - 1, int64."""
    return torch.arange(first, last - length + 1, step)
