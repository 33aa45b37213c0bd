"""The checkpoint contract between training and export: a folder of safetensors and JSON.

    config.json            model, training record, digests of the other files
    model.safetensors      the weights
    examples.safetensors   some test and training images, so that export needs no data set
    metrics.jsonl          one line per epoch, for people and plots

No pickle is ever written. One is read only as a plain state_dict, with `weights_only=True`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from aeonnx import files, records
from aeonnx.errors import CheckpointError
from aeonnx.extras import require_modules
from aeonnx.manifest import Training

require_modules("torch", "safetensors", extra="train", purpose="reading a checkpoint")

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from aeonnx.models import Model, ModelConfig, archs, build, classifies, configure

__all__ = [
    "CONFIG",
    "FILES",
    "Checkpoint",
    "Examples",
    "default_folder",
    "latent_id",
    "load",
    "save",
]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
EXAMPLES = "examples.safetensors"
METRICS = "metrics.jsonl"
FILES = (CONFIG, WEIGHTS, EXAMPLES, METRICS)
_FORMAT, _VERSION = "aeonnx-checkpoint", 1
# A bare state_dict says nothing of its images.
_BARE_INPUT_SHAPE = (1, 28, 28)


@dataclass(frozen=True)
class Record:
    """config.json.

    Args:
        model: what to build.
        training: how the weights were learned.
        files: SHA-256 by name of the other files.
    """

    model: ModelConfig
    training: Training
    files: dict[str, str]


@dataclass(frozen=True)
class Examples:
    """Images of the data set, [n, C, H, W], uint8 or float32 in [0, 1].

    Args:
        test: to prove parity and quality on.
        train: to calibrate, fit and set thresholds with.
    """

    test: Tensor
    train: Tensor


@dataclass(frozen=True)
class Checkpoint:
    """A trained model.

    Args:
        model: with its weights, on the CPU, in eval mode.
        config: what it was built from.
        latent_id: hash of the configuration and the weights: parts of the same latent space.
        examples: images of the data set; None for weights from elsewhere.
        training: how the weights were learned; None for weights from elsewhere.
    """

    model: Model
    config: ModelConfig
    latent_id: str
    examples: Examples | None
    training: Training | None


def save(
    folder: Path,
    weights: Mapping[str, Tensor],
    config: ModelConfig,
    examples: Examples,
    record: Training,
    metrics: bytes,
) -> None:
    """Write a checkpoint whole or not at all.

    Args:
        folder: where to; a checkpoint that is there is replaced.
        weights: the model's state_dict, on any device.
        config: what the model was built from.
        examples: images of the data set.
        record: how the weights were learned.
        metrics: text of metrics.jsonl.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    on_cpu = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    contents = {
        WEIGHTS: save_tensors(on_cpu),
        EXAMPLES: save_tensors(
            {name: value.cpu().contiguous() for name, value in vars(examples).items()}
        ),
    }
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    with files.publish(folder, CONFIG) as staged:
        for name, data in contents.items():
            (staged / name).write_bytes(data)
        (staged / METRICS).write_bytes(metrics)
        text = records.dump(Record(config, record, digests), _FORMAT, _VERSION)
        (staged / CONFIG).write_bytes(text)


def load(path: Path, model: str) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: a folder written by `aeonnx train`, or a file with a plain state_dict of a model with
            default widths (.safetensors, or .pth/.pt as written by `torch.save`).
        model: name of the model that is expected.

    Raises:
        CheckpointError: it is missing, truncated, changed, or of another model.
        UnknownNameError: there is no such model.
    """
    known_archs = archs(model)
    if not path.exists():
        raise CheckpointError(
            f"no checkpoint at {path}. Train one with: aeonnx train --model {model} -o {path}"
        )
    if not path.is_dir():
        if classifies(model):
            raise CheckpointError(
                f"{path} is not a folder: {model} names its classes, and a bare state_dict does "
                f"not. Give the folder of a run by: aeonnx train --model {model}"
            )
        weights = _read_state_dict(path)
        return _bare(path, weights, model, known_archs)
    record = _read_record(path)
    if record.model.model != model:
        raise CheckpointError(
            f"{path} holds a checkpoint of {record.model.model!r}, not of {model!r}: "
            f"pass --model {record.model.model}, or another --checkpoint"
        )
    if set(record.files) != {WEIGHTS, EXAMPLES}:
        raise CheckpointError(f"{path / CONFIG}: files: expected {[EXAMPLES, WEIGHTS]}")
    weights = _read_tensors(path / WEIGHTS, record.files[WEIGHTS])
    examples = _read_examples(path / EXAMPLES, record.files[EXAMPLES])
    built = build(record.model)
    problems = _mismatches(built, weights)
    if problems:
        raise CheckpointError(_foreign(path / WEIGHTS, record.model, problems))
    return _checkpoint(built, record.model, weights, examples, record.training)


def _bare(path: Path, weights: Mapping[str, Tensor], model: str, known: list[str]) -> Checkpoint:
    """The first architecture whose names and shapes fit; else the mismatches of the nearest."""
    tried = []
    for arch in known:
        config = configure(model, arch, _BARE_INPUT_SHAPE)
        built = build(config)
        problems = _mismatches(built, weights)
        if not problems:
            return _checkpoint(built, config, weights, None, None)
        tried.append((config, problems))
    raise CheckpointError(_foreign(path, *min(tried, key=lambda pair: len(pair[1]))))


def _checkpoint(
    model: Model,
    config: ModelConfig,
    weights: Mapping[str, Tensor],
    examples: Examples | None,
    training: Training | None,
) -> Checkpoint:
    model.load_state_dict(weights)
    model.eval().requires_grad_(False)
    return Checkpoint(model, config, latent_id(config, model), examples, training)


def latent_id(config: ModelConfig, model: Model) -> str:
    """SHA-256 of a configuration and weights."""
    digest = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _read_record(folder: Path) -> Record:
    path = folder / CONFIG
    try:
        return records.load(Record, path.read_bytes(), _FORMAT, _VERSION)
    except FileNotFoundError:
        raise CheckpointError(
            f"no checkpoint at {folder}: it has no {CONFIG}. "
            f"Train one with: aeonnx train -o {folder}"
        ) from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _read_tensors(path: Path, digest: str) -> dict[str, Tensor]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise CheckpointError(
            f"{path} ({len(data)} bytes) is truncated or was changed: its sha256 is not the one in "
            f"{CONFIG}. Restore the file, or train again."
        )
    return load_tensors(data)


def _read_examples(path: Path, digest: str) -> Examples:
    found = _read_tensors(path, digest)
    if found.keys() != {"test", "train"}:
        raise CheckpointError(
            f"{path}: expected images named test and train, got {sorted(found)}: an older aeonnx "
            "wrote it. Train again"
        )
    return Examples(**found)


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    accepted = (
        "Accepted are a folder by `aeonnx train`, a .safetensors file, and a plain state_dict: "
        "torch.save(model.state_dict(), ...), read with weights_only=True"
    )
    try:
        if path.suffix == ".safetensors":
            return load_tensors(path.read_bytes())
        value = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    except Exception as error:  # torch.load raises whatever the damaged bytes lead it to
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"cannot load {path} safely: {reason} {accepted}") from error
    if not isinstance(value, dict) or not all(isinstance(item, Tensor) for item in value.values()):
        raise CheckpointError(f"{path} holds a {type(value).__name__} of other things. {accepted}")
    return value


def _mismatches(model: Model, weights: Mapping[str, Tensor]) -> list[str]:
    """How names, shapes and values differ from what the model has: one line each."""
    expected = model.state_dict()
    found = [f"{name}: missing" for name in expected if name not in weights]
    found += [f"{name}: not in this model" for name in weights if name not in expected]
    for name in expected.keys() & weights.keys():
        want, got = expected[name], weights[name]
        if want.shape != got.shape:
            found.append(f"{name}: expected shape {list(want.shape)}, got {list(got.shape)}")
        elif want.dtype != got.dtype:
            found.append(f"{name}: expected {want.dtype}, got {got.dtype}")
        elif got.is_floating_point() and not bool(torch.isfinite(got).all()):
            found.append(f"{name}: NaN or infinite weights")
    return sorted(found)


def _foreign(path: Path, config: ModelConfig, problems: list[str]) -> str:
    shown = "; ".join(problems[:6]) + ("; ..." if len(problems) > 6 else "")
    return (
        f"{path} does not fit {config.model} ({config.arch}, input {list(config.input_shape)}, "
        f"hidden {list(config.hidden)}, latent {config.latent_size}): {shown}"
    )


def default_folder(model: str) -> Path:
    """Where `aeonnx train` writes and `aeonnx export` reads unless told otherwise."""
    return Path("runs") / model
