"""Scores the files of a folder, and each new one as it comes: pictures, tables, arrays."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import cast

from aeonnx.bundle import Variant
from aeonnx.errors import ImageError, InputError
from aeonnx.io.folders import SUFFIXES, look
from aeonnx.io.readers import Reading
from aeonnx.io.tables import SUFFIXES as TABLES
from aeonnx.io.tables import Table, of_csv
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.file_rows import open_rows_of
from aeonnx.runtime.labels import missing_label, predicted
from aeonnx.runtime.scored import Scored, score_output, threshold_of
from aeonnx.runtime.session import Array
from aeonnx.runtime.stream import rows_at_once
from aeonnx.runtime.verbs import PARTS

__all__ = ["Seen", "watched"]

_SECONDS = 0.5  # between looks at the folder
_ARRAYS = (".npy", ".npz")
_LOGS = (".csv", ".tsv")  # programs append rows to them

_State = tuple[int, int]
"""Size and time of a file."""

_UNFINISHED = 10  # looks at a .csv without a newline at its end, which may be half a row
_BUSY = 4  # looks at a .csv that grows all the time, after which its whole lines are read


@dataclass(frozen=True)
class _Done:
    """What was scored of a file.

    Args:
        state: of the file.
        rows: number of rows.
        problems: number of rows that cannot be scored.
        start: SHA-256 of the file as it was, to tell one that grew from another.
    """

    state: _State = (0, 0)
    rows: int = 0
    problems: int = 0
    start: str = ""


@dataclass(frozen=True)
class _Look:
    """What a look at a file saw.

    Args:
        state: of the file.
        quiet: for how many looks it has been so.
        waited: for how many looks it has had content that is not scored.
    """

    state: _State
    quiet: int
    waited: int


@dataclass(frozen=True)
class Seen:
    """One file of a watched folder.

    Args:
        names: of its rows: the name of the file, with their numbers if it is no picture.
        scored: their scores; None if there are none.
        problems: why the file, or a row of it, cannot be scored.
    """

    names: tuple[str, ...]
    scored: Scored | None
    problems: tuple[str, ...] = ()


def watched(
    bundle: Bundle,
    folder: Path,
    threshold: str | float,
    reading: Reading,
    *,
    others: Mapping[str, float] = MappingProxyType({}),
    until: int | None = None,
) -> Iterator[Seen]:
    """Score the files of a folder in order of their names, then each new or changed one.

    A file is read when its size and time have not changed between two looks, so that one that is
    still being written is not read in part. Of a .csv that has grown, only further rows are scored;
    of one that grows all the time, the whole lines at every fourth look.

    Args:
        bundle: the bundle.
        folder: is looked at every half second; subfolders are not.
        threshold: see `Bundle.score`.
        reading: how files are read.
        others: see `score_files`.
        until: stop after so many looks; None to go on for ever.

    Raises:
        ImageError: the folder cannot be read.
        UsageError, BundleError: see `Bundle.score`.
    """
    label = missing_label(bundle, "score", others)
    bundle.require("score", (*others, *([label] if label else [])))
    scorer = bundle.variant(PARTS["score"])
    reading = replace(reading, skip_bad=bool(scorer.inputs[0].names))  # of rows, not of files
    limit = threshold_of(scorer, score_output(scorer), threshold)
    suffixes = _suffixes(scorer)

    def score(rows: Array) -> Scored:
        more = {label: predicted(bundle, rows)} if label else {}
        return bundle.score(rows, threshold=limit, **others, **more)

    before: dict[Path, _Look] = {}
    done: dict[Path, _Done] = {}
    looks = 0
    while until is None or looks < until:
        found = look(folder)
        files = sorted(
            path
            for path in (*found.pictures, *found.others)
            if path.suffix.lower() in suffixes and path.is_file()
        )
        done = {path: last for path, last in done.items() if path in files}
        now = {}
        for path in files:
            last_done = done.get(path, _Done())
            now[path] = at = _looked(path, before.get(path), last_done)
            log = path.suffix.lower() in _LOGS
            ready = at.quiet >= (_UNFINISHED if log and _is_cut(path) else 1)
            busy = log and not ready and at.waited >= _BUSY
            if at.state == last_done.state or not (ready or busy):
                continue
            whole = _whole_lines(path) if busy else None
            if busy and whole is None:
                continue
            table, state = whole or (path, at.state)
            grown = log and _start(path, last_done.state[0]) == last_done.start
            since = last_done if grown else _Done()
            seen, problems = _scored(bundle, path.name, table, reading, score, since)
            start = _start(path, state[0]) if log else ""
            done[path] = _Done(state, since.rows + len(seen.names), problems, start)
            now[path] = replace(at, waited=0)
            if seen.names or seen.problems:
                yield seen
        before, looks = now, looks + 1
        time.sleep(_SECONDS)


def _suffixes(scorer: Variant) -> tuple[str, ...]:
    """Suffixes of the files that a scorer reads."""
    first = scorer.inputs[0]
    if first.kind == "image":
        return SUFFIXES
    return (*TABLES, *_ARRAYS) if first.names else _ARRAYS


def _looked(path: Path, before: _Look | None, done: _Done) -> _Look:
    state = _state(path)
    if before is None:
        return _Look(state, 0, 0)
    quiet = before.quiet + 1 if before.state == state else 0
    return _Look(state, quiet, before.waited + 1 if state != done.state else 0)


def _whole_lines(path: Path) -> tuple[Table, _State] | None:
    """The rows of a .csv that is being written, without the last line if it does not end.

    Returns:
        With the size of what was read; None if there are no rows yet, or a row is cut.
    """
    with suppress(OSError, ImageError):
        data = path.read_bytes()
        data = data[: data.rfind(b"\n") + 1]
        return of_csv(data, f"{path}"), (len(data), -1)  # no file has that time: look again
    return None


def _state(path: Path) -> _State:
    try:
        found = path.stat()
    except OSError:  # removed since it was listed
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _is_cut(path: Path) -> bool:
    """Whether the last line of a file does not end."""
    with suppress(OSError), path.open("rb") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            return file.read(1) not in b"\r\n"
    return False


def _start(path: Path, size: int) -> str:
    """SHA-256 of the first `size` bytes of a file; "" of none."""
    if not size:
        return ""
    with suppress(OSError), path.open("rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()
    return ""


def _scored(
    bundle: Bundle,
    name: str,
    file: Path | Table,
    reading: Reading,
    score: Callable[[Array], Scored],
    since: _Done,
) -> tuple[Seen, int]:
    """The rows of a file after those that were scored, and how many rows of it cannot be."""
    found: list[Scored] = []
    done = 0
    try:
        source = open_rows_of(bundle, "score", cast(list[Path], [file]), reading)
        for batch in source.batches(rows_at_once(bundle, "score", source.values)):
            rows = batch[max(0, since.rows - done) :]
            done += len(batch)
            if len(rows):
                found.append(score(rows))
    except InputError as error:
        return Seen((), None, (str(error),)), since.problems
    numbers = source.names[since.rows :]
    names = (name,) if source.pictures else tuple(f"{name}:{number}" for number in numbers)
    problems = source.skipped[since.problems :]
    return Seen(names, Scored.of(found) if found else None, problems), len(source.skipped)
