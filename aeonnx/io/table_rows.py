"""Opens the rows of tables, and the windows of time series, for a model of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx._util.text import counted
from aeonnx.errors import ImageError
from aeonnx.io import npy, npz
from aeonnx.io.arrays import names_of_images
from aeonnx.io.pictures import ANY
from aeonnx.io.rows import Rows, open_rows
from aeonnx.io.source import AllSkipped, Source, joined, numbered
from aeonnx.io.stored import Numbers, first_bytes, named, slices, stored
from aeonnx.io.tables import Table, is_table, of_array, read_table

__all__ = ["ColumnsOf", "has_columns", "open_table_rows"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ColumnsOf:
    """What rows a model takes.

    Args:
        rows: shape [D] of a row or [D, W] of a window, and names for messages.
        names: of the D columns; numbers from "0" if they were not named in training.
        missing: whether values may be missing.
        step: rows from one window to the next; None for the length of a window.
        skip_bad: leave out rows with values that are missing or infinite, and windows that have
            one, where the model does not take them.
    """

    rows: Rows
    names: tuple[str, ...]
    missing: bool
    step: int | None = None
    skip_bad: bool = False

    @property
    def positional(self) -> bool:
        """Whether columns are known by their places alone."""
        return self.names == tuple(map(str, range(len(self.names))))


def has_columns(names: Sequence[str], shape: Sequence[int]) -> bool:
    """Whether rows of a shape are those of a table, [D], or windows of a time series, [D, W].

    Args:
        names: of the columns; () if they have none.
        shape: of a row; `ANY` stands for any size.
    """
    return bool(names) and len(shape) in (1, 2) and ANY not in shape


def open_table_rows(paths: Sequence[Path | str | Table], wanted: ColumnsOf) -> Source:
    """Open rows of tables (.csv, .parquet, or read already) and arrays (.npy, .npz).

    Columns of a table that has names are found by them, in any order, and others are left out. A
    model of windows gets the windows of each table or array [T, D]; arrays of windows [n, D, W] are
    taken as they are.

    Raises:
        ImageError: a file is missing, has other columns, too few rows, or values that are missing
            or infinite; the message names the column.
    """
    parts = []
    for path in paths:
        where = path.where if isinstance(path, Table) else named(path)
        found = [
            part if isinstance(part, Source) else _source(part, wanted)
            for part in ([path] if isinstance(path, Table) else _tables(path, where, wanted))
        ]
        one = joined(found)
        parts.append(one if len(paths) == 1 else numbered(one, where))
    return joined(parts)


def _tables(path: Path | str, where: str, wanted: ColumnsOf) -> Iterator[Table | Source]:
    """The tables of a file; arrays of windows as they are."""
    if is_table(path):
        yield read_table(Path(path))
        return
    start, stream = first_bytes(path)
    if not start.startswith((npy.MAGIC, *npz.MAGIC)) and not str(path).endswith((".npy", ".npz")):
        raise ImageError(
            f"{where}: expected a table, .csv or .parquet, or an array [T, {len(wanted.names)}] as "
            ".npy or .npz"
        )
    whole = wanted.rows.shape
    for array in stored(path, start, stream, lambda names: names_of_images(names, where)[0]):
        if len(array.shape) == len(whole) + 1 == 3:
            if stream is not None:  # which can be read once
                raise ImageError(f"{where}: windows are read from files alone: name a file")
            yield open_rows([path], wanted.rows)
            return
        if len(array.shape) != 2:
            raise ImageError(
                f"{array.where}: expected rows [n, {len(wanted.names)}], got {list(array.shape)}"
            )
        values = np.concatenate([*array.rows(array.shape, max(1, array.shape[0]))])
        yield of_array(values, array.where)


def _source(table: Table, wanted: ColumnsOf) -> Source:
    values = _values(table, wanted)
    problems = _problems(table, values, wanted)
    skipped = tuple(problems.values())
    if problems and not wanted.skip_bad:
        raise ImageError(skipped[0])
    if problems and len(problems) == len(values):
        raise AllSkipped(skipped[0], skipped)
    bad = np.isin(np.arange(len(values)), [*problems])
    shape = wanted.rows.shape
    if len(shape) == 1:
        kept = np.flatnonzero(~bad)
        all_of_file = not problems and not table.first
        names = Numbers(len(values)) if all_of_file else [str(table.first + row) for row in kept]
        return Source(names, partial(slices, values[kept]), skipped=skipped)
    length = shape[1]
    if len(values) < length:
        raise ImageError(
            f"{table.where}: expected {length} rows or more, the length of a window, got "
            f"{len(values)}"
        )
    step = wanted.step or length
    windows = np.lib.stride_tricks.sliding_window_view(values, length, 0)[::step]
    starts = np.arange(0, step * len(windows), step)
    whole = ~np.lib.stride_tricks.sliding_window_view(bad, length)[::step].any(1)
    empty = _empty_windows(table, values, starts[whole], length)
    if empty and not wanted.skip_bad:
        raise ImageError(next(iter(empty.values())))
    whole &= ~np.isin(starts, [*empty])
    # By their last row, so that those of a file that grows come after those that were there.
    ends = {start + length - 1: text for start, text in empty.items()}
    skipped = tuple(text for _, text in sorted({**problems, **ends}.items()))
    if not whole.any():
        raise AllSkipped(skipped[0], skipped)
    names = [f"{first}-{first + length - 1}" for first in (table.first + starts[whole]).tolist()]
    windows = windows[whole] if skipped else windows  # which copies them
    return Source(
        names,
        lambda size: map(np.ascontiguousarray, slices(windows, size)),
        left_out=_rest(table, int(starts[-1]) + length, len(values), length),
        skipped=skipped,
    )


def _empty_windows(table: Table, values: Array, starts: Array, length: int) -> dict[int, str]:
    """What is wrong with windows that have no value at all, by their first rows."""
    gone = np.asarray(np.isnan(values).all(1))
    found = {}
    for start in starts.tolist():
        if gone[start : start + length].all():
            first = table.first + start
            found[start] = (
                f"{table.where}: rows {first} to {first + length - 1} have no value in any column "
                "of the model: remove them"
            )
    return found


def _rest(table: Table, first: int, end: int, length: int) -> tuple[str, ...]:
    """A line about the rows from `first` on, which are in no window."""
    if first == end:
        return ()
    rows = range(table.first + first, table.first + end)
    which = f"rows {rows[0]} to {rows[-1]}" if len(rows) > 1 else f"row {rows[0]}"
    return (f"{table.where}: left out {which} at the end, too few for one more window of {length}",)


def _values(table: Table, wanted: ColumnsOf) -> Array:
    """The columns in the order of the model, float32 [T, D]."""
    found = [*table.numbers, *table.texts]
    # Columns that were chosen by their places have these as names: "2", "5".
    if not wanted.positional and (table.named or {*wanted.names} <= {*found}):
        return table.values(wanted.names)
    if len(found) != len(wanted.names):
        names = "" if wanted.positional else f" ({', '.join(wanted.names)})"
        raise ImageError(
            f"{table.where}: expected {counted(len(wanted.names), 'column')}{names}, got "
            f"{len(found)}"
        )
    return table.values(found)


def _problems(table: Table, values: Array, wanted: ColumnsOf) -> dict[int, str]:
    """What is wrong with rows, by their places; at most the first problem of each."""
    wrong = np.isinf(values) if wanted.missing else ~np.isfinite(values)
    found = {}
    for row in np.flatnonzero(wrong.any(1)).tolist():
        column = int(wrong[row].argmax())
        got = values[row, column]
        todo = (
            "remove the row, or train with --missing impute, so that missing values are filled in"
            if np.isnan(got)
            else "leave the value empty if it is missing"
            if wanted.missing
            else "remove the row"
        )
        what = "no value" if np.isnan(got) else f"{got:g}"
        found[row] = (
            f"{table.where}: column {wanted.names[column]}: expected finite numbers, got {what} "
            f"in row {table.first + row}: {todo}"
        )
    if len(wanted.rows.shape) == 1:
        for row in np.flatnonzero(np.isnan(values).all(1)).tolist():
            found.setdefault(
                row,
                f"{table.where}: row {table.first + row} has no value in any column of the model: "
                "remove it",
            )
    return dict(sorted(found.items()))
