"""Load data sets: known ones by name, folders of images, numpy arrays."""

from __future__ import annotations

import os
from pathlib import Path

from aeonnx.errors import DataError, ImageError, UnknownNameError, UsageError
from aeonnx.io.pictures import Treatment, colour_of
from aeonnx.io.tables import SUFFIXES, is_table, read_table
from aeonnx.training.data._array import load_array
from aeonnx.training.data._crops import Whole
from aeonnx.training.data._folder import load_folder
from aeonnx.training.data._named import DATA_SETS
from aeonnx.training.data._odd import read_mask, with_normal
from aeonnx.training.data._photos import load_photos
from aeonnx.training.data._set import DataSet, Images, InMemory, Odd, Scale, Split, separate
from aeonnx.training.data._table import data_set_of, given_of
from aeonnx.training.data._windows import Windows
from aeonnx.training.options import TableOptions

__all__ = [
    "DATA_SETS",
    "DataSet",
    "Images",
    "InMemory",
    "Odd",
    "Scale",
    "Split",
    "Whole",
    "Windows",
    "load_data",
    "read_mask",
    "separate",
    "with_normal",
]

_ARRAYS = (".npy", ".npz")
_KINDS = "a folder of images, a .npy, .npz, .csv or .parquet file"


def load_data(
    name: str,
    root: Path,
    *,
    skip_bad: bool = False,
    stream: bool = False,
    background: str | None = None,
    crop: int | None = None,
    noisy: Path | None = None,
    table: TableOptions | None = None,
) -> DataSet:
    """Load a data set by name, images from a folder or file, or rows from a file.

    Args:
        name: one of `DATA_SETS`, or the path of a folder of images (see `_folder.load_folder`), of
            a .npy or .npz file (see `_array.load_array`), or of a table (see `io.tables`). A known
            name takes precedence over a path: write ./mnist for a folder of that name.
        root: folder in torchvision's layout (`MNIST/raw/...`) that named data sets are read
            from and downloaded to.
        skip_bad: skip images that are damaged or differ in size, instead of raising. For folders
            only.
        stream: read images on demand, even if all fit in memory. For folders and .npy only.
        background: colour, such as "white" or "#20a0ff", behind transparent pixels: images then
            have no alpha channel. None keeps the alpha channel of files that have one. For folders
            only.
        crop: height and width of crops of pictures of any size, see `_photos.load_photos`; None for
            images of one size.
        noisy: folder with noisy versions of the pictures, which `crop` requires.
        table: how rows are read; None for a model of images alone, for which rows [N, D] of an
            array are images of one line.

    Raises:
        UsageError: there is no such colour.
        UnknownNameError: `name` is neither a data set nor a path.
        DataError: the data set is missing and cannot be downloaded, or its content is invalid.
    """
    path = Path(os.path.expanduser(name))
    if noisy is not None and not crop:
        raise UsageError(
            "--pairs is for networks that take pictures of any size: give -m dae --arch unet"
        )
    if crop and (name in DATA_SETS or (path.exists() and not path.is_dir())):
        raise DataError(
            f"this architecture trains on {crop}x{crop} crops of pictures of any size: expected a "
            f"folder of pictures with --data, got {name}"
        )
    if name in DATA_SETS:
        return DATA_SETS[name](root)
    if noisy is not None and not path.is_dir():
        raise DataError(f"{name} does not exist: expected the clean versions of {noisy} in it")
    if not os.path.exists(path):
        if len(path.parts) > 1 or os.sep in name or path.suffix.lower() in (*_ARRAYS, *SUFFIXES):
            raise DataError(f"{name} does not exist: expected {_KINDS}")
        more = f"Also accepted: the path of {_KINDS}."
        raise UnknownNameError("data set", name, DATA_SETS, more)
    last = Path(os.path.abspath(path)).name  # works for "." and ".." too
    if not os.path.isdir(path) and path.suffix.lower() not in (*_ARRAYS, *SUFFIXES):
        raise DataError(f"{name}: expected {_KINDS}")
    try:
        if is_table(path) and not path.is_dir():
            if table is None:
                raise DataError(
                    f"{name} is a table, and this model learns from images: train -m ae"
                )
            labels = () if table.label_column is None else (table.label_column,)
            return data_set_of(given_of(read_table(path, labels), table), last, table)
        if not path.is_dir():
            return load_array(path, last, stream=stream, table=table)
        colour = None if background is None else colour_of(background)
        how = Treatment(background=colour, offered=True)
        if crop:
            return load_photos(path, last, how, crop, noisy=noisy, skip_bad=skip_bad, stream=stream)
        return load_folder(path, last, how, skip_bad=skip_bad, stream=stream)
    except ImageError as error:
        raise DataError(f"{error}") from error
