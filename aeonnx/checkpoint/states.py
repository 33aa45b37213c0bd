"""Where a run can go on from: `state/000017/` in its folder, whole or not there.

    state.json           what is trained and how, where it stands, what it remembers
    state.safetensors    weights, moments, average, best weights, random state
    SHA256SUMS           digests of the two

Each is a new folder that gets its name when all of it is on the disk; the two newest are kept, so
that a damaged one has one before it. Beside them lies what does not change, `examples.<digest>
.safetensors`, so that a run that was stopped can be exported. No pickle.
"""

from __future__ import annotations

import hashlib
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

_FOLDER, _JSON, _TENSORS, _SUMS = "state", "state.json", "state.safetensors", "SHA256SUMS"
_FORMAT, _VERSION = "aeonnx-state", 1
_KEPT = 2
_MOST_JSON, _MOST_SUMS = 64 << 20, 4096

MODEL, AVERAGE, BEST, OPTIMIZER = "model.", "average.module.", "best.", "optimizer."
RANDOM, CUDA_RANDOM, AVERAGED = "random.cpu", "random.cuda", "average.n_averaged"
"""Names of tensors, or what they begin with."""


@dataclass(frozen=True)
class State:
    """state.json.

    Args:
        run: drawn when the run began: states of another run are not gone back to.
        options: what is trained and how.
        fingerprint: of the data set.
        model: what is trained.
        position: where the run stands.
        epochs: those that are over.
        scaler: numbers of the fp16 scaler; empty without.
        last: record of the weights as they are, averaged if they are.
        best: record of those of the best epoch; None without.
        examples: the file of images of the data set, in the folder of the states.
        finished: whether nothing is left to do.
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
            "options: of another model than model",
        )
        require(0 < options.epochs < MOST, f"options.epochs: got {options.epochs}")
        require(at.stage < len(self.last.stages), f"position.stage: got {at.stage}")
        names = [stage.name for stage in self.last.stages]
        done = [epoch.epoch for epoch in self.epochs if epoch.stage == names[at.stage]]
        require(
            done == list(range(1, at.epoch))
            and {epoch.stage for epoch in self.epochs} <= set(names),
            "epochs: not those before position",
        )
        require(all(map(math.isfinite, self.scaler.values())), "scaler: expected finite numbers")

    @property
    def place(self) -> str:
        """Where it stands, for people: "epoch 3 of 'train', after step 12"."""
        name = shown(self.last.stages[self.position.stage].name)
        step = f", after step {self.position.step}" if self.position.step else ""
        return f"epoch {self.position.epoch} of {name!r}{step}"


@dataclass(frozen=True)
class Found:
    """A whole state.

    Args:
        path: its folder.
        state: what is in state.json.
        tensors: by name.
        notes: a line for each damaged one that was passed over.
    """

    path: Path
    state: State
    tensors: dict[str, Tensor]
    notes: tuple[str, ...]

    def weights(self, which: str) -> dict[str, Tensor]:
        """The model's: "best", or "last", which are averaged if the run averages; maybe none."""
        averaged = any(name.startswith(AVERAGE) for name in self.tensors)
        return under(BEST if which == "best" else AVERAGE if averaged else MODEL, self.tensors)


def save(folder: Path, state: State, tensors: Mapping[str, Tensor], examples: bytes) -> None:
    """Write a state and remove all but the two newest of its run.

    Args:
        folder: of the run.
        state: what goes into state.json.
        tensors: on any device.
        examples: what `state.examples` names.

    Raises:
        OutputError: the disk is full or the like; earlier states stay.
    """
    base = folder / _FOLDER
    if base.is_symlink():
        raise OutputError(f"{base} is a link, and states are written to a folder: move it away")
    if not (base / state.examples.file).exists():
        files.write_atomic(base / state.examples.file, examples)
    contents = {_JSON: serde.dump(state, _FORMAT, _VERSION), _TENSORS: weights.dump(tensors)}
    sums = "".join(f"{_digest(data)}  {name}\n" for name, data in contents.items())
    known = _numbered(base)
    path = base / f"{int(known[0].name) + 1 if known else 1:06d}"
    with files.new_folder(path) as staged:
        for name, data in {**contents, _SUMS: sums.encode()}.items():
            files.write(staged / name, data)
    files.sweep(base)
    kept = [old for old in known if _run_of(old) == state.run][: _KEPT - 1]
    for old in known:
        if old not in kept:
            _remove(old)
    files.remove_unnamed(base, {state.examples.file}, ("examples.*.safetensors",))


def _remove(old: Path) -> None:
    """Remove a state: its own files, and the folder if it held no others."""
    if old.is_symlink():
        return
    with suppress(OSError):
        for name in (_SUMS, _JSON, _TENSORS):
            (old / name).unlink(missing_ok=True)
        old.rmdir()


def read_examples(folder: Path, state: State) -> bytes:
    """The file of the images.

    Raises:
        IntegrityError: it is missing, or another.
    """
    named = state.examples
    return files.read_verified(folder / _FOLDER / named.file, named.sha256, named.bytes)


def exists(folder: Path) -> bool:
    """Whether a run has states, damaged or not."""
    return bool(_numbered(folder / _FOLDER))


def latest(folder: Path) -> State | None:
    """What the newest state says, its tensors unread; None if none can be read."""
    for path in _numbered(folder / _FOLDER):
        try:
            return _read_json(path, _sums(path))
        except (OSError, ValueError):
            continue
    return None


def newest(folder: Path) -> Found | None:
    """The newest whole state of a run; None if there is none, damaged or not.

    Raises:
        CheckpointError: there are states, and all are damaged; says how.
    """
    problems: list[str] = []
    for path in _numbered(folder / _FOLDER):
        try:
            state, tensors = _read(path)
        except (OSError, ValueError) as error:
            problems.append(f"{path} is damaged ({_reason(error)})")
            continue
        notes = tuple(f"{line}: going on from the one before" for line in problems)
        return Found(path, state, tensors, notes)
    if problems:
        raise CheckpointError(
            f"no saved state in {folder} is whole: {'; '.join(problems)}. Train anew with --force"
        )
    return None


def _read(path: Path) -> tuple[State, dict[str, Tensor]]:
    sums = _sums(path)
    state = _read_json(path, sums)
    try:
        problems = _problems(state, weights.read_header(path / _TENSORS))
    except ValueError as error:
        raise ValueError(f"{_TENSORS}: {error}") from error
    if problems:
        raise ValueError(f"{_TENSORS}: {'; '.join(problems[:3])}")
    data = files.read_bytes(path / _TENSORS, weights.MOST_BYTES)
    _require_sum(_TENSORS, data, sums)
    tensors = weights.load(data)
    for name, value in tensors.items():
        moment = name.startswith(OPTIMIZER)  # of which large ones may be infinite
        if value.is_floating_point() and not moment and not bool(value.isfinite().all()):
            raise ValueError(f"{_TENSORS}: {name}: NaN or infinite numbers")
    if AVERAGED in tensors and int(tensors[AVERAGED]) < 0:
        raise ValueError(f"{_TENSORS}: {AVERAGED}: expected 0 or more")
    return state, tensors


def _problems(state: State, there: Mapping[str, weights.Entry]) -> list[str]:
    """What is wrong with the names, types and shapes of tensors."""
    model, average, best = (under(prefix, there) for prefix in (MODEL, AVERAGE, BEST))
    weights.require_room(state.model, model)
    expected = weights.skeleton(state.model)
    problems = weights.mismatches(expected, model)
    for others_of_it in (average, best):
        if others_of_it:
            problems += weights.mismatches(expected, others_of_it)
    if bool(state.best) != bool(best):
        problems.append("best weights: expected with their record, and with none without")
    known = (MODEL, AVERAGE, BEST, OPTIMIZER)
    others = {name for name in there if not name.startswith(known)}
    problems += [f"{shown(name)}: unknown" for name in others - {RANDOM, CUDA_RANDOM, AVERAGED}]
    if RANDOM not in others:
        problems.append(f"{RANDOM}: missing")
    counted = weights.Entry(torch.int64, ()) if average else None
    if there.get(AVERAGED) != counted:
        problems.append(f"{AVERAGED}: expected one whole number with an average, else none")
    return problems


T = TypeVar("T")


def under(prefix: str, named: Mapping[str, T]) -> dict[str, T]:
    """What has names that begin with `prefix`, by the rest of the name."""
    return {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}


def _sums(path: Path) -> dict[str, str]:
    text = files.read_bytes(path / _SUMS, _MOST_SUMS).decode(errors="replace")
    return dict(line.partition("  ")[::-2] for line in text.splitlines())


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return str(error)
    name = f"{Path(error.filename).name}: " if error.filename else ""
    return f"{name}{error.strerror}"


def _read_json(path: Path, sums: Mapping[str, str]) -> State:
    text = files.read_bytes(path / _JSON, _MOST_JSON)
    _require_sum(_JSON, text, sums)
    try:
        return serde.load(State, text, _FORMAT, _VERSION)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{_JSON}: {error}") from error


def _require_sum(name: str, data: bytes, sums: Mapping[str, str]) -> None:
    if sums.get(name) != _digest(data):
        raise ValueError(f"{name}: its sha256 is not the one in {_SUMS}")


def _run_of(path: Path) -> str | None:
    try:
        return _read_json(path, _sums(path)).run
    except (OSError, ValueError):
        return None


def _numbered(base: Path) -> list[Path]:
    """The states, newest first."""
    try:
        found = [path for path in base.iterdir() if path.name.isascii() and path.name.isdecimal()]
    except OSError:
        return []
    return sorted(found, key=lambda path: int(path.name[-18:]), reverse=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
