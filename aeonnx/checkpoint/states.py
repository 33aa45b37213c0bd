"""Saved states that a run resumes from: `state/000017/` in its folder, written atomically.

    state.json           model, options, position, and history of epochs
    state.safetensors    weights, AdamW's moments, averaged weights, best weights, random state
    SHA256SUMS           SHA-256 of the other two files

Each state is a new folder that gets its name once all of it is on the disk. The two newest are
kept, so that a run can fall back on the older one if the newest is damaged. The images that export
needs, `examples.<digest>.safetensors`, never change and are saved once, next to the states, so that
a run that was stopped can be exported. No pickle is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from aeonnx._util import files, serde
from aeonnx._util.serde import require
from aeonnx.bundle import Training
from aeonnx.checkpoint import _tensors as weights
from aeonnx.checkpoint._names import (
    STATE,
    STATE_JSON,
    STATES,
    SUMS,
    digest_of,
    numbered,
    read_state_json,
    read_sums,
    require_sum,
)
from aeonnx.checkpoint._stored import Stored
from aeonnx.checkpoint._tensors import shown
from aeonnx.checkpoint.history import MOST, Epoch, Position, RunOptions
from aeonnx.errors import CheckpointError, OutputError
from aeonnx.models import ModelConfig

__all__ = [
    "AVERAGE",
    "AVERAGED",
    "BEST",
    "CUDA_RANDOM",
    "MODEL",
    "OPTIMIZER",
    "RANDOM",
    "Found",
    "State",
    "exists",
    "latest",
    "newest",
    "read_examples",
    "save",
    "under",
]

_TENSORS = "state.safetensors"
_KEPT = 2

MODEL, AVERAGE, BEST, OPTIMIZER = "model.", "average.module.", "best.", "optimizer."
RANDOM, CUDA_RANDOM, AVERAGED = "random.cpu", "random.cuda", "average.n_averaged"
"""Names of tensors, or their prefixes."""


@dataclass(frozen=True)
class State:
    """Content of state.json.

    Args:
        run: random id of the run; a run falls back on its own states only.
        options: options of the run.
        fingerprint: fingerprint of the data set, see `train.DataSet`.
        model: configuration of the model.
        position: position of the run.
        epochs: the completed epochs.
        scaler: state of the fp16 gradient scaler; empty without fp16.
        last: record of the last weights (averaged, if the run averages weights).
        best: record of the weights of the best epoch; None without early stopping.
        examples: file of images of the data set, in the folder of the states.
        finished: whether the run is complete.
    """

    run: str
    options: RunOptions
    fingerprint: str
    model: ModelConfig
    position: Position
    epochs: tuple[Epoch, ...]
    scaler: dict[str, float]
    last: Training
    best: Training | None
    examples: Stored
    finished: bool

    def __post_init__(self) -> None:
        at, options, config = self.position, self.options, self.model
        require(
            (options.model, options.arch, options.hidden, options.latent_size)
            == (config.model, config.arch, config.hidden, config.latent_size),
            "options: expected the model, arch, hidden and latent_size of `model`",
        )
        require(0 < options.epochs < MOST, f"options.epochs: got {options.epochs}")
        require(at.stage < len(self.last.stages), f"position.stage: got {at.stage}")
        names = [stage.name for stage in self.last.stages]
        done = [epoch.epoch for epoch in self.epochs if epoch.stage == names[at.stage]]
        require(
            done == list(range(1, at.epoch))
            and {epoch.stage for epoch in self.epochs} <= set(names),
            "epochs: expected those before `position`",
        )
        require(all(map(math.isfinite, self.scaler.values())), "scaler: expected finite numbers")

    @property
    def place(self) -> str:
        """The position in words: "epoch 3 of 'train', after step 12"."""
        name = shown(self.last.stages[self.position.stage].name)
        step = f", after step {self.position.step}" if self.position.step else ""
        return f"epoch {self.position.epoch} of {name!r}{step}"


@dataclass(frozen=True)
class Found:
    """An undamaged state.

    Args:
        path: its folder.
        state: content of state.json.
        tensors: content of state.safetensors.
        notes: one line for each damaged newer state that was skipped.
    """

    path: Path
    state: State
    tensors: dict[str, Tensor]
    notes: tuple[str, ...]

    def weights(self, which: str) -> dict[str, Tensor]:
        """The model's state dict: "best" (may be empty) or "last" (an average if kept)."""
        averaged = any(name.startswith(AVERAGE) for name in self.tensors)
        return under(BEST if which == "best" else AVERAGE if averaged else MODEL, self.tensors)


def save(folder: Path, state: State, tensors: Mapping[str, Tensor], examples: bytes) -> None:
    """Write a state and remove all but the two newest of its run.

    Args:
        folder: folder of the run.
        state: content of state.json.
        tensors: content of state.safetensors; tensors may be on any device.
        examples: content of the file `state.examples`.

    Raises:
        OutputError: the state cannot be written, as when the disk is full; earlier states stay.
    """
    base = folder / STATES
    if base.is_symlink():
        raise OutputError(f"{base} is a link, and states are written to a folder: move it away")
    if not (base / state.examples.file).exists():
        files.write_atomic(base / state.examples.file, examples)
    contents = {STATE_JSON: serde.dump(state, *STATE), _TENSORS: weights.dump(tensors)}
    sums = "".join(f"{digest_of(data)}  {name}\n" for name, data in contents.items())
    known = numbered(base)
    path = base / f"{int(known[0].name) + 1 if known else 1:06d}"
    with files.new_folder(path) as staged:
        for name, data in {**contents, SUMS: sums.encode()}.items():
            files.write(staged / name, data)
    files.sweep(base)
    kept = [old for old in known if _run_of(old) == state.run][: _KEPT - 1]
    for old in known:
        if old not in kept:
            _remove(old)
    files.remove_unnamed(base, {state.examples.file}, ("examples.*.safetensors",))


def _remove(old: Path) -> None:
    """Remove the files of a state, and its folder if that is then empty."""
    if old.is_symlink():
        return
    with suppress(OSError):
        for name in (SUMS, STATE_JSON, _TENSORS):
            (old / name).unlink(missing_ok=True)
        old.rmdir()


def read_examples(folder: Path, state: State) -> bytes:
    """Read the examples file of a state.

    Raises:
        IntegrityError: the file is missing or was changed.
    """
    named = state.examples
    return files.read_verified(folder / STATES / named.file, named.sha256, named.bytes)


def exists(folder: Path) -> bool:
    """Whether a run has states, damaged or not."""
    return bool(numbered(folder / STATES))


def latest(folder: Path) -> State | None:
    """The newest readable state.json; tensors are not read. None if there is none."""
    for path in numbered(folder / STATES):
        try:
            return _read_json(path, read_sums(path))
        except (OSError, ValueError):
            continue
    return None


def newest(folder: Path) -> Found | None:
    """Read the newest undamaged state of a run; None if the run has no states at all.

    Raises:
        CheckpointError: there are states, but all are damaged; the message says how.
    """
    problems: list[str] = []
    for path in numbered(folder / STATES):
        try:
            state, tensors = _read(path)
        except (OSError, ValueError) as error:
            problems.append(f"{path} is damaged ({_reason(error)})")
            continue
        notes = tuple(f"{line}: resuming from the one before" for line in problems)
        return Found(path, state, tensors, notes)
    if problems:
        raise CheckpointError(
            f"every saved state in {folder} is damaged: {'; '.join(problems)}. Train anew with "
            "--force"
        )
    return None


def _read(path: Path) -> tuple[State, dict[str, Tensor]]:
    sums = read_sums(path)
    state = _read_json(path, sums)
    try:
        problems = _problems(state, weights.read_header(path / _TENSORS))
    except ValueError as error:
        raise ValueError(f"{_TENSORS}: {error}") from error
    if problems:
        raise ValueError(f"{_TENSORS}: {'; '.join(problems[:3])}")
    data = files.read_bytes(path / _TENSORS, weights.MOST_BYTES)
    require_sum(_TENSORS, data, sums)
    tensors = weights.load(data)
    for name, value in tensors.items():
        moment = name.startswith(OPTIMIZER)  # squares of large gradients may be infinite
        if value.is_floating_point() and not moment and not bool(value.isfinite().all()):
            raise ValueError(f"{_TENSORS}: {name}: NaN or infinite numbers")
    if AVERAGED in tensors and int(tensors[AVERAGED]) < 0:
        raise ValueError(f"{_TENSORS}: {AVERAGED}: expected 0 or more")
    return state, tensors


def _problems(state: State, there: Mapping[str, weights.Entry]) -> list[str]:
    """Errors in the names, dtypes and shapes of a state's tensors, one line each."""
    model, average, best = (under(prefix, there) for prefix in (MODEL, AVERAGE, BEST))
    weights.require_room(state.model, model)
    expected = weights.skeleton(state.model)
    problems = weights.mismatches(expected, model)
    for optional in (average, best):
        if optional:
            problems += weights.mismatches(expected, optional)
    if bool(state.best) != bool(best):
        problems.append("best weights: expected if and only if `best` has their record")
    known = (MODEL, AVERAGE, BEST, OPTIMIZER)
    others = {name for name in there if not name.startswith(known)}
    problems += [f"{shown(name)}: unknown" for name in others - {RANDOM, CUDA_RANDOM, AVERAGED}]
    if RANDOM not in others:
        problems.append(f"{RANDOM}: missing")
    counted = weights.Entry(torch.int64, ()) if average else None
    if there.get(AVERAGED) != counted:
        problems.append(f"{AVERAGED}: expected an int64 scalar with averaged weights, else nothing")
    return problems


T = TypeVar("T")


def under(prefix: str, named: Mapping[str, T]) -> dict[str, T]:
    """The entries whose names begin with `prefix`, by the rest of the name."""
    return {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return str(error)
    name = f"{Path(error.filename).name}: " if error.filename else ""
    return f"{name}{error.strerror}"


def _read_json(path: Path, sums: Mapping[str, str]) -> State:
    text = read_state_json(path, sums)
    try:
        return serde.load(State, text, *STATE)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{STATE_JSON}: {error}") from error


def _run_of(path: Path) -> str | None:
    try:
        return _read_json(path, read_sums(path)).run
    except (OSError, ValueError):
        return None
