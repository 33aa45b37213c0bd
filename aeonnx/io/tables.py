"""Reads tables: .csv files with the standard library, .parquet files with pyarrow."""

from __future__ import annotations

import csv
import re
import shlex
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx._util.optional import require_modules
from aeonnx._util.text import printable
from aeonnx.errors import ImageError, UsageError
from aeonnx.io.csv_rows import csv_rows, has_decimal_comma, number_of

__all__ = [
    "SUFFIXES",
    "Table",
    "columns_in",
    "is_plain",
    "is_table",
    "join_names",
    "name_and_unit",
    "of_array",
    "of_arrow",
    "of_csv",
    "parquet_errors",
    "read_table",
    "split_names",
]

Array = npt.NDArray[Any]

SUFFIXES = (".csv", ".tsv", ".parquet")
_UNIT = re.compile(r"(.*\S)\s*[\[(]\s*([^\])]*?)\s*[\])]")
"""A name with its unit: temperature [°C], pressure (hPa)."""
_SNIFFED = 65536  # bytes that tell a text
_NAMED = 12  # columns that a message names


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of one length.

    Args:
        where: name of the file, for messages.
        numbers: columns of numbers by name, float64 [T], NaN where a value is missing.
        texts: the other columns by name: the texts of their rows.
        units: of the columns that have one, by name.
        named: whether the file names the columns; else they are named by their places, from "0".
        first: number of the first row in the file, if these are some of its rows.
    """

    where: str
    numbers: Mapping[str, Array]
    texts: Mapping[str, Sequence[str]]
    units: Mapping[str, str]
    named: bool
    first: int = 0

    def values(self, names: Sequence[str]) -> Array:
        """Some columns side by side, float32 [T, D].

        Raises:
            ImageError: a column is missing, or has texts; the message names it.
        """
        missing = [name for name in names if name not in self.numbers and name not in self.texts]
        if missing:
            raise ImageError(
                f"{self.where}: expected {_columns(missing)}, got {_columns((*self.numbers,))}"
            )
        for name in names:
            if name in self.texts:
                raise ImageError(self._of_texts(name))
        with np.errstate(over="ignore"):  # values beyond float32's range become infinite
            return np.stack([self.numbers[name] for name in names], 1).astype(np.float32)

    def refuse_texts(self, but: Sequence[str] = ()) -> None:
        """Raise `ImageError` if a column has texts, except for some."""
        for name in self.texts:
            if name not in but:
                numbers = join_names(self.numbers)
                raise ImageError(
                    f"{self._of_texts(name)}. To leave it out, name the others: --columns "
                    f"{shlex.quote(numbers)}"
                    if numbers
                    else f"{self._of_texts(name)}, and no column has numbers alone"
                )

    def _of_texts(self, name: str) -> str:
        row, text = next(
            (row, text) for row, text in enumerate(self.texts[name]) if number_of(text) is None
        )
        found = (
            f"{self.where}: column {printable(name)}: expected numbers, got "
            f"{printable(text)[:40]!r} in row {self.first + row}"
        )
        if has_decimal_comma(text):
            return f"{found} (decimal commas are read between semicolons alone)"
        return found


def is_table(path: Path | str) -> bool:
    """Whether a file is read as a table, by its suffix."""
    return Path(path).suffix.lower() in SUFFIXES


def read_table(path: Path, texts: Collection[str] = ()) -> Table:
    """Read a table.

    A .csv has UTF-8 or, failing that, Windows-1252 text with commas, semicolons, tabs or bars
    between values; between semicolons, 60,6 is 60.6. Its first row names the columns, if a value in
    it is neither a number nor missing. An empty value, NA, NaN, null, None, - and ? stand for a
    missing one, and so does an empty line between rows of one column. A name may end in a unit,
    in brackets: temperature [°C].

    Args:
        path: of the file.
        texts: names of columns that are read as texts, whatever they hold: labels such as 007.

    Raises:
        ImageError: it is missing, empty, or no such table.
        SetupError: a .parquet is read without pyarrow.
    """
    where = f"{path}"
    try:
        if path.suffix.lower() == ".parquet":
            return _of_parquet(path, where, texts)
        return of_csv(path.read_bytes(), where, texts)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error


def of_array(values: Array, where: str) -> Table:
    """A table whose columns are those of an array [T, D], named by their places.

    Raises:
        ImageError: it has other values than numbers.
    """
    if values.dtype.kind not in "biuf":
        raise ImageError(f"{where}: expected numbers, got {values.dtype}")
    names = [str(place) for place in range(values.shape[1])]
    columns = [values[:, place] for place in range(values.shape[1])]
    return _table(where, names, columns, [None] * len(names), {}, named=False)


def of_csv(data: bytes, where: str, as_texts: Collection[str] = ()) -> Table:
    """The table in the bytes of a .csv, see `read_table`.

    Raises:
        ImageError: it is empty, or no such table.
    """
    if b"\0" in data[:_SNIFFED]:
        raise ImageError(f"{where}: expected a table as text, got other bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    lines = csv_rows(text, where)
    first = next(lines, None)
    if first is None:
        raise ImageError(f"{where} is empty: expected rows of numbers")
    named = any(number_of(item) is None for item in first)
    names, units = _named(first, where) if named else ([*map(str, range(len(first)))], {})
    numbers = [array("d") for _ in names]
    # By place, of the columns that have other values than numbers.
    texts: dict[int, list[str]] = {at: [] for at, name in enumerate(names) if name in as_texts}
    rows = lines if named else chain([first], lines)
    count = 0
    for count, line in enumerate(rows, 1):
        if len(line) != len(names):
            raise ImageError(
                f"{where}: row {count - 1}: expected {len(names)} values, as in the first row, got "
                f"{len(line)}"
            )
        for place, item in enumerate(line):
            value = None if place in texts else number_of(item)
            if value is None:
                texts.setdefault(place, [])
            else:
                numbers[place].append(value)
    if not count:
        raise ImageError(f"{where} has names of columns and no rows: expected rows of numbers")
    if texts:  # read again, since a text such as 007 cannot be told from its number
        for line in islice(csv_rows(text, where), named, None):
            for place, column in texts.items():
                column.append(line[place].strip())
    raw = [texts.get(place) for place in range(len(names))]
    return _table(where, names, numbers, raw, units, named=named)


def _table(
    where: str,
    names: Sequence[str],
    numbers: Sequence[Any],
    raw: Sequence[Sequence[str] | None],
    units: Mapping[str, str],
    *,
    named: bool,
) -> Table:
    return Table(
        where,
        {
            name: np.asarray(column, np.float64)
            for name, column, texts in zip(names, numbers, raw, strict=True)
            if texts is None
        },
        {name: texts for name, texts in zip(names, raw, strict=True) if texts is not None},
        units,
        named,
    )


def _named(head: Sequence[str], where: str) -> tuple[list[str], dict[str, str]]:
    """Names and units of columns."""
    names, units = [], {}
    for place, text in enumerate(head):
        name, unit = name_and_unit(text or str(place))
        if unit:
            units[name] = unit
        if name in names:
            raise ImageError(f"{where}: expected columns of different names, got {name} twice")
        names.append(name)
    return names, units


def name_and_unit(text: str) -> tuple[str, str]:
    """("temperature", "°C") of "temperature [°C]"; the unit is "" if there is none."""
    found = _UNIT.fullmatch(text.strip())
    return (printable(found[1]), printable(found[2])) if found else (printable(text.strip()), "")


def _of_parquet(path: Path, where: str, as_texts: Collection[str]) -> Table:
    with parquet_errors(where), path.open("rb") as file:
        import pyarrow.parquet

        found = pyarrow.parquet.read_table(file)
    if not found.num_rows or not found.num_columns:
        raise ImageError(f"{where} holds no rows: expected rows of numbers")
    return of_arrow(found, where, as_texts)


@contextmanager
def parquet_errors(where: str) -> Iterator[None]:
    """Turn what pyarrow raises about a file into an `ImageError`.

    Raises:
        ImageError: it is no .parquet file, or damaged.
        SetupError: there is no pyarrow.
    """
    require_modules("pyarrow", extra="parquet", purpose="reading .parquet files")
    import pyarrow

    try:
        yield
    except ImageError:
        raise
    except (pyarrow.ArrowException, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ImageError(f"{where}: expected a .parquet file, got another: {reason}") from error


def of_arrow(found: Any, where: str, as_texts: Collection[str] = (), first: int = 0) -> Table:
    """The table of a `pyarrow.Table`.

    Args:
        found: with rows.
        where: name of its file, for messages.
        as_texts: see `read_table`.
        first: number of its first row in the file.
    """
    import pyarrow

    names, units = _named(found.column_names, where)
    kinds = pyarrow.types
    numbers: list[Any] = []
    raw: list[list[str] | None] = []
    for name, column in zip(names, found.columns, strict=True):
        kind = column.type
        plain = kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)
        numeric = plain or kinds.is_decimal(kind) or kinds.is_null(kind)
        if numeric and name not in as_texts:
            numbers.append(column.cast(pyarrow.float64(), safe=False).to_numpy())
            raw.append(None)
        else:
            numbers.append(())
            items = column.to_pylist() if is_plain(kind) else [kind] * len(column)
            raw.append(["" if item is None else str(item) for item in items])
    return replace(_table(where, names, numbers, raw, units, named=True), first=first)


def is_plain(kind: Any) -> bool:
    """Whether a type of pyarrow has no extension type in it.

    Values of an extension type are made by the library that registered it. One of Ray's unpickles
    them, and so runs what a file says.
    """
    import pyarrow

    if isinstance(kind, pyarrow.BaseExtensionType):
        return False
    if pyarrow.types.is_dictionary(kind):
        return is_plain(kind.value_type)
    return all(is_plain(kind.field(place).type) for place in range(kind.num_fields))


def columns_in(head: Sequence[str], names: Collection[str]) -> list[str]:
    """Those texts of a head that name one of some columns, with or without its unit."""
    return [text for text in head if name_and_unit(text)[0] in names]


def _columns(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    what = "column" if len(names) == 1 else "columns"
    return f"the {what} {', '.join(map(printable, names[:_NAMED]))}{more}" if names else "none"


def join_names(names: Iterable[str]) -> str:
    """One text with commas between the names, those that have a comma in quotes."""
    return ",".join(f'"{name}"' if "," in name else name for name in names)


def split_names(text: str) -> list[str]:
    """The names in a text, see `join_names`.

    Raises:
        UsageError: it has none.
    """
    found = [name.strip() for name in next(csv.reader([text]), [])]
    if not all(found) or not found:
        raise UsageError(f"--columns: expected names with commas between them, got {text!r}")
    return found
