"""Cuts the inputs of a bulk job into shards: pictures, rows of .parquet files, samples."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from aeonnx.bundle import TensorSpec
from aeonnx.errors import ImageError, UsageError
from aeonnx.io.folders import pictures_in
from aeonnx.io.formats import distinct
from aeonnx.io.photos import PhotoFile
from aeonnx.io.pictures import read_file
from aeonnx.io.readers import Reading
from aeonnx.io.source import Source
from aeonnx.io.tables import columns_in, is_plain, of_arrow
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.file_rows import open_rows_of
from aeonnx.runtime.verbs import taken_by
from aeonnx.scale import _parquet
from aeonnx.scale._shards import Plan, Shard, part_name

__all__ = ["Draws", "Pictures", "shards_of", "shards_of_draws"]

_PICTURES, _ROWS, _DRAWS = 256, 65_536, 1024
"""Rows of a shard: large beside the milliseconds that it takes to hand one out."""


@dataclass(frozen=True)
class Pictures:
    """Pictures of a folder.

    Args:
        folder: that holds them.
        names: their relative paths.
        outputs: relative paths of their results.
    """

    folder: Path
    names: tuple[str, ...]
    outputs: tuple[str, ...]

    def open(self, bundle: Bundle, verb: str, reading: Reading) -> Source:
        """Their rows, which are read on demand."""
        files = [
            PhotoFile(name, output, partial(read_file, self.folder / name))
            for name, output in zip(self.names, self.outputs, strict=True)
        ]
        return open_rows_of(bundle, verb, files, reading)


@dataclass(frozen=True)
class Rows:
    """Rows of a .parquet file.

    Args:
        path: of the file.
        name: of the file, in results.
        first: number of the first row.
        last: number of the row after the last.
    """

    path: Path
    name: str
    first: int
    last: int

    def open(self, bundle: Bundle, verb: str, reading: Reading) -> Source:
        """The rows of columns that the bundle takes."""
        spec = _first_input(bundle, verb)
        head = _parquet.head(self.path)
        columns = columns_in(head, spec.names)
        # All of them for a model that knows columns by their places, and for the error message.
        wanted = columns if len(columns) == len(spec.names) else None
        found = _parquet.rows(self.path, self.first, self.last, wanted)
        table = of_arrow(found, self.name, first=self.first)
        rows = open_rows_of(bundle, verb, [table], reading)
        return replace(rows, names=[f"{self.name}:{row}" for row in rows.names[:]])


@dataclass(frozen=True)
class StoredPictures(Rows):
    """Pictures in a column of a .parquet file.

    Args:
        column: its name. It holds contents of picture files, or {"bytes": ..., "path": ...} as
            data sets of Hugging Face do, or paths relative to the folder of the file.
    """

    column: str

    def open(self, bundle: Bundle, verb: str, reading: Reading) -> Source:
        """Their rows, which are decoded on demand."""
        found = _parquet.rows(self.path, self.first, self.last, [self.column]).column(0)
        if not is_plain(found.type):
            raise ImageError(
                f"{self.path}: column {self.column}: expected pictures or their paths, got values "
                f"of the type {found.type}"
            )
        values = found.to_pylist()
        files = [
            PhotoFile(name, f"{number}.png", partial(_content, value, name, self.path.parent))
            for number, value in enumerate(values)
            for name in [f"{self.name}:{self.first + number}"]
        ]
        return open_rows_of(bundle, verb, files, reading)


@dataclass(frozen=True)
class Draws:
    """Samples of a seed.

    Args:
        seed: 0 to 2**63 - 1.
        first: index of the first.
        last: index after the last.
    """

    seed: int
    first: int
    last: int


def _first_input(bundle: Bundle, verb: str) -> TensorSpec:
    """The input that pictures or rows go to."""
    return bundle.inputs(taken_by(bundle.manifest, verb))[0]


def shards_of(
    bundle: Bundle,
    verb: str,
    source: Path,
    reading: Reading,
    plan: Plan,
    *,
    column: str,
    pictures: bool,
    size: int | None,
) -> list[Shard]:
    """The shards of a folder of pictures, of a .parquet file, or of a folder of them.

    Args:
        bundle: the bundle.
        verb: what is done.
        source: the file or folder.
        reading: how it is read.
        plan: of the job.
        column: of pictures in a .parquet file.
        pictures: whether the results are pictures.
        size: most rows of a shard; None for 256 pictures or 65,536 rows of columns.

    Raises:
        UsageError: the verb runs on neither pictures nor columns.
        ImageError: there is no such source, or it holds nothing.
    """
    spec = _first_input(bundle, verb)
    if spec.kind != "image" and not spec.names:
        raise UsageError(
            f"{verb} of this bundle runs on {spec.name} of the kind {spec.kind}: expected a model "
            "of pictures or of the columns of a table; use aeonnx.load for others"
        )
    stored = _parquet.files_in(source, recursive=reading.recursive)
    if not stored and spec.kind == "image" and source.is_dir():
        return [*_of_folder(source, reading, plan, pictures=pictures, size=size or _PICTURES)]
    if not stored:
        kinds = "a folder of pictures, a" if spec.kind == "image" else "a"
        raise ImageError(f"{source}: expected {kinds} .parquet file, or a folder of them")
    made = partial(StoredPictures, column=column) if spec.kind == "image" else Rows
    length, step = _window(spec, reading)
    size = size or (_PICTURES if spec.kind == "image" else _ROWS)
    shards = [*_of_parquet(stored, source, plan, made, length, step, size)]
    if not shards:
        raise ImageError(f"{source} holds no rows: give at least one")
    return shards


def shards_of_draws(plan: Plan, seed: int, first: int, n: int, size: int | None) -> list[Shard]:
    """The shards of n samples of a seed.

    Args:
        plan: of the job.
        seed: of the samples.
        first: index of the first sample.
        n: number of samples.
        size: most samples of a shard; None for 1,024.
    """
    size = size or _DRAWS
    found = []
    for number, start in enumerate(range(first, first + n, size)):
        stop = min(start + size, first + n)
        files = [part_name(number, ".npy")]
        draws = Draws(seed, start, stop)
        found.append(Shard.of(plan, number, stop - start, draws, files, [seed, start, stop]))
    return found


def _of_folder(
    folder: Path, reading: Reading, plan: Plan, *, pictures: bool, size: int
) -> Iterator[Shard]:
    paths, _ = pictures_in(folder, recursive=reading.recursive)
    names = [path.relative_to(folder).as_posix() for path in paths]
    outputs = distinct(names, ".png")
    for number, start in enumerate(range(0, len(paths), size)):
        part = slice(start, start + size)
        inputs = Pictures(folder, (*names[part],), (*outputs[part],))
        files = outputs[part] if pictures else [part_name(number, ".parquet")]
        stamp = [_stamp(path, name) for path, name in zip(paths[part], names[part], strict=True)]
        yield Shard.of(plan, number, len(inputs.names), inputs, files, stamp)


def _of_parquet(
    paths: Sequence[Path],
    source: Path,
    plan: Plan,
    made: Any,
    length: int,
    step: int,
    size: int,
) -> Iterator[Shard]:
    """Shards of rows, or of windows of `length` rows, each `step` rows after the one before.

    A file without rows, as programs that write many leave some, has none.
    """
    number = 0
    for path in paths:
        name = path.name if source == path else path.relative_to(source).as_posix()
        rows = _parquet.count(path)
        if 0 < rows < length:
            raise ImageError(
                f"{path}: expected {length} rows or more, the length of a window, got {rows}"
            )
        windows = (rows - length) // step + 1 if rows else 0
        for start in range(0, windows, size):
            stop = min(start + size, windows)
            first, last = start * step, (stop - 1) * step + length
            inputs = made(path, name, first, last)
            stamp = [_stamp(path, name), first, last]
            files = [part_name(number, ".parquet")]
            yield Shard.of(plan, number, stop - start, inputs, files, stamp)
            number += 1


def _window(spec: TensorSpec, reading: Reading) -> tuple[int, int]:
    """Rows of a window, and from one to the next; (1, 1) for a model of rows or pictures."""
    if spec.kind != "signal":
        return 1, 1
    length = int(spec.shape[-1])
    return length, reading.step or length


def _stamp(path: Path, name: str) -> list[Any]:
    try:
        found = os.stat(path)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error
    return [name, found.st_size, found.st_mtime_ns]


def _content(value: Any, name: str, folder: Path) -> bytes:
    """The picture file that an item of a column holds or names."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return read_file(folder / value)
    got = "none" if value is None else f"{value!r:.40}"
    raise ImageError(f"{name}: expected a picture or its path, got {got}")
