"""What is in the folder of a checkpoint: written, and read as far as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from aeonnx._util import files, serde
from aeonnx.bundle import Training
from aeonnx.checkpoint import _tensors as tensors
from aeonnx.checkpoint import states
from aeonnx.checkpoint._stored import Stored, stored
from aeonnx.errors import CheckpointError
from aeonnx.models import ModelConfig

__all__ = [
    "CONFIG",
    "Examples",
    "Record",
    "dump_examples",
    "files_of",
    "read_record",
    "save",
]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
EXAMPLES = "examples.safetensors"
METRICS = "metrics.jsonl"
_FORMAT, _VERSION = "aeonnx-checkpoint", 1
_MOST_CONFIG = 1 << 20  # bytes


@dataclass(frozen=True)
class Record:
    """config.json.

    Args:
        model: what to build.
        training: how the weights were learned.
        weights: the model's.
        examples: images of the data set.
    """

    model: ModelConfig
    training: Training
    weights: Stored
    examples: Stored


@dataclass(frozen=True)
class Examples:
    """Images of the data set, [n, C, H, W], uint8 or float32 in [0, 1].

    Args:
        test: to prove parity and quality on.
        train: to calibrate, fit and set thresholds with.
    """

    test: Tensor
    train: Tensor


def save(
    folder: Path,
    weights: Mapping[str, Tensor],
    config: ModelConfig,
    examples: bytes,
    record: Training,
    metrics: bytes,
) -> None:
    """Write a checkpoint whole or not at all.

    Args:
        folder: where to; a checkpoint that is there is replaced.
        weights: the model's state_dict, on any device.
        config: what the model was built from.
        examples: by `dump_examples`.
        record: how the weights were learned.
        metrics: text of metrics.jsonl.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    contents = {WEIGHTS: tensors.dump(weights), EXAMPLES: examples}
    named = {name: stored(name, data) for name, data in contents.items()}
    text = serde.dump(Record(config, record, named[WEIGHTS], named[EXAMPLES]), _FORMAT, _VERSION)
    with files.publish(folder, CONFIG) as staged:
        for name, data in contents.items():
            files.write(staged / named[name].file, data)
        files.write(staged / METRICS, metrics)
        files.write(staged / CONFIG, text)
    kept = {item.file for item in named.values()}
    files.remove_unnamed(folder, kept, ("model.*.safetensors", "examples.*.safetensors"))


def dump_examples(examples: Examples) -> bytes:
    """The file of the images."""
    return tensors.dump(vars(examples))


def files_of(folder: Path) -> tuple[Path, ...]:
    """The files of the checkpoint in a folder."""
    record = read_record(folder, "")
    names = (CONFIG, record.weights.file, record.examples.file, METRICS)
    return tuple(folder / name for name in names)


def read_record(folder: Path, model: str) -> Record:
    path = folder / CONFIG
    try:
        text = files.read_bytes(path, _MOST_CONFIG)
        return serde.load(Record, text, _FORMAT, _VERSION)
    except FileNotFoundError:
        raise CheckpointError(_none_there(folder, model)) from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, OverflowError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _none_there(folder: Path, model: str) -> str:
    """What to do about a folder without a checkpoint."""
    there = shlex.quote(str(folder))
    stopped = states.latest(folder)
    if stopped is None:
        return (
            f"no checkpoint at {folder}: it has no {CONFIG}. "
            f"Train one with: aeonnx train --model {model} -o {there}"
        )
    name = stopped.model.model
    return (
        f"no checkpoint at {folder} yet: its run was stopped in {stopped.place}. "
        f"Go on with: aeonnx train --model {name} -o {there} --resume. Or take what it has "
        f"learned: aeonnx export --model {name} --checkpoint {there} --state last"
    )
