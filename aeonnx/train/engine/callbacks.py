"""Who is told how training goes on."""

from __future__ import annotations

from typing import Protocol

from aeonnx.checkpoint.history import Epoch

__all__ = ["Listener", "Silent"]


class Listener(Protocol):
    """Is told how training goes on."""

    def started(self, device: str, epochs: int, images: int, done: int) -> None:
        """`epochs` are those of all stages, `images` those of one; `done` epochs came before."""

    def advanced(self, images: int) -> None:
        """So many more images were learned from."""

    def finished_epoch(self, epoch: Epoch) -> None:
        """An epoch and its test are over."""

    def warned(self, text: str) -> None:
        """Something that people should know."""


class Silent:
    """Tells nobody."""

    def started(self, device: str, epochs: int, images: int, done: int) -> None: ...

    def advanced(self, images: int) -> None: ...

    def finished_epoch(self, epoch: Epoch) -> None: ...

    def warned(self, text: str) -> None: ...
