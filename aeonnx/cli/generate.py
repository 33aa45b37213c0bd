"""The command `aeonnx generate`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from aeonnx.cli.inputs import others_of, others_option
from aeonnx.cli.options import (
    COUNT,
    INDEX,
    PATH,
    bundle_argument,
    force_option,
    opened,
    pixels_option,
    refuse_two_documents,
    runtime_options,
)
from aeonnx.cli.outputs import FORCE, TO_PICTURE, WRITTEN, output_to, say_written
from aeonnx.errors import UsageError

__all__ = ["generate"]


@click.command(epilog="Example: aeonnx generate dist/vae -n 64 --seed 7 -o grid.png")
@bundle_argument
@click.option(
    "-n", "count", type=COUNT, default=64, show_default=True, help="Number of images to generate."
)
@click.option(
    "--seed",
    type=INDEX,
    default=0,
    show_default=True,
    help="Seed that the images are drawn from, 0 to 2**63 - 1.",
)
@click.option(
    "--first",
    type=INDEX,
    default=0,
    show_default=True,
    help="Index of the first image of the seed.",
)
@click.option(
    "--label",
    help="Class to generate, if the decoder takes one: its name or its number.  [default: none]",
)
@click.option(
    "--labels",
    help="Several classes, such as 0123456789 or cat,dog: -n images of each, all of the same "
    "latents, a row of the grid for each class.  [default: none]",
)
@click.option(
    "--size",
    metavar="HEIGHTxWIDTH",
    help="Size of the images, if the decoder makes images of any size.  [default: that of the "
    "golden vectors]",
)
@click.option(
    "--interpolate",
    nargs=2,
    metavar="A B",
    help="Go in -n steps from one latent to another: those of two seeds, or of two pictures.  "
    "[default: draw each latent]",
)
@click.option(
    "--latent-sweep",
    "sweep",
    type=int,
    metavar="INDEX",
    help="Let one number of the latent go in -n steps from -3 to 3 standard deviations, and keep "
    "the others of the seed.  [default: draw each latent]",
)
@click.option(
    "--truncate",
    type=float,
    help="Most standard deviations of each drawn number, such as 2: more typical images, and less "
    "various ones.  [default: no limit]",
)
@click.option("--animate", type=PATH, help="Write the images as frames of this .gif or .webp, too.")
@output_to(TO_PICTURE + "a PNG. Optional with --animate.", required=False)
@pixels_option
@others_option
@runtime_options
@force_option(FORCE)
@WRITTEN
def generate(
    bundle: Path,
    count: int,
    seed: int,
    first: int,
    label: str | None,
    labels: str | None,
    size: str | None,
    output: str | None,
    interpolate: tuple[str, str] | None,
    sweep: int | None,
    truncate: float | None,
    animate: Path | None,
    others: tuple[str, ...],
    pixels: bool,
    force: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Generate new images from a seed.

    Image i of a seed does not depend on the number of images: -n 100 begins with those of -n 10.
    """
    from aeonnx.cli.progress import RowsProgress
    from aeonnx.runtime.further_files import numbers_in
    from aeonnx.runtime.generate_files import generate_file
    from aeonnx.runtime.generating import size_in
    from aeonnx.runtime.labels import labels_of, require_label
    from aeonnx.runtime.walks import Walk

    if label is not None and labels is not None:
        raise UsageError("--label is for one class and --labels for several: give one of them")
    if output is None and animate is None:
        raise UsageError("Missing option '-o' / '--output', or --animate")
    refuse_two_documents(output, as_json=as_json)
    walk = Walk(interpolate, sweep, truncate)
    sizes = None if size is None else size_in("--size", size)
    with opened(bundle, **how) as ready, closing(RowsProgress("generate")) as progress:
        given = numbers_in("generate", others_of(ready, "generate", others, label))
        each = ({},) if labels is None else [dict([pair]) for pair in labels_of(ready, labels)]
        if given.keys() & each[0].keys():
            raise UsageError("--labels and --input label=NUMBER: give one of them")
        require_label(ready, {**given, **each[0]})
        written = generate_file(
            ready,
            count,
            seed,
            first,
            output,
            size=sizes,
            pixels=pixels,
            force=force,
            advanced=progress,
            others=given,
            each=each,
            walk=walk,
            animate=animate,
        )
        say_written(written, ready, as_json=as_json)
