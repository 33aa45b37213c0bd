"""What a run's folder says about the run: options, epochs and metrics. Needs no torch.

The newest undamaged `state/*/state.json` says most. Without states, as where only the checkpoint
was copied, config.json and metrics.jsonl say the same except whether the run is finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aeonnx._util import files, serde
from aeonnx.bundle import Training
from aeonnx.checkpoint._names import (
    CHECKPOINT,
    CONFIG,
    METRICS,
    MOST_CONFIG,
    MOST_STATE_JSON,
    STATE,
    STATES,
    numbered,
    read_state_json,
    read_sums,
)
from aeonnx.checkpoint.history import Epoch, RunOptions
from aeonnx.errors import CheckpointError

__all__ = ["RunSummary", "is_run", "read_run"]

Value = str | float | bool
_DIGEST = 12  # hex digits of the data's fingerprint that are shown


@dataclass(frozen=True)
class RunSummary:
    """What a run's folder says about the run.

    Args:
        folder: folder of the run.
        model: name of the model.
        arch: its architecture.
        finished: whether all epochs are done; None if the folder has no states, which say it.
        options: options by their names on the command line, without dashes; those that are not
            set are left out.
        fingerprint: the first 12 hex digits of the fingerprint of the data.
        weights: the weights that `metrics` belong to, such as "epoch 7 of 12, the best".
        metrics: metrics of these weights on the test images, by name.
        history: the completed epochs of all stages.
    """

    folder: Path
    model: str
    arch: str
    finished: bool | None
    options: dict[str, Value]
    fingerprint: str
    weights: str
    metrics: dict[str, float]
    history: tuple[Epoch, ...]

    @property
    def seconds(self) -> float:
        """Duration of all training steps, without testing."""
        return sum(epoch.seconds for epoch in self.history)


@dataclass(frozen=True)
class _Model:
    """The part of a model's configuration that options set."""

    model: str
    arch: str
    hidden: tuple[int, ...]
    latent_size: int


@dataclass(frozen=True)
class _Record:
    """The part of config.json that is read here."""

    model: _Model
    training: Training


@dataclass(frozen=True)
class _State:
    """The part of state.json that is read here."""

    options: RunOptions
    model: _Model
    epochs: tuple[Epoch, ...]
    last: Training
    best: Training | None
    finished: bool


def is_run(folder: Path) -> bool:
    """Whether a folder has a checkpoint or states."""
    return (folder / CONFIG).is_file() or bool(numbered(folder / STATES))


def read_run(folder: Path) -> RunSummary:
    """Read what a run's folder says about the run.

    Raises:
        CheckpointError: there is no run, or its files are damaged.
    """
    problem = f"no run at {folder}: it has neither {CONFIG} nor saved states"
    for path in numbered(folder / STATES):
        try:
            text = read_state_json(path, read_sums(path))
            return _of_state(folder, serde.load(_State, text, *STATE))
        except (OSError, ValueError, OverflowError) as error:
            problem = f"{path}: {error}"
    if not (folder / CONFIG).is_file():
        raise CheckpointError(problem)
    path = folder / CONFIG
    try:
        record = serde.load(_Record, files.read_bytes(path, MOST_CONFIG), *CHECKPOINT)
        path = folder / METRICS
        history = serde.load_lines(Epoch, files.read_bytes(path, MOST_STATE_JSON))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, OverflowError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    options = {**_options(record.model, record.training), "epochs": record.training.epochs}
    return _summary(folder, record.model, None, options, record.training, history)


def _of_state(folder: Path, state: _State) -> RunSummary:
    options = {**_options(state.model, state.last), "epochs": state.options.epochs}
    return _summary(
        folder, state.model, state.finished, options, state.best or state.last, state.epochs
    )


def _summary(
    folder: Path,
    model: _Model,
    finished: bool | None,
    options: dict[str, Value],
    record: Training,
    history: tuple[Epoch, ...],
) -> RunSummary:
    tested = record.metrics or (history[-1].test if history else {})
    return RunSummary(
        folder=folder,
        model=model.model,
        arch=model.arch,
        finished=finished,
        options=options,
        fingerprint=record.data_fingerprint[:_DIGEST],
        weights=record.weights,
        metrics=tested,
        history=history,
    )


def _options(model: _Model, record: Training) -> dict[str, Value]:
    """The options in config.json and in state.json."""
    optimizer = {name: value for name, value in record.optimizer.items() if name != "held_out"}
    held_out = record.optimizer.get("held_out")
    found: dict[str, Value] = {
        "model": model.model,
        "arch": model.arch,
        "hidden": ",".join(map(str, model.hidden)),
        "latent": model.latent_size,
        "data": record.data,
        "batch_size": record.batch_size,
        "lr": record.lr,
        **optimizer,
        **({"held_out": held_out} if held_out else {}),
        **record.options,
        "seed": record.seed,
    }
    return {name.replace("_", "-"): value for name, value in found.items()}
