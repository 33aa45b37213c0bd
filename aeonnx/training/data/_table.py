"""Tables and time series: columns of numbers in any unit, with missing values or without."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aeonnx._util.text import counted, printable
from aeonnx.errors import DataError
from aeonnx.io.csv_rows import is_missing
from aeonnx.io.tables import Table, join_names, split_names
from aeonnx.models import Columns
from aeonnx.training.data._set import DataSet, InMemory, Scale, Split, every
from aeonnx.training.data._split import SPLIT, split
from aeonnx.training.data._windows import Windows, starts_of
from aeonnx.training.options import TableOptions

__all__ = ["Given", "data_set_of", "given_of"]

Array = npt.NDArray[Any]

SERIES = "the last tenth of the series"
_NAMED = 6  # columns that a message names
_ROUNDED = 0.01  # standard deviations by which rounding to float32 is worth a note


@dataclass(frozen=True, eq=False)
class Given:
    """Rows of a file.

    Args:
        where: the file, for messages.
        values: float32 [T, D], NaN where a value is missing.
        names, units: of the columns, see `Columns`.
        labels: int64 [T], indices into `classes`; None without.
        classes: names of the labels.
        tests: number of rows at the end that are the test rows; None to split.
        rounded: a note on each column whose values float32 cannot tell apart well, by its name.
        notes: further lines about the rows.
    """

    where: str
    values: Array
    names: tuple[str, ...]
    units: tuple[str, ...] = ()
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    tests: int | None = None
    rounded: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def given_of(table: Table, options: TableOptions, tests: int | None = None) -> Given:
    """The chosen columns of a table, without rows that lack a label where one column has labels.

    Args:
        table: the table.
        options: which columns are read.
        tests: see `Given`.

    Raises:
        ImageError: a column is missing or has texts.
        DataError: there is no such column of labels, or it has none.
        UsageError: no column is named.
    """
    label = options.label_column
    texts = () if label is None else _labels(table, label)
    others = [] if label is None else [label]
    if options.columns is None:
        table.refuse_texts(others)
        names = [name for name in table.numbers if name != label]
    else:
        names = split_names(options.columns)
    units = tuple(table.units.get(name, "") for name in names)
    found = Given(
        table.where,
        table.values(names),
        tuple(names),
        units if any(units) else (),
        tests=tests,
        rounded={name: note for name in names if (note := _rounding(table, name))},
    )
    return found if label is None else _labelled(found, label, texts)


def _rounding(table: Table, name: str) -> str:
    """A note on a column whose values differ by little more than the rounding to float32."""
    exact = table.numbers[name][np.isfinite(table.numbers[name])]
    with np.errstate(over="ignore"):  # what is beyond float32 is refused later
        lost = np.abs(exact - exact.astype(np.float32))
    spread = exact.std() if exact.size else 0.0
    if not spread or not np.isfinite(lost).all() or lost.max() <= _ROUNDED * spread:
        return ""
    return (
        f"{table.where}: column {name}: float32, in which the model computes, rounds its values by "
        f"up to {lost.max():.3g}, and their standard deviation is {spread:.3g}: subtract a number "
        "near their mean first"
    )


def _labelled(given: Given, name: str, texts: Sequence[str]) -> Given:
    """Rows with their labels; those whose label is missing are of no known class."""
    there = np.array([not is_missing(text) for text in texts])
    if not there.any():
        raise DataError(f"{given.where}: --label-column {name}: expected labels, got none")
    known = [printable(text) for text, kept in zip(texts, there, strict=True) if kept]
    classes, numbers = np.unique(np.array(known), return_inverse=True)
    left = len(texts) - len(known)
    return replace(
        given,
        values=given.values[there],
        labels=torch.from_numpy(numbers.astype(np.int64)),
        classes=tuple(map(str, classes)),
        tests=given.tests and int(there[-given.tests :].sum()),
        notes=(f"{given.where}: left out {counted(left, 'row')} without a label in {name}",)
        if left
        else (),
    )


def _labels(table: Table, name: str) -> Sequence[str]:
    if name in table.texts:
        return table.texts[name]
    if name in table.numbers:
        return [np.format_float_positional(value, trim="-") for value in table.numbers[name]]
    known = ", ".join(map(printable, [*table.numbers, *table.texts]))
    raise DataError(f"{table.where}: --label-column {name}: expected one of {known}")


def data_set_of(given: Given, name: str, options: TableOptions) -> DataSet:
    """Split, and measure the scale of the columns on the training rows.

    Raises:
        DataError: there are too few rows, or a column has no values, infinite ones, or missing ones
            where that is refused.
    """
    values = torch.from_numpy(given.values)
    _refuse_infinite(given)
    if not given.values.shape[1] or len(values) < 2:
        shape = list(given.values.shape)
        raise DataError(f"{given.where}: expected 2 rows or more of 1 column or more, got {shape}")
    if options.window is None:
        train, test, how = _rows(given, values)
        learned = every(train.images).numpy()
    else:
        train, test, how = _windows(given, values, options.window, options.step)
        first = len(values) - _tests(given, options.window)
        learned = given.values[:first]
    missing = bool(np.isnan(given.values).any())
    if missing and options.missing == "refuse":
        raise DataError(
            f"{given.where}: {_with_nan(given)}: give --missing impute to fill them in, or "
            "remove these rows"
        )
    measure = partial(_measured, given, scaler=options.scaler or "standard")
    scale, notes = measure(learned)
    return DataSet(
        name,
        train,
        test,
        given.classes,
        how,
        columns=Columns(given.names, given.units, missing or options.missing == "impute"),
        scale=scale,
        measure=measure,
        notes=notes,
    )


def _rows(given: Given, values: Tensor) -> tuple[Split, Split, str]:
    if given.tests is None:
        places, how = [torch.from_numpy(part) for part in split(len(values))], SPLIT
    else:
        first, how = len(values) - given.tests, "given"
        places = [torch.arange(first), torch.arange(first, len(values))]
    train, test = (
        Split(InMemory(values[part]), None if given.labels is None else given.labels[part])
        for part in places
    )
    return train, test, how


def _tests(given: Given, window: int) -> int:
    """Number of rows at the end of a series that are tested on."""
    return given.tests if given.tests is not None else max(window, len(given.values) // 10)


def _windows(
    given: Given, values: Tensor, window: int, step: int | None
) -> tuple[Split, Split, str]:
    if given.labels is not None:
        raise DataError(
            f"{given.where}: labels are those of single rows, and a window has many: leave out "
            "--window, or the labels"
        )
    step = step or max(1, window // 4)
    tests, total = _tests(given, window), len(values)
    if total - tests < window or tests < window:
        raise DataError(
            f"{given.where}: expected {2 * window} rows or more, so that windows of {window} fit "
            f"into the training and the test rows, got {total}: give a smaller --window"
        )
    series, first = values.T.contiguous(), total - tests
    train, test = (
        Split(Windows(series, starts_of(*ends, window, step), window), None)
        for ends in ((0, first), (first, total))
    )
    return train, test, SERIES if given.tests is None else "given"


def _refuse_infinite(given: Given) -> None:
    rows, columns = np.isinf(given.values).nonzero()
    if len(rows):
        raise DataError(
            f"{given.where}: column {given.names[columns[0]]}: expected finite numbers, got "
            f"{given.values[rows[0], columns[0]]:g} in row {rows[0]}: leave the value empty if "
            "it is missing"
        )


def _with_nan(given: Given) -> str:
    """Which columns miss how many values."""
    counts = np.isnan(given.values).sum(0)
    found = [f"{given.names[place]} {counts[place]:,}" for place in counts.nonzero()[0]]
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"missing values in columns: {', '.join(found[:_NAMED])}{more}"


def _measured(given: Given, rows: Array, scaler: str) -> tuple[Scale, tuple[str, ...]]:
    """The scale of each column, and all notes: also on each column whose values are all equal."""
    exact = rows.astype(np.float64)
    empty = [given.names[place] for place in np.flatnonzero(np.isnan(exact).all(0))]
    if empty:
        others = join_names(name for name in given.names if name not in empty) or "NAMES"
        raise DataError(
            f"{given.where}: {', '.join(empty)}: no value in the training rows. To leave out, name "
            f"the other columns: --columns {shlex.quote(others)}"
        )
    mean, deviation = np.nanmean(exact, 0), np.nanstd(exact, 0)
    low, median, high = np.nanquantile(exact, (0.25, 0.5, 0.75), axis=0)
    constant = np.nanmin(exact, 0) == np.nanmax(exact, 0)
    notes = tuple(
        f"{given.where}: column {name} has one value alone, and so no scale: another value counts "
        "by its difference in the column's own unit, and a small one is not odd"
        for name, same in zip(given.names, constant, strict=True)
        if same and name not in given.rounded
    )
    notes = (*given.notes, *given.rounded.values(), *notes)
    spread = np.where(high > low, high - low, deviation)
    fill, centre, scale = {
        "standard": (mean, mean, deviation),
        "robust": (median, median, spread),
        "none": (mean, np.zeros_like(mean), np.ones_like(mean)),
    }[scaler]
    only = np.nanmin(exact, 0)  # the mean of equal values may be rounded
    centre = np.where(constant & (scaler != "none"), only, centre)
    fill = np.where(constant, only, fill)
    scale = np.where(constant | (scale <= 0), 1.0, scale)
    return Scale(*(torch.from_numpy(part).float() for part in (fill, centre, scale))), notes
