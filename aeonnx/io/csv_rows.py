"""Rows of texts in a .csv: what is between values, and which of them are numbers."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from itertools import repeat

from aeonnx.errors import ImageError

__all__ = ["csv_rows", "has_decimal_comma", "is_missing", "number_of"]

_DELIMITERS = ",;\t|"
_SNIFFED = 65536  # characters from which the delimiter is told
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
"""Texts that stand for a missing value, in small letters."""
_DECIMAL = re.compile(r"\s*[+-]?(\d+,\d*|,\d+)(e[+-]?\d+)?\s*", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')


def csv_rows(text: str, where: str) -> Iterator[list[str]]:
    """The rows of a .csv, without empty lines that are no missing values; decimals with a point."""
    delimiter = _delimiter(text)
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        width = blank = 0
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if len(line) <= 1 and not any(item.strip() for item in line):
                blank += 1
                continue
            if width == 1:  # of one column, an empty line is a missing value
                yield from repeat([""], blank)
            width, blank = len(line), 0
            yield [*map(_with_point, line)] if delimiter == ";" else line
    except csv.Error as error:
        raise ImageError(
            f"{where}: expected rows of values, got a row that is none: {error}"
        ) from error


def _delimiter(text: str) -> str:
    """What is between the values of the first row."""
    line = _QUOTED.sub("", text[:_SNIFFED].lstrip("\r\n").partition("\n")[0])
    items = line.split(";")
    if len(items) > 1 and all(number_of(_with_point(item)) is not None for item in items):
        return ";"  # between numbers with decimal commas, of which there are more
    return max(_DELIMITERS, key=line.count)


def is_missing(text: str) -> bool:
    """Whether a text stands for a missing value, such as "" or NA."""
    return text.strip().lower() in _MISSING


def has_decimal_comma(text: str) -> bool:
    """Whether a text is a number with a decimal comma, or one of thousands: 60,6."""
    return "," in text and bool(_DECIMAL.fullmatch(text))


def _with_point(text: str) -> str:
    """A number with a decimal comma as one with a point; any other text as it is."""
    return text.replace(",", ".") if has_decimal_comma(text) else text


def number_of(text: str) -> float | None:
    """The number of a text, NaN for a missing one; None if it is neither."""
    try:
        return float(text) if "_" not in text else None  # 1_000 is Python's, and no table's
    except ValueError:
        return float("nan") if is_missing(text) else None
