"""The commands that run a bundle: encode, decode, reconstruct, denoise, classify, generate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aeonnx._util.text import printable
from aeonnx.cli.inputs import (
    IMAGES,
    PATH_NAME,
    images_argument,
    numbers_of,
    others_option,
    reading_of,
    reading_options,
    say_left_out,
    size_of,
)
from aeonnx.cli.options import (
    COUNT,
    INDEX,
    PATH,
    bundle_argument,
    force_option,
    json_option,
    opened,
    pixels_option,
    refuse_two_documents,
    runtime_options,
    tile_options,
)
from aeonnx.errors import UsageError

if TYPE_CHECKING:
    from aeonnx.runtime import Bundle
    from aeonnx.runtime.file_ops import Written

__all__ = ["classify", "decode", "denoise", "encode", "generate", "reconstruct"]

F = TypeVar("F", bound=Callable[..., Any])

_FORCE = "Replace an existing file; write into a folder that is not empty."
_SIGNALS = (
    "A bundle of signals reads .wav files (PCM), folders of them, or .npy arrays [n, channels, "
    "time], of any length and in constant memory, or one such file on stdin; and writes a .npy, a "
    ".wav for one signal, or a folder for several files, but not to stdout."
)
_TO_PICTURE = (
    "Where to write the images: a .png, .jpg, .webp or .tif file for a grid of images; a .npy or "
    ".npz array; a folder (no suffix, or / at the end) for one PNG per image, or one .npy per row "
    "of what is no image; - for stdout, which gets "
)
_FROM_PICTURES = "a PNG if all IMAGES are pictures, else a .npy."
_WRITTEN = json_option(
    "an object with `output` (path), `dtype`, `shape` (with null for a size that differs between "
    "rows), `provider`, `left_out` and `skipped` (texts), and `blended` (parts whose tiles were "
    "blended: not exact)"
)


def _output_option(help_text: str, *, required: bool = True) -> Callable[[F], F]:
    return click.option("-o", "--output", type=PATH_NAME, required=required, help=help_text)


def _say(written: Written, bundle: Bundle, *, as_json: bool) -> None:
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
    return f"Not exact: {part} looks further than a tile, so tiles were blended; {loss}"


def _pixels_option(verb: str) -> Callable[[F], F]:
    return _unchanged if verb == "encode" else pixels_option


def _unchanged(command: F) -> F:
    return command


def _denoise_options(command: F) -> F:
    for option in (
        click.option(
            "--compare",
            type=PATH,
            help="Also write a .png with the first images before and after, side by side.",
        ),
        click.option(
            "--strength",
            type=float,
            help="Share of the denoised image in the result, from 0 to 1; the rest is the noisy "
            "one.  [default: 1]",
        ),
    ):
        command = option(command)
    return command


def _image_verb(name: str, summary: str, target: str, example: str) -> click.Command:
    @click.command(name, help=f"{summary}\n\n{IMAGES}\n\n{_SIGNALS}", epilog=f"Example: {example}")
    @bundle_argument
    @images_argument(required=True)
    @_output_option(target)
    @reading_options
    @(_denoise_options if name == "denoise" else _unchanged)
    @_pixels_option(name)
    @others_option
    @tile_options
    @runtime_options
    @force_option(_FORCE)
    @_WRITTEN
    def run(
        bundle: Path,
        sources: tuple[str, ...],
        output: str,
        force: bool,
        as_json: bool,
        resize: str | None,
        background: str | None,
        recursive: bool,
        skip_bad: bool,
        others: tuple[str, ...],
        pixels: bool = False,
        strength: float | None = None,
        compare: Path | None = None,
        **how: Any,
    ) -> None:
        from aeonnx.cli.progress import RowsProgress
        from aeonnx.runtime.file_ops import run_on_files

        refuse_two_documents(output, as_json=as_json)
        reading = reading_of(resize, background, recursive, skip_bad)
        with opened(bundle, **how) as ready, closing(RowsProgress(name)) as progress:
            written = run_on_files(
                ready,
                name,
                sources,
                output,
                reading=reading,
                pixels=pixels,
                force=force,
                advanced=progress,
                others=numbers_of(others),
                strength=strength,
                compare=compare,
            )
            _say(written, ready, as_json=as_json)

    return run


encode = _image_verb(
    "encode",
    "Encode images to latents.",
    "Where to write the latents: a .npy array, float32 [n, latent]; a .npz with this array as "
    "`features`, the images' names as `names`, and each further output that the decoder takes, by "
    "its name; a folder (no suffix, or / at the end) for one .npy or .npz per image; - for a .npy "
    "on stdout.",
    "aeonnx encode dist/sdae scans -o features.npz",
)
reconstruct = _image_verb(
    "reconstruct",
    "Reconstruct images: encode them, and decode their latents.",
    _TO_PICTURE + _FROM_PICTURES,
    "aeonnx reconstruct dist/vae digits.npy -o reconstructions.png",
)
denoise = _image_verb(
    "denoise",
    "Denoise images.",
    _TO_PICTURE + _FROM_PICTURES,
    "aeonnx denoise dist/dae noisy.png -o clean.png",
)


@click.command(epilog="Example: aeonnx decode dist/vae z.npy -o digits.png")
@bundle_argument
@click.argument("source", type=PATH_NAME, metavar="LATENTS")
@_output_option(_TO_PICTURE + "a .npy.")
@pixels_option
@others_option
@tile_options
@runtime_options
@force_option(_FORCE)
@_WRITTEN
def decode(
    bundle: Path,
    source: str,
    output: str,
    others: tuple[str, ...],
    pixels: bool,
    force: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Decode latents to images.

    LATENTS is a .npy or .npz array of floats [n, latent], or of whole numbers for codes, as
    `aeonnx encode` writes, or - for one on stdin. A .npz can have further inputs of the decoder
    too, each as the array of its name. Latents or codes of signals become a .npy or, of one signal,
    a .wav.
    """
    from aeonnx.cli.progress import RowsProgress
    from aeonnx.runtime.file_ops import run_on_files

    refuse_two_documents(output, as_json=as_json)
    with opened(bundle, **how) as ready, closing(RowsProgress("decode")) as progress:
        written = run_on_files(
            ready,
            "decode",
            [source],
            output,
            pixels=pixels,
            force=force,
            advanced=progress,
            others=numbers_of(others),
        )
        _say(written, ready, as_json=as_json)


@click.command(
    help=f"Classify images: print labels and their probabilities.\n\n{IMAGES} Rows of arrays "
    "are named by their numbers.",
    epilog="Example: aeonnx classify dist/sdae scans -o labels.csv",
)
@bundle_argument
@images_argument(required=True)
@_output_option(
    "Where to write the results: a .csv of labels and all probabilities, - for the same on "
    "stdout, or a .npy of the probabilities alone.  [default: print labels]",
    required=False,
)
@reading_options
@runtime_options
@force_option(_FORCE)
@json_option(
    "a list of objects with `name`, `label` and `probabilities` (an object by label), one per image"
)
def classify(
    bundle: Path,
    sources: tuple[str, ...],
    output: str | None,
    force: bool,
    as_json: bool,
    resize: str | None,
    background: str | None,
    recursive: bool,
    skip_bad: bool,
    **how: Any,
) -> None:
    from aeonnx.cli import report
    from aeonnx.cli.progress import RowsProgress
    from aeonnx.runtime.classifying import classify_files

    refuse_two_documents(output, as_json=as_json)
    reading = reading_of(resize, background, recursive, skip_bad)
    with opened(bundle, **how) as ready, closing(RowsProgress("classify")) as progress:
        rows, found = classify_files(
            ready, sources, output, reading=reading, force=force, advanced=progress
        )
        say_left_out(rows.left_out, rows.skipped)
        if output != "-":
            names = tuple(rows.names[:])
            report.print_classified(names, found, ready.manifest.classes, as_json=as_json)


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
    "latents, a row of the grid for each class.",
)
@click.option(
    "--size",
    metavar="HEIGHTxWIDTH",
    help="Size of the images, if the decoder makes images of any size.  [default: that of the "
    "golden vectors]",
)
@_output_option(_TO_PICTURE + "a PNG.")
@pixels_option
@others_option
@runtime_options
@force_option(_FORCE)
@_WRITTEN
def generate(
    bundle: Path,
    count: int,
    seed: int,
    first: int,
    label: str | None,
    labels: str | None,
    size: str | None,
    output: str,
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
    from aeonnx.runtime.file_ops import generate_file
    from aeonnx.runtime.generating import label_of, labels_of

    if label is not None and labels is not None:
        raise UsageError("--label is for one class and --labels for several: give one of them")
    refuse_two_documents(output, as_json=as_json)
    with opened(bundle, **how) as ready, closing(RowsProgress("generate")) as progress:
        given = dict(numbers_of(others))
        if label is not None:
            name, number = label_of(ready, label)
            given[name] = number
        each = ({},) if labels is None else [dict([pair]) for pair in labels_of(ready, labels)]
        written = generate_file(
            ready,
            count,
            seed,
            first,
            output,
            size=None if size is None else size_of(size),
            pixels=pixels,
            force=force,
            advanced=progress,
            others=given,
            each=each,
        )
        _say(written, ready, as_json=as_json)
