"""Write the folder of a checkpoint, and read its config.json."""

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
from aeonnx.checkpoint._names import CHECKPOINT, CONFIG, METRICS, MOST_CONFIG
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

WEIGHTS = "model.safetensors"
EXAMPLES = "examples.safetensors"


@dataclass(frozen=True)
class Record:
    """Content of config.json.

    Args:
        model: configuration of the model.
        training: record of the training run.
        weights: file of the model's weights.
        examples: file of images of the data set.
    """

    model: ModelConfig
    training: Training
    weights: Stored
    examples: Stored


@dataclass(frozen=True)
class Examples:
    """Images of the data set, [n, C, H, W], uint8 or float32 in [0, 1].

    Args:
        test: for measuring parity and quality.
        train: for calibration and fitting.
        normal: test images for the thresholds of scores, more than `test` has; None in checkpoints
            of older versions, and for models that have no scores.
        noisy_test, noisy_train: versions of `test` and `train` with noise, which the model was
            trained to denoise; None for models without a denoiser, and in older checkpoints. Of
            "awgn" float32 of any value.
        test_labels, train_labels, normal_labels: int64 [n] of each, for conditional models; else
            None.
    """

    test: Tensor
    train: Tensor
    normal: Tensor | None = None
    noisy_test: Tensor | None = None
    noisy_train: Tensor | None = None
    test_labels: Tensor | None = None
    train_labels: Tensor | None = None
    normal_labels: Tensor | None = None


def save(
    folder: Path,
    weights: Mapping[str, Tensor],
    config: ModelConfig,
    examples: bytes,
    record: Training,
    metrics: bytes,
) -> None:
    """Write a checkpoint atomically.

    Args:
        folder: folder of the checkpoint; an existing checkpoint is replaced.
        weights: the model's state_dict, on any device.
        config: configuration of the model.
        examples: content of the examples file, made by `dump_examples`.
        record: record of the training run.
        metrics: content of metrics.jsonl.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    contents = {WEIGHTS: tensors.dump(weights), EXAMPLES: examples}
    named = {name: stored(name, data) for name, data in contents.items()}
    text = serde.dump(Record(config, record, named[WEIGHTS], named[EXAMPLES]), *CHECKPOINT)
    with files.publish(folder, CONFIG) as staged:
        for name, data in contents.items():
            files.write(staged / named[name].file, data)
        files.write(staged / METRICS, metrics)
        files.write(staged / CONFIG, text)
    kept = {item.file for item in named.values()}
    files.remove_unnamed(folder, kept, ("model.*.safetensors", "examples.*.safetensors"))


def dump_examples(examples: Examples) -> bytes:
    """The content of the examples file, in safetensors format."""
    return tensors.dump({k: value for k, value in vars(examples).items() if value is not None})


def files_of(folder: Path) -> tuple[Path, ...]:
    """Paths of the files of the checkpoint in a folder.

    Raises:
        CheckpointError: there is no checkpoint, or its config.json is damaged.
    """
    record = read_record(folder, "")
    names = (CONFIG, record.weights.file, record.examples.file, METRICS)
    return tuple(folder / name for name in names)


def read_record(folder: Path, model: str) -> Record:
    """Read config.json.

    Args:
        folder: folder of the checkpoint.
        model: name of the model in the command that the error message suggests.

    Raises:
        CheckpointError: there is no checkpoint, or its config.json is damaged.
    """
    path = folder / CONFIG
    try:
        text = files.read_bytes(path, MOST_CONFIG)
        return serde.load(Record, text, *CHECKPOINT)
    except FileNotFoundError:
        raise CheckpointError(_no_checkpoint(folder, model)) from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, OverflowError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _no_checkpoint(folder: Path, model: str) -> str:
    """The message for a folder without a checkpoint: how to train, resume or export."""
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
        f"Resume it with: aeonnx train --model {name} -o {there} --resume. Or export its last "
        f"weights: aeonnx export --model {name} --checkpoint {there} --state last"
    )
