"""What `Bundle.classify` returns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Classified"]


@dataclass(frozen=True, eq=False)
class Classified:
    """Classes of n images.

    Args:
        labels: name of each image's most probable class.
        indices: index of that class in `Manifest.classes`, int64 [n].
        probabilities: of all classes, float32 [n, classes].
    """

    labels: tuple[str, ...]
    indices: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]

    @classmethod
    def of(cls, batches: Iterable[Classified]) -> Classified:
        """The results of several batches, concatenated."""
        every = list(batches)
        return cls(
            tuple(label for batch in every for label in batch.labels),
            np.concatenate([batch.indices for batch in every]),
            np.concatenate([batch.probabilities for batch in every]),
        )
