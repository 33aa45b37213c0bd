"""The commands that run a bundle on files: encode, decode, reconstruct, denoise, classify."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import click

from aeonnx.cli.inputs import (
    IMAGES,
    PATH_NAME,
    images_argument,
    label_option,
    others_of,
    others_option,
    reading_of,
    reading_options,
    say_left_out,
)
from aeonnx.cli.options import (
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
from aeonnx.cli.outputs import FORCE, TO_PICTURE, WRITTEN, output_to, say_written

__all__ = ["classify", "decode", "denoise", "encode", "reconstruct"]

F = TypeVar("F", bound=Callable[..., Any])

_SIGNALS = (
    "A bundle of signals reads .wav files (PCM), folders of them, or .npy arrays [n, channels, "
    "time], of any length and in constant memory, or one such file on stdin; and writes a .npy, a "
    ".wav for one signal, or a folder for several files, but not to stdout."
)
_FROM_PICTURES = "a PNG if all IMAGES are pictures, else a .npy."


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
    @output_to(target)
    @reading_options
    @(_denoise_options if name == "denoise" else _unchanged)
    @_pixels_option(name)
    @others_option
    @label_option
    @tile_options
    @runtime_options
    @force_option(FORCE)
    @WRITTEN
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
        step: int | None,
        others: tuple[str, ...],
        label: str | None,
        pixels: bool = False,
        strength: float | None = None,
        compare: Path | None = None,
        **how: Any,
    ) -> None:
        from aeonnx.cli.progress import RowsProgress
        from aeonnx.runtime.file_ops import run_on_files

        refuse_two_documents(output, as_json=as_json)
        reading = reading_of(resize, background, recursive, skip_bad, step)
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
                others=others_of(ready, name, others, label),
                strength=strength,
                compare=compare,
            )
            say_written(written, ready, as_json=as_json)

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
    TO_PICTURE + _FROM_PICTURES,
    "aeonnx reconstruct dist/vae digits.npy -o reconstructions.png",
)
denoise = _image_verb(
    "denoise",
    "Denoise images.",
    TO_PICTURE + _FROM_PICTURES,
    "aeonnx denoise dist/dae noisy.png -o clean.png",
)


@click.command(epilog="Example: aeonnx decode dist/vae z.npy -o digits.png")
@bundle_argument
@click.argument("sources", type=PATH_NAME, metavar="LATENTS...", nargs=-1, required=True)
@output_to(TO_PICTURE + "a .npy.")
@pixels_option
@others_option
@label_option
@tile_options
@runtime_options
@force_option(FORCE)
@WRITTEN
def decode(
    bundle: Path,
    sources: tuple[str, ...],
    output: str,
    others: tuple[str, ...],
    label: str | None,
    pixels: bool,
    force: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Decode latents to images.

    Each of LATENTS is what `aeonnx encode` writes: a .npy or .npz array of floats [n, latent], or
    of whole numbers for codes, a folder of them, or - for one on stdin. A .npz can have further
    inputs of the decoder too, each as the array of its name. Latents or codes of signals become a
    .npy or, of one signal, a .wav.
    """
    from aeonnx.cli.progress import RowsProgress
    from aeonnx.runtime.file_ops import run_on_files

    refuse_two_documents(output, as_json=as_json)
    with opened(bundle, **how) as ready, closing(RowsProgress("decode")) as progress:
        written = run_on_files(
            ready,
            "decode",
            sources,
            output,
            pixels=pixels,
            force=force,
            advanced=progress,
            others=others_of(ready, "decode", others, label),
        )
        say_written(written, ready, as_json=as_json)


@click.command(
    help=f"Classify images: print labels and their probabilities.\n\n{IMAGES} Rows of arrays "
    "are named by their numbers.",
    epilog="Example: aeonnx classify dist/sdae scans -o labels.csv",
)
@bundle_argument
@images_argument(required=True)
@output_to(
    "Where to write the results: a .csv of labels and all probabilities, - for the same on "
    "stdout, or a .npy of the probabilities alone.  [default: print labels]",
    required=False,
)
@reading_options
@runtime_options
@force_option(FORCE)
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
    step: int | None,
    **how: Any,
) -> None:
    from aeonnx.cli import report
    from aeonnx.cli.progress import RowsProgress
    from aeonnx.runtime.classifying import classify_files

    refuse_two_documents(output, as_json=as_json)
    reading = reading_of(resize, background, recursive, skip_bad, step)
    with opened(bundle, **how) as ready, closing(RowsProgress("classify")) as progress:
        rows, found = classify_files(
            ready, sources, output, reading=reading, force=force, advanced=progress
        )
        say_left_out(rows.left_out, rows.skipped)
        if output != "-":
            names = tuple(rows.names[:])
            report.print_classified(names, found, ready.manifest.classes, as_json=as_json)
