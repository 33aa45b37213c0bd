"""A run that is in the folder already: kept, or gone on with by what it saved."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from aeonnx import checkpoint
from aeonnx.checkpoint import states
from aeonnx.errors import CheckpointError, DataError, OutputError
from aeonnx.train.data import DATA_SETS
from aeonnx.train.options import TrainOptions, check, resumed

__all__ = ["from_run", "nothing_there", "refuse_run_there", "resumed_from"]


def refuse_run_there(options: TrainOptions) -> None:
    """Keep a run that nobody said to replace.

    Raises:
        OutputError: there is a run, finished or stopped, and `force` is not set.
    """
    output = options.folder
    if options.force:
        return
    there = (output / checkpoint.CONFIG).exists()
    if states.exists(output):
        found = states.latest(output)
        if found is None or not found.finished:
            where = "" if found is None else f", stopped in {found.place}"
            raise OutputError(
                f"{output} holds a run that is not finished{where}: pass --resume to go on from "
                "it, --force to begin anew, or another -o"
            )
        there = True
    if there:
        raise OutputError(
            f"{output} holds a checkpoint already: pass --resume to go on from it, --force to "
            "replace it, or another -o"
        )


def resumed_from(options: TrainOptions, output: Path) -> TrainOptions:
    """The options of a run to resume, with what is given now.

    Raises:
        CheckpointError: there is no state, or none that can be read.
        UsageError: an option is given that is not the run's.
    """
    found = states.newest(output)
    if found is None:
        raise CheckpointError(nothing_there(output))
    saved = found.state.options
    data = saved.data if saved.data in DATA_SETS else _from_here(saved.data, output)
    if options.data is None and saved.data not in DATA_SETS and not os.path.exists(data):
        raise DataError(
            f"{data}, which {output} was trained on, is not there: say with --data where it is now"
        )
    data_dir = None if saved.data_dir is None else _from_here(saved.data_dir, output)
    taken = resumed(options, replace(saved, data=data, data_dir=data_dir))
    check(taken)
    return taken


def nothing_there(output: Path) -> str:
    """What is said where there is nothing to resume."""
    return (
        f"nothing to resume in {output}: it holds no saved state. Leave --resume out to train from "
        "the beginning"
    )


def from_run(path: str, run: Path) -> str:
    """A path as it is saved: one that was given from here on is kept from the run's folder on.

    So that the state names no folder that the user did not, and that the run is resumed from
    anywhere.
    """
    path = os.path.expanduser(path) if path.startswith("~") else path
    return path if os.path.isabs(path) else os.path.relpath(path, run)


def _from_here(path: str, run: Path) -> str:
    """A saved path as it can be opened."""
    if os.path.isabs(path):
        return path
    here = os.path.normpath(run / path)
    return here if os.sep in here else os.path.join(os.curdir, here)
