"""Where a run can go on from: `state/000017/` in its folder, whole or not there.

    state.json           what was trained and how, where it stands, what it remembers
    state.safetensors    weights, moments, average, best weights, random state
    SHA256SUMS           digests of the two

Each is a new folder that gets its name when all of it is on the disk; the two newest are kept, so
that a damaged one has one before it. No pickle.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from aeonnx import files, records
from aeonnx.train.history import Epoch, Position

__all__ = ["State", "newest", "save"]

_FOLDER, _JSON, _TENSORS, _SUMS = "state", "state.json", "state.safetensors", "SHA256SUMS"
_FORMAT, _VERSION = "aeonnx-state", 1
_KEPT = 2


@dataclass(frozen=True)
class State:
    """state.json.

    Args:
        run: drawn when the run began: states of another run are not gone back to.
        identity: what was trained and how, as texts; must be the same to go on.
        position: where the run stands.
        epochs: those that are over.
        scaler: numbers of the fp16 scaler; empty without.
    """

    run: str
    identity: dict[str, str]
    position: Position
    epochs: tuple[Epoch, ...]
    scaler: dict[str, float]


def save(folder: Path, state: State, tensors: Mapping[str, Tensor]) -> None:
    """Write a state and remove all but the two newest of its run.

    Args:
        folder: of the run.
        state: what goes into state.json.
        tensors: on any device.

    Raises:
        OutputError: the disk is full or the like; earlier states stay.
    """
    contents = {
        _JSON: records.dump(state, _FORMAT, _VERSION),
        # Clones, because safetensors refuses tensors that share memory.
        _TENSORS: save_tensors({k: v.detach().cpu().clone() for k, v in tensors.items()}),
    }
    sums = "".join(f"{_digest(data)}  {name}\n" for name, data in contents.items())
    base = folder / _FOLDER
    known = _numbered(base)
    files.sweep(base)
    path = base / f"{int(known[0].name) + 1 if known else 1:06d}"
    with files.output_errors(path), files.new_folder(path) as staged:
        for name, data in {**contents, _SUMS: sums.encode()}.items():
            (staged / name).write_bytes(data)
    kept = [old for old in known if _run_of(old) == state.run][: _KEPT - 1]
    for old in known:
        if old not in kept:
            shutil.rmtree(old, ignore_errors=True)


def newest(folder: Path) -> tuple[State, dict[str, Tensor], list[str]] | None:
    """The newest whole state of a run, with a line for each damaged one that was passed over.

    None if there is none, damaged or not.

    Raises:
        ValueError: there are states, and all are damaged; says how.
    """
    problems: list[str] = []
    for path in _numbered(folder / _FOLDER):
        try:
            state, tensors = _read(path)
        except (OSError, ValueError, SafetensorError) as error:
            problems.append(f"{path} is damaged ({error})")
            continue
        return state, tensors, [f"{line}: going on from the one before" for line in problems]
    if problems:
        raise ValueError("; ".join(problems))
    return None


def _read(path: Path) -> tuple[State, dict[str, Tensor]]:
    text, data = (path / _JSON).read_bytes(), (path / _TENSORS).read_bytes()
    sums = dict(line.split("  ")[::-1] for line in (path / _SUMS).read_text().splitlines())
    for name, content in ((_JSON, text), (_TENSORS, data)):
        if sums.get(name) != _digest(content):
            raise ValueError(f"{name}: its sha256 is not the one in {_SUMS}")
    return records.load(State, text, _FORMAT, _VERSION), load_tensors(data)


def _run_of(path: Path) -> str | None:
    try:
        return records.load(State, (path / _JSON).read_bytes(), _FORMAT, _VERSION).run
    except (OSError, ValueError):
        return None


def _numbered(base: Path) -> list[Path]:
    """The states, newest first."""
    if not base.is_dir():
        return []
    return sorted((path for path in base.iterdir() if path.name.isdecimal()), reverse=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
