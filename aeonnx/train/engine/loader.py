"""Images on their way to the model: resident on the device, or streamed by workers.

Both give the same batches for the same places.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from aeonnx.train.data import Split

__all__ = ["BatchLoader", "fits", "pixels"]

_SHARE = 0.5  # of the GPU's free memory that images may take


class BatchLoader:
    """Batches of one half of a data set.

    Args:
        half: images and labels.
        device: where batches go.
        resident: keep all on the device; else read them batch by batch.
        workers: processes that read ahead when not resident; 0 reads in this one.
    """

    def __init__(self, half: Split, device: torch.device, *, resident: bool, workers: int) -> None:
        self.half = half
        self._device = device
        self._workers = workers
        count = len(half.images)
        self._labels = torch.full((count,), -1) if half.labels is None else half.labels
        self._resident = None
        if resident:
            self._resident = half.images.read(torch.arange(count)).to(device)

    def __len__(self) -> int:
        return len(self.half.images)

    def batches(self, places: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """One batch per entry of `places` (int64 [n], on the CPU), in order.

        Yields:
            Images float32 [n, C, H, W] in [0, 1] and labels int64 [n], -1 if there are none, both
            on the device.
        """
        if not places:
            return
        source = (
            self._streamed(places)
            if self._resident is None
            else self._sliced(self._resident, places)
        )
        for images, labels in source:
            yield pixels(images), labels

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
            _Rows(self.half, self._labels),
            batch_size=None,
            sampler=places,
            num_workers=self._workers,
            pin_memory=self._device.type == "cuda",
            worker_init_fn=_leave_signals_to_the_parent,
            generator=torch.Generator(),  # else it takes a number from the global one
        )
        for images, labels in loader:
            yield (
                images.to(self._device, non_blocking=True),
                labels.to(self._device, non_blocking=True),
            )


class _Rows(Dataset[tuple[Tensor, Tensor]]):
    """A batch per index, which is a tensor of places."""

    def __init__(self, half: Split, labels: Tensor) -> None:
        self._images, self._labels = half.images, labels

    def __getitem__(self, places: Tensor) -> tuple[Tensor, Tensor]:
        return self._images.read(places), self._labels[places]


def _leave_signals_to_the_parent(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def fits(halves: Sequence[Split], device: torch.device) -> bool:
    """Whether all images can stay on the device."""
    if not all(half.images.in_memory for half in halves):
        return False
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(half.images.nbytes for half in halves) <= _SHARE * free


def pixels(images: Tensor) -> Tensor:
    """uint8 0 to 255, or float32 in [0, 1] -> float32 in [0, 1], same shape."""
    return images.to(torch.float32).div_(255) if images.dtype == torch.uint8 else images
