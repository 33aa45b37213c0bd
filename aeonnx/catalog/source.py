"""Where models come from: runs of training, or modules from elsewhere. Standard library only."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from aeonnx.errors import CheckpointError, UsageError

__all__ = ["Source", "default_folder", "is_folder"]


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


@dataclass(frozen=True)
class Source:
    """Where the model of a bundle comes from: one of both.

    Args:
        checkpoint: folder or file, see `checkpoint.load`.
        from_module: "package.module:factory" of a model from elsewhere, see `outside`.
        weights: a file to load into that module.
    """

    checkpoint: Path | None = None
    from_module: str | None = None
    weights: Path | None = None

    def __str__(self) -> str:
        return str(self.checkpoint or self.from_module)

    def check(self, option: str, model: str) -> None:
        """Check what needs no torch.

        Args:
            option: what names a checkpoint, for messages.
            model: name of the model.

        Raises:
            UsageError: both are named, or weights without a module.
            CheckpointError: there is no such file.
        """
        if self.checkpoint and self.from_module:
            raise UsageError(
                f"{option} is of a model of aeonnx: with --from-module, give a file with the "
                "module's weights as --weights"
            )
        _check_weights(self.from_module, self.weights, option)
        if self.checkpoint:
            is_folder(self.checkpoint, model)

    @property
    def named(self) -> bool:
        """Whether there is one."""
        return self.checkpoint is not None or self.from_module is not None


def _check_weights(from_module: str | None, weights: Path | None, option: str) -> None:
    """Check that weights have a module to go into, and are there.

    Raises:
        UsageError: there is no module.
        CheckpointError: there is no such file.
    """
    if weights is None:
        return
    if not from_module:
        raise UsageError(
            f"--weights is for --from-module: of a model of aeonnx, give the file as {option}"
        )
    if not weights.is_file():
        what = "it is a folder" if weights.is_dir() else "there is no such file"
        raise CheckpointError(f"--weights {weights}: {what}")
