"""Progress on stderr: a bar on a terminal, plain lines elsewhere. Use with `closing`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from aeonnx._util.text import printable
from aeonnx.cli.tables import new_console

if TYPE_CHECKING:
    from aeonnx.tools.bench import Case
    from aeonnx.training import Epoch

__all__ = ["BenchProgress", "ExportProgress", "RowsProgress", "TrainingProgress"]

_LINE_SECONDS = 5.0  # between plain lines
_QUIET_SECONDS = 1.0  # before the first progress; most commands take less


class TrainingProgress:
    """Epochs with losses and images/s; a `train.Listener`."""

    def __init__(self, title: str) -> None:
        self._console = new_console(stderr=True)
        self._title = title
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[status]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._epochs = self._done = 0
        self._last_line = 0.0

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def started(self, device: str, epochs: int, images: int, done: int) -> None:
        self._epochs, self._done = epochs, done
        before = f", {done} done before" if done else ""
        line = f"Training {self._title}: {images} images, {epochs} epochs{before}, on {device}"
        self._console.print(line, soft_wrap=True)
        self._task = self._bar.add_task(
            "",
            total=epochs * images,
            completed=done * images,
            epoch=f"{min(done + 1, epochs)}/{epochs}",
            status="",
        )
        self._bar.start()

    def advanced(self, images: int) -> None:
        self._bar.advance(self._task, images)

    def warned(self, text: str) -> None:
        self._console.print(f"Warning: {text}", soft_wrap=True)

    def finished_epoch(self, epoch: Epoch) -> None:
        test = next(iter(epoch.test.items()))
        status = (
            f"{epoch.stage}  loss {epoch.train['loss']:.4g}  test {test[0]} {test[1]:.4g}  "
            f"{epoch.images_per_s:,.0f} images/s"
        )
        self._done += 1
        following = min(self._done + 1, self._epochs)
        self._bar.update(self._task, epoch=f"{following}/{self._epochs}", status=status)
        due = time.monotonic() - self._last_line > _LINE_SECONDS or self._done == self._epochs
        if not self._console.is_terminal and due:
            line = f"epoch {self._done}/{self._epochs}  {status}"
            self._console.print(line, soft_wrap=True)
            self._last_line = time.monotonic()


class RowsProgress:
    """Rows done and rows/s; call it with (done, count). Shows nothing in the first second."""

    def __init__(self, verb: str) -> None:
        self._console = new_console(stderr=True)
        self._bar = Progress(
            TextColumn(verb),
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._verb, self._began = verb, time.monotonic()
        self._last_line = self._began
        self._task: TaskID | None = None

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def __call__(self, done: int, count: int) -> None:
        now = time.monotonic()
        rate = f"{done / max(now - self._began, 1e-9):,.0f}/s"
        if self._task is None:
            if now - self._began < _QUIET_SECONDS:
                return
            self._task = self._bar.add_task("", total=count, rate=rate)
            self._bar.start()
        self._bar.update(self._task, completed=done, rate=rate)
        if not self._console.is_terminal and now - self._last_line > _LINE_SECONDS:
            line = f"{self._verb}: {done:,} of {count:,}, {rate}"
            self._console.print(line, soft_wrap=True)
            self._last_line = now


class ExportProgress:
    """The part that is being exported; an `export.Listener`."""

    def __init__(self) -> None:
        self._console = new_console(stderr=True)
        self._status = self._console.status("Loading the checkpoint")
        if self._console.is_terminal:
            self._status.start()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._status.stop()

    def exporting(self, part: str, variant: str) -> None:
        line = f"Exporting {part} ({variant}) and comparing it with torch"
        if self._console.is_terminal:
            self._status.update(Text(printable(line)))
        else:
            self._console.print(line)


class BenchProgress:
    """A line per cell; a `bench.Listener`. No moving bar, which would disturb the measurement."""

    def __init__(self) -> None:
        self._console = new_console(stderr=True)

    def measuring(self, case: Case, number: int, total: int) -> None:
        line = (
            f"{number}/{total}  {case.part} ({case.variant}), batch {case.batch:,}, "
            f"{case.provider}, threads {case.threads}"
        )
        self._console.print(line, soft_wrap=True)
