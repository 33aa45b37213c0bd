"""What commands write: options for it, and the report about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aeonnx._util.text import printable
from aeonnx.cli.inputs import PATH_NAME, say_left_out
from aeonnx.cli.options import json_option

if TYPE_CHECKING:
    from aeonnx.runtime import Bundle
    from aeonnx.runtime.written import Written

__all__ = ["FORCE", "TO_PICTURE", "WRITTEN", "output_to", "say_written"]

F = TypeVar("F", bound=Callable[..., Any])

FORCE = "Replace an existing file; write into a folder that is not empty."
TO_PICTURE = (
    "Where to write the images: a .png, .jpg, .webp or .tif file for a grid of images; a .npy or "
    ".npz array; a folder (no suffix, or / at the end) for one PNG per image, or one .npy per row "
    "of what is no image; - for stdout, which gets "
)
WRITTEN = json_option(
    "an object with `output` (path), `dtype`, `shape` (with null for a size that differs between "
    "rows), `provider`, `left_out` and `skipped` (texts), and `blended` (parts whose tiles were "
    "blended: not exact)"
)


def output_to(help_text: str, *, required: bool = True) -> Callable[[F], F]:
    return click.option("-o", "--output", type=PATH_NAME, required=required, help=help_text)


def say_written(written: Written, bundle: Bundle, *, as_json: bool) -> None:
    """Report what was written; on stderr if the results themselves go to stdout."""
    say_left_out(written.left_out, written.skipped)
    for part in bundle.blended:
        click.echo(_inexact(part, bundle), err=True)
    if as_json:
        from aeonnx.cli import report

        report.print_written(written, bundle)
        return
    line = f"{written.target}: {written.dtype} {_shown(written.shape)} on {bundle.provider}"
    click.echo(printable(line), err=written.target == "stdout")


def _shown(shape: Sequence[int | None]) -> str:
    """ "[2, 3, any, any]": a size that differs between rows is "any"."""
    return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"


def _inexact(part: str, bundle: Bundle) -> str:
    """What is not exact about results that were put together from blended tiles."""
    measured = bundle.variant(part).blending
    loss = (
        f"in tiles of {measured.tile} with an overlap of {measured.overlap}, the export measured "
        f"{measured.loss} against the whole"
        if measured
        else "the export did not measure how much that loses"
    )
    tiling = bundle.runner(part).tiling
    tiles = f"tiles of {tiling.side} with an overlap of {tiling.overlap}" if tiling else "tiles"
    return f"Not exact: {part} looks further than a tile, so {tiles} were blended; {loss}"
