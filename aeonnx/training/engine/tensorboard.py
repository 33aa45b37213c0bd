"""Write TensorBoard events, for `--log-dir`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aeonnx._util.optional import require_modules
from aeonnx.checkpoint.history import Epoch

__all__ = ["Log", "logging_to"]


class Log:
    """Writes epochs and pictures as TensorBoard events, or nothing.

    Args:
        writer: torch's SummaryWriter; None to write nothing.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def epoch(self, number: int, epoch: Epoch) -> None:
        """Write the scalars of an epoch under its stage's name; `number` counts over all stages."""
        if self._writer is None:
            return
        scalars = {
            **{f"train/{name}": value for name, value in epoch.train.items()},
            **{f"test/{name}": value for name, value in epoch.test.items()},
            "lr": epoch.lr,
            "images_per_s": epoch.images_per_s,
        }
        if epoch.held_out is not None:
            scalars["held_out/loss"] = epoch.held_out
        for name, value in scalars.items():
            self._writer.add_scalar(f"{epoch.stage}/{name}", value, number)
        self._writer.flush()

    def pictures(self, paths: Iterable[Path]) -> None:
        """Write PNG files under their names."""
        if self._writer is None:
            return
        for path in paths:
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self._writer.add_image(path.stem, pixels, dataformats="HWC")


@contextmanager
def logging_to(folder: Path | None) -> Iterator[Log]:
    """Open a log that writes to `folder`; with None it writes nothing.

    Raises:
        MissingExtraError: the tensorboard package is not installed.
    """
    if folder is None:
        yield Log(None)
        return
    require_modules("tensorboard", extra="tensorboard", purpose="--log-dir")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        yield Log(writer)
