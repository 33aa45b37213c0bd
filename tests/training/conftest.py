"""A few hundred real digits, so that an epoch takes no time, and helpers around runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from aeonnx.exporting.verify import effort
from aeonnx.training import load_data
from aeonnx.training.data import _photos
from tests.support import Command


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 training and 100 test digits with labels, in Keras's layout."""
    full = load_data("mnist-sample", Path())
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    arrays = {}
    for name, half in (("train", full.train), ("test", full.test)):
        places = torch.arange(0, len(half.images), 10)
        assert half.labels is not None
        arrays[f"x_{name}"] = half.images.read(places)[:, 0].numpy()
        arrays[f"y_{name}"] = half.labels[places].numpy()
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def brief() -> Iterator[None]:
    """Epochs of as many crops as cover the pictures, not of 1024; graphs compared on few rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_photos, "_FEWEST", 1)
        patch.setattr(effort, "_BUDGET", 1e10)
        yield


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Start `aeonnx ARGUMENTS` as a process of its own in `tmp_path`; `launcher` comes before."""

    def start(
        *arguments: object, launcher: Sequence[str] = ("-m", "aeonnx")
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *launcher, *map(str, arguments)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a signal to its group is none to ours
        )

    return start
