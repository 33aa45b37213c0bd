"""Images, or rows of a table, in a .npy or .npz file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aeonnx._util.machine import fits_twice
from aeonnx.errors import DataError
from aeonnx.io import npy, npz
from aeonnx.io.arrays import names_of_images
from aeonnx.io.tables import of_array
from aeonnx.training.data._rows import Rows, images_of, rows_of
from aeonnx.training.data._set import DataSet, Split
from aeonnx.training.data._split import SPLIT, split
from aeonnx.training.data._table import data_set_of, given_of
from aeonnx.training.options import TableOptions

__all__ = ["load_array"]

Array = npt.NDArray[Any]


def load_array(path: Path, name: str, *, stream: bool, table: TableOptions | None) -> DataSet:
    """Load images: [N, H, W], [N, C, H, W], or vectors [N, D]; uint8, or floats in [0, 1].

    Where `table` is given, [N, D] are rows of any numbers, or a time series of N steps.

    A .npy that does not fit in memory, or any .npy if `stream` is set, is memory-mapped and its
    rows are read on demand; the file must not change meanwhile. A .npz is always read into memory.
    It contains either x_train and x_test, with both y_train and y_test or neither, or one array of
    images (of any name, or named x, images or data), with labels (y or labels) or without. If
    arrays have these names, other arrays are ignored. Labels are [N], integers or strings.

    Args:
        path: an existing file.
        name: name of the data set in the training record.
        stream: do not read a .npy of images into memory.
        table: how rows [N, D] are read; None to take them for images of one line.

    Raises:
        DataError: the file has other content, or fewer than 2 images.
        ImageError: the images have a rank, dtype or range that inference rejects too.
    """
    start = npy.start_of(path, len(npy.MAGIC))
    zipped = path.suffix.lower() == ".npz" and start != npy.MAGIC
    if zipped or start.startswith(npz.MAGIC):
        return _archive(path, name, table)
    array = npy.open_array(path).mapped()
    if table is not None and array.ndim == 2:
        return data_set_of(given_of(of_array(array, f"{path}"), table), name, table)
    rows = rows_of(array, f"{path}")
    return _split(path, name, rows, None, (), in_memory=not stream and fits_twice(rows.nbytes))


def _archive(path: Path, name: str, table: TableOptions | None) -> DataSet:
    with npz.read_archive(path, f"{path}") as archive:
        images, labels = names_of_images(archive.names, f"{path}")
        arrays = {key: archive.read(key) for key in (*images, *labels)}
    if table is not None and all(arrays[key].ndim == 2 for key in images):
        return _rows(path, name, arrays, images, labels, table)
    rows = [rows_of(arrays[key], _where(path, key)) for key in images]
    numbers: list[Tensor | None] = [None] * len(rows)
    classes: tuple[str, ...] = ()
    if labels:
        numbers[:], classes = _numbers(path, arrays, labels, [*map(len, rows)])
    if len(rows) == 1:
        return _split(path, name, rows[0], numbers[0], classes, in_memory=True)
    train, test = rows
    if (train.dtype, train.shape) != (test.dtype, test.shape):
        raise DataError(
            f"{path}: expected x_train and x_test of the same dtype and image shape, got "
            f"{train.array.dtype} {list(train.array.shape)} and "
            f"{test.array.dtype} {list(test.array.shape)}"
        )
    splits = [
        Split(images_of(part, part.places, in_memory=True), number)
        for part, number in zip(rows, numbers, strict=True)
    ]
    return DataSet(name, splits[0], splits[1], classes, "given")


def _rows(
    path: Path,
    name: str,
    arrays: dict[str, Array],
    images: Sequence[str],
    labels: Sequence[str],
    table: TableOptions,
) -> DataSet:
    """Rows of a table, those of x_test after those of x_train."""
    parts = [arrays[key] for key in images]
    if len({part.shape[1] for part in parts}) > 1:
        raise DataError(
            f"{path}: expected x_train and x_test with as many columns, got "
            f"{' and '.join(str(list(part.shape)) for part in parts)}"
        )
    whole = of_array(np.concatenate(parts), _where(path, images[0]))
    given = given_of(whole, table, len(parts[1]) if len(parts) > 1 else None)
    if labels and table.label_column is None:
        numbers, classes = _numbers(path, arrays, labels, [*map(len, parts)])
        given = replace(given, labels=torch.cat(numbers), classes=classes)
    return data_set_of(given, name, table)


def _numbers(
    path: Path, arrays: dict[str, Array], labels: Sequence[str], sizes: Sequence[int]
) -> tuple[list[Tensor], tuple[str, ...]]:
    """Indices of the labels of each array, int64, and the names of all classes."""
    values = [
        _labels(arrays[key], size, _where(path, key))
        for key, size in zip(labels, sizes, strict=True)
    ]
    return _numbered(values, path)


def _where(path: Path, key: str) -> str:
    return f"{path}, array {key}"


def _labels(values: Array, n: int, where: str) -> Array:
    if values.dtype.kind not in "iuUS":
        raise DataError(f"{where}: expected labels as integers or strings, got {values.dtype}")
    if values.shape != (n,):
        raise DataError(f"{where}: expected one label per image, [{n}], got {list(values.shape)}")
    return (
        np.char.decode(values, "utf-8", "backslashreplace") if values.dtype.kind == "S" else values
    )


def _numbered(values: list[Array], path: Path) -> tuple[list[Tensor], tuple[str, ...]]:
    """Labels -> their indices among the sorted distinct labels, int64, and these as strings."""
    if len({array.dtype.kind == "U" for array in values}) > 1:
        raise DataError(
            f"{path}: expected either integers or strings as labels, got "
            f"{' and '.join(str(v.dtype) for v in values)}"
        )
    known = sorted({label for array in values for label in array.tolist()})
    positions = {label: position for position, label in enumerate(known)}
    numbers = [torch.tensor([positions[label] for label in array.tolist()]) for array in values]
    return numbers, tuple(str(label) for label in known)


def _split(
    path: Path,
    name: str,
    rows: Rows,
    labels: Tensor | None,
    classes: tuple[str, ...],
    *,
    in_memory: bool,
) -> DataSet:
    if len(rows) < 2:
        raise DataError(f"{path}: expected at least 2 images, got {len(rows)}")
    train, test = (
        Split(
            images_of(rows, places, in_memory=in_memory),
            None if labels is None else labels[torch.from_numpy(places)],
        )
        for places in split(len(rows))
    )
    return DataSet(name, train, test, classes, SPLIT)
