"""Load batches of images: resident on the device, or streamed by worker processes.

Both ways produce the same batches for the same indices.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from aeonnx._util.machine import usable_cores
from aeonnx.training.data import Split, Whole, separate

__all__ = ["BatchLoader", "Loaded", "fits", "pixels"]

_AT_ONCE = 1000
_BYTES = 2**26  # of images at once, float32
_SHARE = 0.5  # maximum share of the GPU's free memory for images


class Loaded(NamedTuple):
    """A batch on the device.

    Args:
        x: float32 [n, C, H, W] in [0, 1].
        labels: int64 [n]; -1 without labels.
        noisy: noisy versions of `x`, of its shape; None if the data set has none.
    """

    x: Tensor
    labels: Tensor
    noisy: Tensor | None = None


class BatchLoader:
    """Makes batches of the training or the test images of a data set.

    Args:
        split: images and labels.
        device: device of the batches.
        resident: keep all images on the device; else read them batch by batch.
        workers: number of prefetching processes if not resident; 0 reads in this process.
    """

    def __init__(self, split: Split, device: torch.device, *, resident: bool, workers: int) -> None:
        self._split = split
        self._device = device
        self._workers = workers
        count = len(split.images)
        self._labels = torch.full((count,), -1) if split.labels is None else split.labels
        most = max(1, _BYTES // (4 * prod(split.images.shape)))
        self.at_once = 1 if isinstance(split.images, Whole) else min(_AT_ONCE, most)
        """Most images of a batch for evaluation."""
        self._resident = None
        if resident:
            self._resident = split.images.read(torch.arange(count)).to(device)

    def __len__(self) -> int:
        return len(self._split.images)

    def batches(self, places: Sequence[Tensor]) -> Iterator[Loaded]:
        """Load one batch per entry of `places` (image indices, int64 [n], on the CPU), in order."""
        if not places:
            return
        source = (
            self._streamed(places)
            if self._resident is None
            else self._sliced(self._resident, places)
        )
        for images, labels in source:
            x, noisy = separate(pixels(images), self._split.images.shape[0])
            yield Loaded(x, labels, noisy)

    def _sliced(
        self, resident: Tensor, places: Sequence[Tensor]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.cat(list(places))
        labels = self._labels[order].to(self._device)
        on_device = order.to(self._device)
        sizes = [len(batch) for batch in places]
        pairs = zip(torch.split(on_device, sizes), torch.split(labels, sizes), strict=True)
        for batch, kinds in pairs:
            yield resident[batch], kinds

    def _streamed(self, places: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        loader = DataLoader(
            _Batches(self._split, self._labels),
            batch_size=None,
            sampler=places,
            num_workers=min(self._workers, usable_cores()),  # more are slower, and torch says so
            pin_memory=self._device.type == "cuda",
            worker_init_fn=_leave_signals_to_the_parent,
            generator=torch.Generator(),  # else the loader draws from the global one
        )
        for images, labels in loader:
            yield (
                images.to(self._device, non_blocking=True),
                labels.to(self._device, non_blocking=True),
            )


class _Batches(Dataset[tuple[Tensor, Tensor]]):
    """A data set whose index is a tensor of image indices and whose item is their batch."""

    def __init__(self, split: Split, labels: Tensor) -> None:
        self._images, self._labels = split.images, labels

    def __getitem__(self, places: Tensor) -> tuple[Tensor, Tensor]:
        return self._images.read(places), self._labels[places % len(self._labels)]


def _leave_signals_to_the_parent(_: int) -> None:
    """Go on until the parent ends: it needs batches to finish its step, and then says stop.

    Terminals, systemd and Slurm send signals to all processes of a job at once. A parent that is
    killed is noticed by torch's watchdog.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def fits(splits: Sequence[Split], device: torch.device) -> bool:
    """Whether all images are in memory and can be kept on the device."""
    if not all(split.images.in_memory for split in splits):
        return False
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(split.images.nbytes for split in splits) <= _SHARE * free


def pixels(images: Tensor) -> Tensor:
    """Convert images to float32 in [0, 1], from uint8 0 to 255 or float32 in [0, 1]."""
    return images.to(torch.float32).div_(255) if images.dtype == torch.uint8 else images
