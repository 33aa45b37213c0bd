"""Where training puts runs, and whether there is one. Standard library only."""

from __future__ import annotations

import shlex
from pathlib import Path

from aeonnx.errors import CheckpointError

__all__ = ["default_folder", "is_folder"]


def default_folder(model: str) -> Path:
    """Where `aeonnx train` puts a run that was given no other place."""
    return Path("runs") / model


def is_folder(path: Path, model: str) -> bool:
    """Whether a checkpoint is the folder of a run; else it is a file.

    Raises:
        CheckpointError: there is nothing, or it cannot be looked at; with the command that makes
            one.
    """
    try:
        path.stat()
        return path.is_dir()
    except FileNotFoundError:
        raise CheckpointError(
            f"no checkpoint at {path}. Train one with: aeonnx train --model {model} -o "
            f"{shlex.quote(str(path))}"
        ) from None
    except (OSError, ValueError) as error:  # a loop of links, a name too long, a NUL
        raise CheckpointError(f"cannot read {path}: {error}") from error
