"""Progress: bars fit the terminal, plain lines come seldom, and both say what is left."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from aeonnx.cli import progress
from aeonnx.cli.progress import (
    BenchProgress,
    ExportProgress,
    RowsProgress,
    TrainingProgress,
)
from aeonnx.cli.tables import _Console
from aeonnx.training import Epoch

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def on(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, width: int = 80) -> io.StringIO:
    """What the next progress writes, to a terminal of this width or to a pipe."""
    file = io.StringIO()
    console = {"highlight": False, "markup": False, "emoji": False, "file": file}
    made = _Console(**console, width=width, force_terminal=terminal, _environ={"TERM": "xterm"})
    monkeypatch.setattr(progress, "new_console", lambda **_: made)
    return file


def shown(file: io.StringIO) -> list[str]:
    """The lines, without what steers the terminal."""
    return [line for line in re.split(r"[\r\n]+", _ESCAPES.sub("", file.getvalue())) if line]


def epoch(number: int, stage: str = "train", metric: str = "psnr") -> Epoch:
    loss, rate = 0.12345, 12345.6
    return Epoch(stage, number, 1.0, rate, 1e-3, 0, {"loss": loss}, None, {metric: 21.5})


_NAMES = st.text(max_size=120)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stage=_NAMES, metric=_NAMES, width=st.integers(30, 120), done=st.integers(0, 999))
def test_bars_fit_the_terminal(
    monkeypatch: pytest.MonkeyPatch, stage: str, metric: str, width: int, done: int
) -> None:
    file = on(monkeypatch, terminal=True, width=width)
    training = TrainingProgress("vae")
    training.started("cpu", 1000, 60_000, done, "image")
    training.advanced(128)
    training.advanced(128)
    training.finished_epoch(epoch(done + 1, stage, metric))
    training.close()
    bars = [line for line in shown(file) if "━" in line]
    assert bars
    assert all(line.startswith(f"epoch {done + 1}/1000"[: width - 12]) for line in bars[:1])
    rows = RowsProgress(stage)
    rows._began -= 2
    rows(10**6, 10**9)
    rows(10**6 + 5, 10**9)
    rows.close()
    exporting = ExportProgress()
    exporting.exporting(stage, metric, 1, 12)
    exporting._status._live.refresh()
    exporting.close()
    for line in shown(file):
        assert cell_len(line) <= width or line.startswith("Training vae"), line


def test_a_bar_of_80_columns_has_what_matters(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    file = on(monkeypatch, terminal=True)
    training = TrainingProgress("vae")
    training.started("cpu", 20, 60_000, 0, "image")
    for _ in range(4):
        clock.now += 10
        training.advanced(15_000)
    training.finished_epoch(epoch(1, "train", "negative_elbo"))
    training.close()
    assert "epoch 2/20 ━━━━━━━━━━  5%  0:12:40 left  loss 0.1235  test negative_elbo 21.5" in shown(
        file
    )


def plain(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, seconds: float, epochs: int, done: int = 0
) -> Iterator[str]:
    """Lines of a training in steps of `seconds`, ten per epoch."""
    file = on(monkeypatch, terminal=False)
    training = TrainingProgress("vae")
    training.started("cpu", epochs, 100, done, "image")
    for number in range(done + 1, epochs + 1):
        for _ in range(10):
            clock.now += seconds
            training.advanced(10)
        training.finished_epoch(epoch(number))
    training.close()
    assert "\x1b" not in file.getvalue()
    assert "━" not in file.getvalue()
    yield from file.getvalue().splitlines()


def test_a_pipe_gets_few_lines_that_say_what_is_left(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """Epochs of a second: a line per five seconds or more, and one at the end."""
    lines = list(plain(monkeypatch, clock, 0.1, 60))
    assert lines[0] == "Training vae: 100 images, 60 epochs, on cpu"
    assert 8 <= len(lines) <= 13
    assert re.fullmatch(
        r"epoch \d+/60  train  loss 0.1235  test psnr 21.5  12,346 images/s  0:00:5\d left",
        lines[1],
    )
    assert lines[-1] == "epoch 60/60  train  loss 0.1235  test psnr 21.5  12,346 images/s"


def test_a_long_epoch_is_told_of_before_it_is_over(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    lines = list(plain(monkeypatch, clock, 20.0, 1))
    assert lines[1] == "epoch 1/1  20%  0:02:40 left"
    assert lines[2] == "epoch 1/1  40%  0:02:00 left"
    assert len(lines) == 7


def test_what_a_resumed_run_did_before_does_not_shorten_the_rest(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    lines = list(plain(monkeypatch, clock, 20.0, 10, done=8))
    assert lines[0].endswith("10 epochs, 8 done before, on cpu")
    assert lines[1] == "epoch 9/10  82%  0:06:00 left"


def test_rows_in_a_pipe(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    file = on(monkeypatch, terminal=False)
    rows = RowsProgress("encode")
    for done in range(0, 20_001, 1000):
        rows(done, 20_000)
        clock.now += 1
    rows.close()
    first, *more = file.getvalue().splitlines()
    assert first == "encode: 6,000 of 20,000, 1,000/s, 0:00:14 left"
    assert len(more) == 2
    assert "\x1b" not in file.getvalue()


def test_a_quick_command_is_silent(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    for terminal in (True, False):
        file = on(monkeypatch, terminal=terminal)
        rows = RowsProgress("encode")
        rows(1, 2)
        clock.now += 0.5
        rows(2, 2)
        rows.close()
        assert file.getvalue() == ""


def test_measurements_say_what_is_left(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    file = on(monkeypatch, terminal=False)
    case: Any = SimpleNamespace(
        part="decoder", variant="fp32", batch=1024, provider="CPUExecutionProvider", threads=2
    )
    bench = BenchProgress()
    for number in (1, 2, 3):
        bench.measuring(case, number, 3)
        clock.now += 60
    assert file.getvalue().splitlines() == [
        "1/3  decoder (fp32), batch 1,024, CPU, threads 2",
        "2/3  decoder (fp32), batch 1,024, CPU, threads 2  0:02:00 left",
        "3/3  decoder (fp32), batch 1,024, CPU, threads 2  0:01:00 left",
    ]
