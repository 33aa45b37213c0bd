"""Write TensorBoard events, for `--tensorboard`: a folder per run and stage.

    runs/vae/tensorboard/train/events.out.tfevents...

TensorBoard draws a curve for each folder with events and a chart for each name, so that
`tensorboard --logdir runs` compares all runs below `runs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aeonnx._util.optional import require_modules
from aeonnx.checkpoint.history import Epoch

__all__ = ["FOLDER", "Log", "logging_to"]

FOLDER = "tensorboard"
"""Name of the folder of events in a run's folder."""

_EVENTS = "events.out.tfevents.*"


class Log:
    """Writes epochs and pictures as TensorBoard events, or nothing.

    Args:
        folder: folder of the events of all stages; None to write nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def epoch(self, number: int, epoch: Epoch) -> None:
        """Write the scalars of an epoch; `number` counts from 1 over all stages."""
        if self._folder is None:
            return
        if number == 1:
            _remove_events(self._folder)  # of a run that this one replaces
        scalars = {
            **{f"train/{name}": value for name, value in epoch.train.items()},
            **{f"test/{name}": value for name, value in epoch.test.items()},
            "lr": epoch.lr,
            "images_per_s": epoch.images_per_s,
        }
        if epoch.held_out is not None:
            scalars["held_out/loss"] = epoch.held_out
        writer = self._writer(self._folder, epoch.stage, number)
        for name, value in scalars.items():
            writer.add_scalar(name, value, number)
        writer.flush()

    def pictures(self, paths: Iterable[Path], history: Sequence[Epoch]) -> None:
        """Write PNG files under their names, with the events of the last epoch's stage."""
        if self._folder is None:
            return
        writer = self._writer(self._folder, history[-1].stage, len(history) + 1)
        for path in paths:
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            writer.add_image(path.stem, pixels, len(history), dataformats="HWC")

    def close(self) -> None:
        """Write what is left to the disk."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, folder: Path, stage: str, number: int) -> Any:
        """The writer of a stage, whose first event has this number.

        A run that resumes from an earlier state trains some epochs again: the events that were
        written for them, and for those after them, do not count any more.
        """
        if stage not in self._writers:
            from torch.utils.tensorboard import SummaryWriter

            self._writers[stage] = SummaryWriter(folder / stage, purge_step=number)
        return self._writers[stage]


@contextmanager
def logging_to(folder: Path | None) -> Iterator[Log]:
    """Open a log that writes to `folder`; with None it writes nothing.

    Raises:
        MissingExtraError: the tensorboard package is not installed.
    """
    if folder is not None:
        require_modules("tensorboard", extra="tensorboard", purpose="--tensorboard")
    log = Log(folder)
    try:
        yield log
    finally:
        log.close()


def _remove_events(folder: Path) -> None:
    for path in list(folder.rglob(_EVENTS)):
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()  # if it is empty now
