"""Random numbers that do not depend on how many processes draw them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

__all__ = ["Noise", "Stream", "seeded"]


class Stream(IntEnum):
    """What random numbers are for: the first word after the seed, so that no two are the same."""

    ORDER = 0
    NOISE = 1
    TEST_NOISE = 2
    PICTURE_NOISE = 3
    HELD_OUT = 4


def seeded(generator: torch.Generator, *words: int) -> torch.Generator:
    """The generator, set to a state that is a function of `words` (each 0 or more)."""
    state = np.random.SeedSequence(words).generate_state(2)
    return generator.manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


class Noise:
    """The random numbers of one batch.

    They are drawn for the whole batch, of which a process keeps its own rows: the same image meets
    the same noise, whatever the number of processes.

    Args:
        generator: on the device of the batch.
        size: images of the whole batch.
        rows: which of them are this process's.
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
