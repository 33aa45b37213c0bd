"""Callbacks that report the progress of training."""

from __future__ import annotations

import logging
from typing import Protocol

from aeonnx._util.text import counted
from aeonnx.checkpoint.history import Epoch

__all__ = ["Listener", "Logged", "Silent"]

_LOG = logging.getLogger(__name__)


class Listener(Protocol):
    """Receives the progress of training."""

    def started(self, device: str, epochs: int, images: int, done: int, unit: str) -> None:
        """Training starts.

        Args:
            device: that it runs on.
            epochs: in all stages.
            images: per epoch.
            done: epochs that are over.
            unit: what an image is called, see `Split.unit`.
        """

    def advanced(self, images: int) -> None:
        """A step on this many training images is done."""

    def finished_epoch(self, epoch: Epoch) -> None:
        """An epoch and its evaluation on test images are done."""

    def warned(self, text: str) -> None:
        """A warning for the user."""


class Silent:
    """A listener that ignores all notifications."""

    def started(self, device: str, epochs: int, images: int, done: int, unit: str) -> None: ...

    def advanced(self, images: int) -> None: ...

    def finished_epoch(self, epoch: Epoch) -> None: ...

    def warned(self, text: str) -> None: ...


class Logged:
    """Logs epochs and warnings, and forwards all notifications to another listener."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def started(self, device: str, epochs: int, images: int, done: int, unit: str) -> None:
        each = counted(images, unit)
        _LOG.info("training on %s: %d epochs of %s, %d done", device, epochs, each, done)
        self._listener.started(device, epochs, images, done, unit)

    def advanced(self, images: int) -> None:
        self._listener.advanced(images)

    def finished_epoch(self, epoch: Epoch) -> None:
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in epoch.test.items())
        _LOG.info("%s, epoch %d: %s", epoch.stage, epoch.epoch, numbers)
        self._listener.finished_epoch(epoch)

    def warned(self, text: str) -> None:
        _LOG.warning("%s", text)
        self._listener.warned(text)
