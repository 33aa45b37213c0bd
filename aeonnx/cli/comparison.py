"""What `aeonnx runs` prints."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from aeonnx._util.text import printable
from aeonnx.checkpoint.runs import RunSummary
from aeonnx.cli.tables import new_console, print_json, say, table_of
from aeonnx.tools.runs import Comparison
from aeonnx.tools.runs.compare import value_in

__all__ = ["print_comparison"]

_STATES = {True: "finished", False: "unfinished", None: "-"}
_GAP = 2  # letters between columns


def print_comparison(found: Comparison, plot: Path | None, *, as_json: bool) -> None:
    """Print a table of the runs, one of the options that differ, and the plot's path."""
    for _, reason in found.unreadable:
        print(printable(f"Left out: {reason}"), file=sys.stderr)
    if as_json:
        print_json(
            {
                "runs": [_document(run) for run in found.runs],
                "differing": list(found.differing),
                "unreadable": [
                    {"folder": str(folder), "reason": reason} for folder, reason in found.unreadable
                ],
                "plot": plot and str(plot),
            }
        )
        return
    console = new_console()
    facts = {
        "run": [str(run.folder) for run in found.runs],
        "model": [run.model for run in found.runs],
        "arch": [run.arch for run in found.runs],
        "state": [_STATES[run.finished] for run in found.runs],
        "epochs": [str(len(run.history)) for run in found.runs],
        "seconds": [f"{run.seconds:.1f}" for run in found.runs],
    }
    metrics = {name: [_number(_final(run, name)) for run in found.runs] for name in found.metrics}
    names = {"run": facts["run"]}
    if _fits(console, {**facts, **metrics}):
        console.print(_table({**facts, **metrics}))
    else:
        console.print(_table(facts))
        console.print()
        console.print(_fitted(console, names, metrics, "metrics"))
    if found.differing:
        console.print("\nOptions that differ:")
        console.print(_fitted(console, names, found.differing, "options"))
    elif len(found.runs) > 1:
        console.print("\nAll options are the same.")
    if plot:
        print()
        say(str(plot))


def _fitted(
    console: Console,
    facts: Mapping[str, Sequence[str]],
    more: Mapping[str, Sequence[str]],
    name: str,
) -> Table:
    """A table with a column for each of `more`, or with one for all where they do not fit."""
    if _fits(console, {**facts, **more}):
        return _table({**facts, **more})
    rows = range(len(facts["run"]))
    texts = [
        ", ".join(f"{key} {values[row]}" for key, values in more.items() if values[row] != "-")
        for row in rows
    ]
    return _table({**facts, name: texts})


def _fits(console: Console, columns: Mapping[str, Sequence[str]]) -> bool:
    """Whether a table of these columns is no wider than the terminal."""
    widths = [max(map(cell_len, (key, *values))) for key, values in columns.items()]
    return sum(widths) + _GAP * (len(widths) - 1) <= console.width


def _table(columns: Mapping[str, Sequence[str]]) -> Table:
    made = table_of(*columns)
    for row in zip(*columns.values(), strict=True):
        made.add_row(*row)
    return made


def _final(run: RunSummary, metric: str) -> float | None:
    """The metric of the kept weights; of the last epoch that has one, for losses of training."""
    values = [value for epoch in run.history if (value := value_in(epoch, metric)) is not None]
    return run.metrics.get(metric, values[-1] if values else None)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _document(run: RunSummary) -> dict[str, object]:
    return {
        "folder": str(run.folder),
        "model": run.model,
        "arch": run.arch,
        "finished": run.finished,
        "epochs": len(run.history),
        "seconds": run.seconds,
        "weights": run.weights,
        "metrics": run.metrics,
        "options": run.options,
        "history": [asdict(epoch) for epoch in run.history],
    }
