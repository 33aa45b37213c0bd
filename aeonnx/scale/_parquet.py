"""Reads some rows of .parquet files, and writes results to them, with pyarrow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.errors import ImageError
from aeonnx.io.tables import parquet_errors

__all__ = ["columns", "count", "files_in", "head", "rows", "write"]

Array = npt.NDArray[Any]

_SUFFIX = ".parquet"
_AT_ONCE = 4096


def files_in(source: Path, *, recursive: bool) -> list[Path]:
    """A .parquet file, or those in a folder in the order of their names; empty without.

    Raises:
        ImageError: there is no such file or folder.
    """
    if not os.path.exists(source):
        raise ImageError(f"{source} does not exist")
    if not source.is_dir():
        return [source] if source.suffix.lower() == _SUFFIX else []
    found = source.rglob("*") if recursive else source.iterdir()
    return sorted(
        path
        for path in found
        if path.suffix.lower() == _SUFFIX and path.name[0] not in "._" and path.is_file()
    )


def count(path: Path) -> int:
    """The number of rows.

    Raises:
        ImageError: the file cannot be read.
    """
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def head(path: Path) -> list[str]:
    """The names of the columns.

    Raises:
        ImageError: the file cannot be read.
    """
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def rows(path: Path, first: int, last: int, names: Sequence[str] | None) -> Any:
    """A `pyarrow.Table` of some rows, which are read without those of other row groups.

    Args:
        path: of the file.
        first: number of the first row.
        last: number of the row after the last.
        names: of the columns that are read; None for all.

    Raises:
        ImageError: the file cannot be read, or lacks a column or a row.
    """
    import pyarrow

    with _opened(path) as file:
        has = file.schema_arrow.names
        missing = [name for name in names or () if name not in has]
        if missing:
            raise ImageError(
                f"{path}: expected the column {missing[0]}, got {', '.join(has) or 'none'}: name "
                "another with column=..."
            )
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        starts = [*accumulate(sizes, initial=0)]
        if last > starts[-1]:
            raise ImageError(f"{path}: expected {last} rows or more, got {starts[-1]}")
        groups = [
            group
            for group, size in enumerate(sizes)
            if starts[group] < last and first < starts[group] + size
        ]
        place, found = starts[groups[0]], []
        for batch in file.iter_batches(_AT_ONCE, groups, names):
            low, high = max(first - place, 0), min(last - place, batch.num_rows)
            if low < high:
                found.append(batch.slice(low, high - low))
            place += batch.num_rows
            if place >= last:
                break
    return pyarrow.Table.from_batches(found)


def columns(name: str, rows: Array | Sequence[Array], *, any_size: bool) -> dict[str, Any]:
    """The columns for rows: of numbers, or of tensors of one shape.

    Args:
        name: of the column.
        rows: an array [n, ...], or its rows.
        any_size: whether rows may differ in shape: then each is a flat list, and a second column
            has its shape.
    """
    import pyarrow

    if rows[0].ndim == 0:
        return {name: pyarrow.array(np.asarray(rows))}
    if any_size:
        shapes = [np.array(row.shape, np.int32) for row in rows]
        flat = [row.ravel() for row in rows]
        return {name: pyarrow.array(flat), f"{name}_shape": pyarrow.array(shapes)}
    tensors = np.ascontiguousarray(rows)
    return {name: pyarrow.FixedShapeTensorArray.from_numpy_ndarray(tensors)}


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Write columns to a new file, and create its folder."""
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table(dict(found)), path)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with parquet_errors(f"{path}"):
        import pyarrow.parquet

        try:
            with path.open("rb") as stream:
                yield pyarrow.parquet.ParquetFile(stream)
        except OSError as error:
            raise ImageError(f"cannot read {path}: {error.strerror or error}") from error
