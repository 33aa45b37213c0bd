"""Random numbers that do not depend on the number of processes."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

__all__ = ["Noise", "Stream", "seeded"]


class Stream(IntEnum):
    """Purpose of random numbers: it follows the seed in `seeded`, so that streams differ."""

    ORDER = 0
    NOISE = 1
    TEST_NOISE = 2
    PICTURE_NOISE = 3
    HELD_OUT = 4
    GENERATED = 5
    EXAMPLES = 6


def seeded(generator: torch.Generator, *words: int) -> torch.Generator:
    """Seed the generator with a function of `words` (each 0 or more), and return it."""
    state = np.random.SeedSequence(words).generate_state(2)
    return generator.manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


class Noise:
    """The random numbers of one batch.

    Every process draws them for the whole batch and keeps its own rows, so that an image gets the
    same noise for any number of processes.

    Args:
        generator: generator on the device of the batch.
        size: number of images of the whole batch.
        rows: rows of this process.
    """

    def __init__(self, generator: torch.Generator, size: int, rows: slice = slice(None)) -> None:
        self._generator = generator
        self._size = size
        self._rows = rows

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1), float32 [rows, *shape]."""
        device = self._generator.device
        return torch.randn(self._size, *shape, generator=self._generator, device=device)[self._rows]

    def uniform(self, *shape: int) -> Tensor:
        """U[0, 1), float32 [rows, *shape]."""
        device = self._generator.device
        return torch.rand(self._size, *shape, generator=self._generator, device=device)[self._rows]
