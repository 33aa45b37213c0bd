"""Progress on stderr: a bar on a terminal, plain lines elsewhere. Use with `closing`.

Both say how far the command is and how much time is left. A bar fits the terminal, however long
the names in it are; plain lines come seldom.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TaskID
from rich.text import Text

from aeonnx._util.text import counted, printable
from aeonnx.cli.tables import new_console

if TYPE_CHECKING:
    from aeonnx.tools.bench import Case
    from aeonnx.training import Epoch

__all__ = ["BenchProgress", "ExportProgress", "RowsProgress", "TrainingProgress"]

_LINE_SECONDS = 5.0  # between plain lines about finished epochs or rows
_WITHIN_SECONDS = 30.0  # between plain lines within an epoch
_QUIET_SECONDS = 1.0  # before the first progress; most commands take less
_BAR = 10  # letters of a bar


class _Clock:
    """Estimates how long the rest takes, at the mean pace since the first call of `left`.

    What a resumed run did before, and the first step, which prepares much, do not count.
    """

    def __init__(self) -> None:
        self._first: float | None = None
        self._began = 0.0

    def left(self, done: float, total: float) -> str:
        """ "0:01:10 left"; "" while there is no pace yet."""
        if self._first is None:
            self._first, self._began = done, time.monotonic()
        here = done - self._first
        if here <= 0:
            return ""
        seconds = (time.monotonic() - self._began) * max(total - done, 0) / here
        return f"{timedelta(seconds=round(seconds))} left"


class _Line(ProgressColumn):
    """The whole line of a bar: parts that the terminal has no room for are left out."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def render(self, task: Task) -> Text:
        width = self._console.width - 1
        filled = round(_BAR * task.percentage / 100)
        line = Text(_cut(task.fields["before"], width - _BAR - 1) + " ")
        line.append("━" * filled, "bar.complete")
        line.append("━" * (_BAR - filled), "bar.back")
        for part in filter(None, task.fields["after"]):
            text = f"  {printable(part)}"
            if line.cell_len + cell_len(text) > width:
                break
            line.append(text)
        return line


def _cut(text: str, width: int) -> str:
    shown = printable(text)
    return shown if cell_len(shown) <= width else set_cell_size(shown, max(width - 1, 0)) + "…"


class _Bar:
    """A bar on a terminal, and nothing elsewhere.

    `show` gets the text before the bar, and the parts after it in the order of importance.
    """

    def __init__(self) -> None:
        self.console = new_console(stderr=True)
        self._progress = Progress(
            _Line(self.console),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task: TaskID | None = None

    @property
    def on_terminal(self) -> bool:
        return self.console.is_terminal

    def show(self, done: float, total: float, before: str, after: Sequence[str]) -> None:
        if not self.on_terminal:
            return
        if self._task is None:
            self._task = self._progress.add_task("", total=total, before=before, after=after)
            self._progress.start()
        self._progress.update(
            self._task, completed=done, total=total, before=before, after=tuple(after)
        )

    def say(self, line: str) -> None:
        """Print a line that stays, above the bar."""
        self.console.print(line, soft_wrap=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()


class TrainingProgress:
    """Epochs with losses and images/s; a `training.Listener`."""

    def __init__(self, title: str) -> None:
        self._bar = _Bar()
        self._title = title
        self._epochs = self._done = self._per_epoch = self._images = 0
        self._status: tuple[str, ...] = ()
        self._unit = "image"
        self._clock = _Clock()
        self._last_line = 0.0

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bar.close()

    def started(self, device: str, epochs: int, images: int, done: int, unit: str) -> None:
        self._epochs, self._done, self._per_epoch = epochs, done, images
        self._images = done * images
        self._last_line = time.monotonic()
        before = f", {done} done before" if done else ""
        self._unit = unit
        size = f"{counted(images, unit)}, {counted(epochs, 'epoch')}"
        self._bar.say(f"Training {self._title}: {size}{before}, on {device}")
        self._bar.show(self._images, self._total, f"epoch {self._epoch}", (self._percent,))

    def advanced(self, images: int) -> None:
        self._images += images
        left = self._show()
        since = time.monotonic() - self._last_line
        if not self._bar.on_terminal and since > _WITHIN_SECONDS:
            self._say(f"epoch {self._epoch}", self._percent, left)

    def warned(self, text: str) -> None:
        self._bar.say(f"Warning: {text}")

    def finished_epoch(self, epoch: Epoch) -> None:
        name, value = next(iter(epoch.test.items()))
        self._done += 1
        self._images = self._done * self._per_epoch
        loss, test = f"loss {epoch.train['loss']:.4g}", f"test {name} {value:.4g}"
        speed = f"{epoch.images_per_s:,.0f} {self._unit}s/s"
        self._status = (loss, test, speed, epoch.stage)
        left = self._show()
        over = self._done == self._epochs
        due = time.monotonic() - self._last_line > _LINE_SECONDS or over
        if not self._bar.on_terminal and due:
            place = f"epoch {self._done}/{self._epochs}"
            self._say(place, epoch.stage, loss, test, speed, "" if over else left)

    @property
    def _epoch(self) -> str:
        return f"{min(self._done + 1, self._epochs)}/{self._epochs}"

    @property
    def _total(self) -> int:
        return self._epochs * self._per_epoch

    @property
    def _percent(self) -> str:
        return f"{100 * self._images / max(self._total, 1):.0f}%"

    def _show(self) -> str:
        """Update the bar; returns how much time is left."""
        left = self._clock.left(self._images, self._total)
        parts = (self._percent, left, *self._status)
        self._bar.show(self._images, self._total, f"epoch {self._epoch}", parts)
        return left

    def _say(self, *parts: str) -> None:
        self._bar.say("  ".join(filter(None, parts)))
        self._last_line = time.monotonic()


class RowsProgress:
    """Rows done and rows/s; call it with (done, count). Shows nothing in the first second."""

    def __init__(self, verb: str) -> None:
        self._bar = _Bar()
        self._verb, self._began, self._clock = verb, time.monotonic(), _Clock()
        self._last_line = self._began

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bar.close()

    def __call__(self, done: int, count: int) -> None:
        now, left = time.monotonic(), self._clock.left(done, count)
        if now - self._began < _QUIET_SECONDS:
            return
        rate = f"{done / (now - self._began):,.0f}/s"
        if self._bar.on_terminal:
            self._bar.show(done, count, self._verb, (f"{done:,}/{count:,}", left, rate))
        elif now - self._last_line > _LINE_SECONDS:
            parts = (f"{self._verb}: {done:,} of {count:,}", rate, left)
            self._bar.say(", ".join(filter(None, parts)))
            self._last_line = now


class ExportProgress:
    """The part that is being exported; an `exporting.Listener`."""

    def __init__(self) -> None:
        self._console = new_console(stderr=True)
        self._status = self._console.status("Loading the checkpoint")
        if self._console.is_terminal:
            self._status.start()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._status.stop()

    def exporting(self, part: str, variant: str, number: int, total: int) -> None:
        line = f"Exporting {part} ({variant}), {number} of {total}, and comparing it with torch"
        if self._console.is_terminal:
            self._status.update(Text(_cut(line, self._console.width - 2)))  # 2: the spinner
        else:
            self._console.print(line, soft_wrap=True)


class BenchProgress:
    """A line per cell; a `bench.Listener`. No moving bar, which would disturb the measurement."""

    def __init__(self) -> None:
        self._console = new_console(stderr=True)
        self._clock = _Clock()

    def measuring(self, case: Case, number: int, total: int) -> None:
        provider = case.provider.removesuffix("ExecutionProvider")
        left = self._clock.left(number - 1, total)
        line = (
            f"{number}/{total}  {case.part} ({case.variant}), batch {case.batch:,}, "
            f"{provider}, threads {case.threads}" + (f"  {left}" if left else "")
        )
        self._console.print(line, soft_wrap=True)
