"""The output folder of a bulk job: what it is for, which shards are complete, and its index.

    clean/_plan.json           the bundle, the verb and the options, written first
    clean/a.png ...            the results
    clean/_shards/00003.json   the record of a shard, written when its results are in place
    clean/_SUCCESS.json        the index of all shards, written last

Readers of folders, such as those of Ray and pyarrow, leave out names that begin with an underscore.
A worker writes the results of a shard to a hidden folder and moves them to their names, which
follow from the inputs alone, the record last. So a shard may be computed twice, such as by a worker
that was thought to be dead, and its results are there once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aeonnx._util import files, serde
from aeonnx._util.text import counted
from aeonnx.errors import OutputError, RunError

__all__ = [
    "DONE",
    "Index",
    "Plan",
    "Record",
    "Shard",
    "begin",
    "commit",
    "complete",
    "finish",
    "part_name",
    "write_record",
]

PLAN, RECORDS, DONE = "_plan.json", "_shards", "_SUCCESS.json"
_FORMAT, _VERSION = "aeonnx-bulk", 1
_MOST = 2**28
"""Largest file that is read, in bytes: the index of a million shards is smaller."""
_OTHERWISE = "name another folder, or pass force=True to replace them"


@dataclass(frozen=True)
class Plan:
    """What is done to all shards.

    Args:
        bundle: SHA-256 of the bundle's manifest, which has those of its files.
        verb: such as "encode".
        options: what the results depend on beside the inputs, as JSON texts by name.
    """

    bundle: str
    verb: str
    options: dict[str, str]


@dataclass(frozen=True)
class Shard:
    """A part of the job, which one worker does at once.

    Args:
        number: from 0.
        rows: images, rows or windows in it.
        inputs: what it is made from, see `aeonnx.scale._inputs`.
        files: names of its results in the output folder.
        identity: digest of the plan and the inputs.
    """

    number: int
    rows: int
    inputs: Any
    files: tuple[str, ...]
    identity: str

    @classmethod
    def of(
        cls, plan: Plan, number: int, rows: int, inputs: Any, files: Sequence[str], stamp: Any
    ) -> Shard:
        """A shard with its identity.

        Args:
            plan, number, rows, inputs, files: see `Shard`.
            stamp: tells the inputs from others, in JSON: names, sizes and times of change.
        """
        text = json.dumps([asdict(plan), stamp, rows, files], sort_keys=True)
        return cls(number, rows, inputs, (*files,), hashlib.sha256(text.encode()).hexdigest())

    @property
    def name(self) -> str:
        """Its number with leading zeros."""
        return f"{self.number:05}"


@dataclass(frozen=True)
class Record:
    """What became of a shard.

    Args:
        name: see `Shard`.
        identity: see `Shard`.
        rows: images, rows or windows with a result.
        files: how many of its files there are.
        skipped: error message of each input that could not be used.
    """

    name: str
    identity: str
    rows: int
    files: int
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Index:
    """All shards of a job that is done."""

    plan: Plan
    rows: int
    shards: tuple[Record, ...]


def part_name(number: int, suffix: str) -> str:
    """The file of a shard whose results are in one: "part-00003.parquet"."""
    return f"part-{number:05}{suffix}"


def begin(folder: Path, plan: Plan, shards: Sequence[Shard], *, force: bool) -> dict[int, Record]:
    """Prepare the output folder, whose lock the caller holds.

    Args:
        folder: of the output.
        plan: of the job.
        shards: all of them.
        force: replace results of another plan or of other inputs.

    Returns:
        The records of complete shards, by their numbers.

    Raises:
        OutputError: the folder holds other files, or results of another plan or of other inputs,
            and `force` is not set.
    """
    found = _read(Plan, folder / PLAN)
    if found is None:
        files.refuse_existing(folder, force=force)
    elif found != plan and not force:
        raise OutputError(f"{folder} holds results {_difference(found, plan)}: {_OTHERWISE}")
    records = {shard.number: complete(folder, shard) for shard in shards}
    ready = {number: record for number, record in records.items() if record is not None}
    others = _others(folder, shards)
    if others and not force:
        raise OutputError(
            f"{folder} holds results of other inputs, in {counted(len(others), 'shard')} from "
            f"{others[0].stem} on: {_OTHERWISE}"
        )
    with files.output_errors(folder):
        (folder / RECORDS).mkdir(exist_ok=True)
        if len(ready) < len(shards) or others:
            (folder / DONE).unlink(missing_ok=True)
        for record in others:
            record.unlink(missing_ok=True)
            for part in folder.glob(f"part-{record.stem}.*"):
                part.unlink(missing_ok=True)
    if found != plan:
        _publish(folder, PLAN, plan)
    return ready


def complete(folder: Path, shard: Shard) -> Record | None:
    """The record of a shard whose results are all there; None of any other."""
    record = _read(Record, folder / _record(shard))
    if record is None or record.identity != shard.identity:
        return None
    there = sum((folder / name).is_file() for name in shard.files)
    return record if there == record.files else None


@contextmanager
def commit(folder: Path, shard: Shard) -> Iterator[Path]:
    """Yield a hidden folder for the results of a shard and its record, see `write_record`.

    Leaving the block moves them to `folder`, the record last; an exception leaves none of them.

    Raises:
        OutputError: the disk is full, or the like.
    """
    # Under the name of the shard: what is being written for others is left alone, even where a
    # file system's locks do not reach other machines.
    with files.staging(folder / RECORDS / shard.name) as hidden:
        staged = hidden / "results"
        yield staged
        files.commit(staged, folder, _record(shard))


def write_record(staged: Path, shard: Shard, rows: int, skipped: Sequence[str]) -> Record:
    """Write the record of a shard beside its results.

    Raises:
        RunError: a result is missing.
    """
    there = sum((staged / name).is_file() for name in shard.files)
    if there != (min(rows, 1) if len(shard.files) == 1 else rows):
        raise RunError(
            f"shard {shard.name}: expected the results of {rows} rows, got {there} files"
        )
    record = Record(shard.name, shard.identity, rows, there, (*skipped,))
    files.write(staged / _record(shard), serde.dump(record, _FORMAT, _VERSION))
    return record


def finish(
    folder: Path, plan: Plan, shards: Sequence[Shard], records: Mapping[int, Record]
) -> Index:
    """Write the index.

    Raises:
        RunError: a shard has no record.
        OutputError: the index cannot be written.
    """
    missing = [shard.name for shard in shards if shard.number not in records]
    if missing:
        raise RunError(
            f"{folder}: {counted(len(missing), 'shard')} of {len(shards)} came to no end, the "
            f"first of them {missing[0]}: run it again, which goes on from here"
        )
    found = tuple(records[shard.number] for shard in shards)
    index = Index(plan, sum(record.rows for record in found), found)
    for shard in shards:  # what a worker that was killed left
        left = folder / RECORDS / shard.name
        files.sweep(left)
        with suppress(OSError):
            left.rmdir()
    if _read(Index, folder / DONE) != index:
        _publish(folder, DONE, index)
    return index


def _publish(folder: Path, name: str, value: Plan | Index) -> None:
    """Write a file of the folder, which replaces a link of its name."""
    with files.publish(folder, name) as staged:
        files.write(staged / name, serde.dump(value, _FORMAT, _VERSION))


def _record(shard: Shard) -> str:
    return f"{RECORDS}/{shard.name}.json"


def _read(cls: type[Any], path: Path) -> Any:
    """What a file of the folder says; None if it is missing or damaged."""
    try:
        return serde.load(cls, files.read_bytes(path, _MOST), _FORMAT, _VERSION)
    except (OSError, ValueError):
        return None


def _others(folder: Path, shards: Sequence[Shard]) -> list[Path]:
    """The records of shards with other inputs."""
    identities = {f"{shard.name}.json": shard.identity for shard in shards}
    found = []
    for path in sorted((folder / RECORDS).glob("*.json")):
        record = _read(Record, path) if path.stem.isdecimal() else None
        if record is not None and record.identity != identities.get(path.name):
            found.append(path)
    return found


def _difference(found: Plan, plan: Plan) -> str:
    """What the results in a folder are of, and what was asked for."""
    if found.verb != plan.verb:
        return f"of {found.verb}, not of {plan.verb}"
    if found.bundle != plan.bundle:
        return f"of another bundle, with manifest {found.bundle[:12]}, not {plan.bundle[:12]}"
    names = sorted(found.options.keys() | plan.options.keys())
    name = next(name for name in names if found.options.get(name) != plan.options.get(name))
    had, has = (options.get(name, "none") for options in (found.options, plan.options))
    return f"with {name} {had}, not {has}"
