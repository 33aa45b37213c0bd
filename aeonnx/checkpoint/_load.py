"""Read a checkpoint: check sizes, dtypes and digests first, then build the model."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from aeonnx._util import files
from aeonnx.bundle import Training
from aeonnx.catalog.source import is_folder
from aeonnx.checkpoint import _tensors as tensors
from aeonnx.checkpoint import states
from aeonnx.checkpoint._fit import fitted
from aeonnx.checkpoint._into import cast, say
from aeonnx.checkpoint._plain import StateDict, read_state_dicts
from aeonnx.checkpoint._record import CONFIG, Examples, Record, read_record
from aeonnx.checkpoint._weights import checkpoint_id, mismatch_message, mismatches, nonfinite_part
from aeonnx.errors import CheckpointError, IntegrityError, UsageError
from aeonnx.models import (
    Columns,
    ExternalConfig,
    Model,
    ModelConfig,
    archs,
    build,
    classifies,
    conditional,
    configure,
)

__all__ = ["Checkpoint", "load"]

_TRIES = 20  # reads of a folder, while a run commits new checkpoints to it
# A bare state_dict does not contain the shape of its images.
_BARE_INPUT_SHAPE = (1, 28, 28)


@dataclass(frozen=True)
class Checkpoint:
    """A trained model.

    Args:
        model: the model with its weights, on the CPU, in eval mode.
        config: the configuration that it was built from; for a model from elsewhere its names.
        checkpoint_id: SHA-256 of configuration and weights; parts with the same one share a latent
            space.
        examples: images of the data set; None for external weights.
        training: record of the training run; None for external weights.
    """

    model: Model
    config: ModelConfig | ExternalConfig
    checkpoint_id: str
    examples: Examples | None
    training: Training | None


def load(path: Path, model: str, state: str | None = None) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: a folder written by `aeonnx train`, or a file with a state dict of a model with
            default widths, in any form that `load_weights` accepts.
        model: name of the expected model.
        state: "best" or "last" to read these weights from the run's newest saved state instead of
            the finished checkpoint, as for a run that was stopped.

    Raises:
        CheckpointError: the checkpoint is missing, truncated, changed, or of another model.
        UnknownNameError: there is no such model.
        UsageError: `state` is given for a file.
    """
    known_archs = archs(model)
    folder = is_folder(path, model)
    if state is not None:
        if not folder:
            raise UsageError(
                f"--state needs a run's folder, and {path} is a file: leave --state out"
            )
        return _of_state(path, model, state)
    if folder:
        return _of_folder(path, model)
    if classifies(model):
        raise CheckpointError(
            f"{path} is not a folder: {model} needs the names of its classes, which a bare "
            f"state_dict lacks. Pass the folder of a run of: aeonnx train --model {model}"
        )
    return _bare(path, read_state_dicts(path), model, known_archs)


def _of_folder(folder: Path, model: str) -> Checkpoint:
    """Read the finished checkpoint; retry if a run commits another one meanwhile."""
    record = read_record(folder, model)
    for _ in range(_TRIES):
        try:
            data = [
                files.read_verified(folder / stored.file, stored.sha256, stored.bytes)
                for stored in (record.weights, record.examples)
            ]
            break
        except IntegrityError as error:
            before, record = record, read_record(folder, model)
            if record == before:
                raise _damaged(folder, record, error) from error
    else:
        raise CheckpointError(f"{folder} is written faster than it can be read: try again")
    return _whole(folder / CONFIG, model, record.model, record.training, *data)


def _damaged(folder: Path, record: Record, error: IntegrityError) -> CheckpointError:
    for stored in (record.weights, record.examples):
        path = folder / stored.file
        try:
            data = files.read_bytes(path, tensors.MOST_BYTES)
        except OSError as problem:
            return CheckpointError(
                f"cannot read {path}, which {CONFIG} names: {problem.strerror}. Restore the file, "
                "or train again."
            )
        if len(data) != stored.bytes or hashlib.sha256(data).hexdigest() != stored.sha256:
            return CheckpointError(
                f"{path} ({len(data)} bytes) is truncated or was changed: its sha256 is not the "
                f"one in {CONFIG}. Restore the file, or train again."
            )
    return CheckpointError(str(error))


def _whole(
    source: Path,
    model: str,
    config: ModelConfig,
    training: Training,
    weights: bytes | Mapping[str, Tensor],
    examples: bytes,
) -> Checkpoint:
    """Check configuration, weights and examples against each other, then build the checkpoint.

    Args:
        source: path of the configuration, for messages.
    """
    if config.model != model:
        name = tensors.shown(config.model)
        raise CheckpointError(
            f"{source.parent} holds a checkpoint of '{name}', not of '{model}': "
            f"pass --model {name}, or another --checkpoint"
        )
    try:
        if config.arch not in archs(model, tables=config.columns is not None):
            raise ValueError(f"arch: {model} has no '{tensors.shown(config.arch)}'")
        if not conditional(model) and classifies(model) != bool(config.classes):
            raise ValueError("classes: expected names where the model learns labels, else none")
        images = _examples_of(examples, config)
        values = tensors.load(weights) if isinstance(weights, bytes) else weights
        problems = mismatches(config, values, ours=False)
    except ValueError as error:
        raise CheckpointError(f"{source}, and the files that it names: {error}") from error
    if problems:
        raise CheckpointError(mismatch_message(source, config, problems))
    return _checkpoint(source, config, values, images, training)


def _of_state(folder: Path, model: str, which: str) -> Checkpoint:
    """Read the best or last weights of a run's newest saved state."""
    found = states.newest(folder)
    if found is None:
        raise CheckpointError(
            f"{folder} holds no saved state: leave --state out to read the checkpoint, if there is "
            f"one, or train with: aeonnx train --model {model} -o {shlex.quote(str(folder))}"
        )
    record = found.state.last if which == "last" else found.state.best
    if record is None:
        raise CheckpointError(
            f"{folder} has no best epoch: it was trained without --patience, or stopped before "
            "the first epoch was over. Use --state last"
        )
    try:
        examples = states.read_examples(folder, found.state)
    except IntegrityError as error:
        raise CheckpointError(f"{error}") from error
    return _whole(
        found.path / "state.json", model, found.state.model, record, found.weights(which), examples
    )


def _bare(path: Path, found: list[StateDict], model: str, known: list[str]) -> Checkpoint:
    """Load a bare state dict into the first architecture that fits.

    Raises:
        CheckpointError: none fits; lists the mismatches of the nearest architecture.
    """
    tried = []
    for arch in known:
        config = configure(model, arch, _BARE_INPUT_SHAPE)
        expected = {name: entry.dtype for name, entry in tensors.skeleton(config).items()}
        chosen = fitted(path, found, expected)
        weights, types = cast(chosen.values, expected)
        problems = mismatches(config, weights, ours=True)
        if not problems:
            say(path, (*chosen.notes, *types))
            return _checkpoint(path, config, weights, None, None)
        tried.append((config, problems))
    raise CheckpointError(mismatch_message(path, *min(tried, key=lambda pair: len(pair[1]))))


def _examples_of(data: bytes, config: ModelConfig) -> Examples:
    """Parse the example images.

    Raises:
        ValueError: names, shape, dtype or range are not those of images of the configuration.
    """
    entries = dict(tensors.header_of(data, len(data)))
    labels = {name: entries.pop(name) for name in [*entries] if name.endswith("_labels")}
    if entries.keys() - {"normal", "noisy_test", "noisy_train"} != {"test", "train"}:
        names = [tensors.shown(name) for name in sorted(entries)[:6]]
        raise ValueError(f"examples: expected images named test and train, got {names}")
    for name in sorted(entries, key=lambda name: (name not in ("test", "train"), name)):
        entry, like = entries[name], entries.get(name.removeprefix("noisy_"), entries[name])
        several = entry.shape[:1] == like.shape[:1] > (0,)
        images = several and entry.shape[1:] == config.input_shape
        if not images or entry.dtype not in (torch.uint8, torch.float32):
            raise ValueError(
                f"examples: {name}: expected uint8 or float32 [n, "
                f"{', '.join(map(str, config.input_shape))}], got {entry}"
            )
    for name, entry in labels.items():
        of = entries.get(name.removesuffix("_labels"))
        if of is None or (entry.dtype, entry.shape) != (torch.int64, of.shape[:1]):
            raise ValueError(f"examples: {name}: expected an int64 per image, got {entry}")
    found = tensors.load(data)
    most = len(config.classes)
    for name in labels:
        if not bool(((found[name] >= 0) & (found[name] < most)).all()):
            raise ValueError(f"examples: {name}: expected numbers of the {most} classes")
    if config.columns is not None:
        _require_numbers(found, config.columns)
        return Examples(**found)
    for name, value in found.items():
        if config.unbounded and name.startswith("noisy_"):
            _require_finite(name, value)
        elif value.is_floating_point() and not bool(((value >= 0) & (value <= 1)).all()):
            raise ValueError(f"examples: {name}: expected values from 0 to 1")
    return Examples(**found)


def _require_numbers(found: Mapping[str, Tensor], columns: Columns) -> None:
    """Raise `ValueError` if rows have infinite values, or missing ones where there are none."""
    for name, value in found.items():
        _require_finite(name, value[~torch.isnan(value)] if columns.missing else value)


def _require_finite(name: str, value: Tensor) -> None:
    if not bool(torch.isfinite(value).all()):
        raise ValueError(f"examples: {name}: expected finite values")


def _checkpoint(
    source: Path,
    config: ModelConfig,
    weights: Mapping[str, Tensor],
    examples: Examples | None,
    training: Training | None,
) -> Checkpoint:
    model = build(config)
    model.load_state_dict(weights)
    model.eval().requires_grad_(False)
    non_finite = nonfinite_part(model)
    if non_finite:
        raise CheckpointError(
            f"the weights in {source.parent if examples else source} are unusable: the "
            f"{non_finite} outputs NaN or infinity. Train again"
        )
    return Checkpoint(model, config, checkpoint_id(config, model), examples, training)
