"""Sources of models: training runs, or models from elsewhere. Standard library only."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from aeonnx.catalog.adapters import adapter_of
from aeonnx.errors import CheckpointError, UsageError

__all__ = ["Source", "default_folder", "is_folder"]


def default_folder(model: str) -> Path:
    """The folder of a run where `aeonnx train` gets no `-o`: `runs/<model>`."""
    return Path("runs") / model


def is_folder(path: Path, model: str) -> bool:
    """Whether a checkpoint is the folder of a run (True) or a file (False).

    Raises:
        CheckpointError: the path does not exist (the message names the command that trains one) or
            cannot be accessed.
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
    """Where the model of a bundle comes from: a checkpoint, or what `--from` names.

    Args:
        checkpoint: folder or file, see `checkpoint.load`.
        from_source: "module:package.module:factory", or another source, see `adapter_of`.
        weights: file with the weights of that module.
        latents: one of `LATENTS`, for `from_source`.
    """

    checkpoint: Path | None = None
    from_source: str | None = None
    weights: Path | None = None
    latents: str = "plain"

    def __str__(self) -> str:
        return str(self.checkpoint or self.from_source)

    def check(self, option: str, model: str) -> None:
        """Check the combination of options and that the files exist, without torch.

        Args:
            option: the option that names the checkpoint, for messages.
            model: name of the model.

        Raises:
            UsageError: checkpoint and `--from` are both given, weights are given without `--from`,
                or the value of `--from` names no source.
            CheckpointError: a file does not exist.
        """
        if self.from_source is not None:
            adapter_of(self.from_source)
        if self.checkpoint and self.from_source:
            raise UsageError(
                f"{option} is for a model of aeonnx: with --from, pass a file with the "
                "module's weights as --weights"
            )
        _check_weights(self.from_source, self.weights, option)
        if self.checkpoint:
            is_folder(self.checkpoint, model)

    @property
    def named(self) -> bool:
        """Whether a checkpoint or another source is given."""
        return self.checkpoint is not None or self.from_source is not None


def _check_weights(from_source: str | None, weights: Path | None, option: str) -> None:
    """Check that `weights`, if given, is a file and comes with a module.

    Raises:
        UsageError: there is no module.
        CheckpointError: there is no such file.
    """
    if weights is None:
        return
    if not from_source:
        raise UsageError(
            f"--weights is for --from: for a model of aeonnx, pass the file as {option}"
        )
    if not weights.is_file():
        what = "it is a folder" if weights.is_dir() else "there is no such file"
        raise CheckpointError(f"--weights {weights}: {what}")
