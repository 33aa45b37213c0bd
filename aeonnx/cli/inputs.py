"""Arguments and options for what a command runs on: images, further inputs, sizes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aeonnx._util.text import printable
from aeonnx.cli.options import COUNT
from aeonnx.errors import UsageError

if TYPE_CHECKING:
    from aeonnx.io.readers import Reading
    from aeonnx.runtime import Bundle

__all__ = [
    "IMAGES",
    "PATH_NAME",
    "images_argument",
    "label_option",
    "others_of",
    "others_option",
    "reading_of",
    "reading_options",
    "say_left_out",
]

F = TypeVar("F", bound=Callable[..., Any])

PATH_NAME = click.Path(path_type=str, allow_dash=True)  # a str, to keep a / at the end
IMAGES = (
    "Each of IMAGES is a picture (PNG, JPEG, BMP, TIFF, WebP, GIF), a folder of them, a .npy or "
    ".npz array (uint8, or floats in [0, 1], or in another range that the manifest gives for "
    "images), or - for one such file on stdin. A model of anything but images, such as vectors or "
    "volumes, reads .npy and .npz arrays of rows; one of columns .csv, .tsv and .parquet tables "
    "too."
)
_NAMED = 3  # skipped pictures that the message names


def others_option(command: F) -> F:
    """Numbers or files for the further inputs of a part, for `others_of`."""
    return click.option(
        "--input",
        "others",
        multiple=True,
        metavar="NAME=VALUE",
        help="A further input of the part: a number for all, such as sigma=0.1, or a file, such as "
        "mask=mask.png, with one row for all or one for each: a .npy or .npz array, or for an "
        "input of pixels a picture or a folder of them. May be repeated. The decoder takes what "
        "the encoder makes, so reconstruct needs none for that.  [default: none]",
    )(command)


def label_option(command: F) -> F:
    """The class of all images, for `others_of`."""
    return click.option(
        "--label",
        metavar="CLASS",
        help="Class of all images, by its name or number, for a model that was trained with labels."
        "  [default: for each image the one with which it is reconstructed best; decode needs it]",
    )(command)


def others_of(
    bundle: Bundle, verb: str, given: tuple[str, ...], label: str | None
) -> dict[str, float | str]:
    """The further inputs of a part, from the values of `--input` and `--label`."""
    from aeonnx.runtime.labels import label_of

    found = dict(map(_further, given))
    if label is None:
        return found
    name, number = label_of(bundle, label, verb=verb)
    if name in found:
        raise UsageError(f"--label and --input {name}={found[name]}: give one of them")
    return {**found, name: number}


def _further(text: str) -> tuple[str, float | str]:
    """("sigma", 0.1) of "sigma=0.1", ("mask", "m.png") of "mask=m.png"; 1 stays whole."""
    name, _, value = text.partition("=")
    try:
        return name, int(value) if value.lstrip("+-").isdecimal() else float(value)
    except ValueError:
        if name and value and os.path.exists(value):
            return name, value
    what = f"there is no file {value}" if name and value else f"got {text!r}"
    raise UsageError(f"--input: expected NAME=NUMBER or NAME=FILE, {what}")


def images_argument(*, required: bool) -> Callable[[F], F]:
    """The argument IMAGES, as `sources`."""
    return click.argument(
        "sources",
        type=PATH_NAME,
        metavar="IMAGES..." if required else "[IMAGES]...",
        nargs=-1,
        required=required,
    )


def reading_options(command: F) -> F:
    """How pictures and folders are read, for `reading_of`."""
    for option in (
        click.option(
            "--skip-bad",
            is_flag=True,
            help="Skip pictures or rows of tables that cannot be used, and report them on stderr.",
        ),
        click.option(
            "--recursive",
            is_flag=True,
            help="Read subfolders too; an output folder gets the same subfolders.",
        ),
        click.option(
            "--background",
            metavar="COLOR",
            help="Color behind transparent pixels, such as white or #20a0ff.  "
            "[default: refuse transparent pictures]",
        ),
        click.option(
            "--resize",
            help="How to resize pictures of another size: fit (with the background around), crop "
            "(to the middle) or stretch.  [default: refuse them]",
        ),
        click.option(
            "--step",
            type=COUNT,
            help="Rows from one window of a time series to the next, for a model of windows.  "
            "[default: the length of a window]",
        ),
    ):
        command = option(command)
    return command


def reading_of(
    resize: str | None,
    background: str | None,
    recursive: bool,
    skip_bad: bool,
    step: int | None,
) -> Reading:
    from aeonnx.io.pictures import Treatment, colour_of
    from aeonnx.io.readers import Reading

    colour = None if background is None else colour_of(background)
    return Reading(Treatment(resize, colour, offered=True), recursive, skip_bad, step=step)


def say_left_out(left_out: Sequence[str], skipped: Sequence[str]) -> None:
    if left_out:
        click.echo(printable("; ".join(left_out)), err=True)
    if skipped:
        more = f"; and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
        line = f"Skipped {len(skipped)}: {'; '.join(skipped[:_NAMED])}{more}"
        click.echo(printable(line), err=True)
