"""Find the runs in folders, and what differs between them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aeonnx.checkpoint.history import Epoch
from aeonnx.checkpoint.runs import RunSummary, is_run, read_run
from aeonnx.errors import CheckpointError, UnknownNameError

__all__ = ["LOSS", "Comparison", "compare", "value_in"]

LOSS, HELD_OUT = "loss", "held_out"
"""Names of curves that are no test metrics: the training loss, and the loss on held-out images."""

_DATA = "data fingerprint"
_IN_THE_TABLE = ("model", "arch")


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side.

    Args:
        runs: the runs that could be read, by folder.
        unreadable: folder and reason of each that could not.
        differing: option -> its value in each run, as text, for those that are not the same in
            all runs; "-" where a run does not have it.
        metrics: names of the metrics to compare.
    """

    runs: tuple[RunSummary, ...]
    unreadable: tuple[tuple[Path, str], ...]
    differing: dict[str, tuple[str, ...]]
    metrics: tuple[str, ...]


def compare(folders: Sequence[Path], metrics: Sequence[str] = ()) -> Comparison:
    """Read runs and compare them.

    Args:
        folders: folders of runs, and folders that have runs at any depth.
        metrics: names of test metrics, "loss" or "held_out"; empty for all test metrics.

    Raises:
        CheckpointError: no run could be read; the message has a line per folder.
        UnknownNameError: no run has this metric.
    """
    runs: list[RunSummary] = []
    unreadable: list[tuple[Path, str]] = []
    seen: set[Path] = set()  # one run may be in several of the folders
    for folder in folders:
        found = {path.resolve(): path for path in _runs_below(folder)}
        if not found:
            unreadable.append((folder, _why_none(folder)))
        for path in (path for place, path in found.items() if place not in seen):
            try:
                runs.append(read_run(path))
            except CheckpointError as error:
                unreadable.append((path, str(error)))
        seen |= found.keys()
    if not runs:
        lines = "\n  ".join(reason for _, reason in unreadable)
        raise CheckpointError(f"no run could be read:\n  {lines}")
    known = dict.fromkeys(name for run in runs for name in (*run.metrics, *_tested(run.history)))
    for name in metrics:
        if all(value_in(epoch, name) is None for run in runs for epoch in run.history):
            raise UnknownNameError("metric", name, (*known, LOSS, HELD_OUT))
    return Comparison(
        tuple(runs), tuple(unreadable), _differing(runs), tuple(dict.fromkeys(metrics or known))
    )


def value_in(epoch: Epoch, name: str) -> float | None:
    """A metric of an epoch; None if it has no such metric."""
    if name == HELD_OUT:
        return epoch.held_out
    return epoch.train.get(LOSS) if name == LOSS else epoch.test.get(name)


def _tested(history: Iterable[Epoch]) -> Iterator[str]:
    for epoch in history:
        yield from epoch.test


def _runs_below(folder: Path) -> Iterator[Path]:
    """The folder if it is a run, else the runs in it, by name."""
    if is_run(folder):
        yield folder
        return
    for place, children, _ in os.walk(folder):
        here = [name for name in sorted(children, key=_natural) if not name.startswith(".")]
        children[:] = [name for name in here if not is_run(Path(place, name))]
        yield from (Path(place, name) for name in here if name not in children)


def _natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """A key that sorts "lr-2" before "lr-10"."""
    words = "".join(c if c.isdecimal() and c.isascii() else f" {c} " for c in name).split()
    return tuple((word.isdecimal(), int(word) if word.isdecimal() else 0, word) for word in words)


def _why_none(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}"
    return f"{folder} holds no run: a run is a folder that `aeonnx train` wrote"


def _differing(runs: Sequence[RunSummary]) -> dict[str, tuple[str, ...]]:
    listed = [{**run.options, _DATA: run.fingerprint} for run in runs]
    names = dict.fromkeys(name for one in listed for name in one)
    values = {name: tuple(_text(one.get(name)) for one in listed) for name in names}
    return {
        name: texts
        for name, texts in values.items()
        if len(set(texts)) > 1 and name not in _IN_THE_TABLE
    }


def _text(value: str | float | bool | None) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
