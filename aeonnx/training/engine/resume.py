"""Existing runs in the output folder: refuse to overwrite them, or resume them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from aeonnx import checkpoint
from aeonnx.checkpoint import states
from aeonnx.errors import CheckpointError, DataError, OutputError
from aeonnx.training.data import DATA_SETS
from aeonnx.training.options import TrainOptions, check, resumed

__all__ = ["no_state_message", "refuse_existing_run", "relative_to_run", "resumed_from"]


def refuse_existing_run(options: TrainOptions) -> None:
    """Raise if the folder already has a run that would be overwritten.

    Raises:
        OutputError: the folder has a run, finished or stopped, and `force` is not set.
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
    """The given options, completed with the saved options of the run to resume.

    Raises:
        CheckpointError: there is no saved state, or all are damaged.
        UsageError: a given option differs from the run's.
        DataError: the run's data is no longer at its path, and no other path is given.
    """
    found = states.newest(output)
    if found is None:
        raise CheckpointError(no_state_message(output))
    saved = found.state.options
    data = saved.data if saved.data in DATA_SETS else _from_here(saved.data, output)
    if options.data is None and saved.data not in DATA_SETS and not os.path.exists(data):
        raise DataError(
            f"{data}, which {output} was trained on, is not there: say with "
            f"{'--pairs' if saved.noisy else '--data'} where it is now"
        )
    noisy = saved.noisy and _from_here(saved.noisy, output)
    data_dir = None if saved.data_dir is None else _from_here(saved.data_dir, output)
    taken = resumed(options, replace(saved, data=data, noisy=noisy, data_dir=data_dir))
    check(taken)
    return taken


def no_state_message(output: Path) -> str:
    """The message for a folder without a saved state."""
    return (
        f"nothing to resume in {output}: it holds no saved state. Leave --resume out to train from "
        "the beginning"
    )


def relative_to_run(path: str, run: Path) -> str:
    """A path as it is saved: a relative path is made relative to the run's folder.

    The state thus contains no folder names that the user did not give, and the run can be resumed
    from any working directory.
    """
    path = os.path.expanduser(path) if path.startswith("~") else path
    return path if os.path.isabs(path) else os.path.relpath(path, run)


def _from_here(path: str, run: Path) -> str:
    """A saved path in a form that can be opened from the current working directory."""
    if os.path.isabs(path):
        return path
    here = os.path.normpath(run / path)
    return here if os.sep in here else os.path.join(os.curdir, here)
