"""Callbacks that report the progress of training."""

from __future__ import annotations

from typing import Protocol

from aeonnx.checkpoint.history import Epoch

__all__ = ["Listener", "Silent"]


class Listener(Protocol):
    """Receives the progress of training."""

    def started(self, device: str, epochs: int, images: int, done: int) -> None:
        """Training starts: `epochs` in all stages, `images` per epoch, `done` epochs are over."""

    def advanced(self, images: int) -> None:
        """A step on this many training images is done."""

    def finished_epoch(self, epoch: Epoch) -> None:
        """An epoch and its evaluation on test images are done."""

    def warned(self, text: str) -> None:
        """A warning for the user."""


class Silent:
    """A listener that ignores all notifications."""

    def started(self, device: str, epochs: int, images: int, done: int) -> None: ...

    def advanced(self, images: int) -> None: ...

    def finished_epoch(self, epoch: Epoch) -> None: ...

    def warned(self, text: str) -> None: ...
