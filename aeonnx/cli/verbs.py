"""`aeonnx encode`, `decode`, `reconstruct`, `denoise`, `classify`, `generate`: what bundles do."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeonnx.cli.options import (
    COUNT,
    INDEX,
    PATH,
    bundle_argument,
    force_option,
    json_option,
    opened,
    output_option,
    pixels_option,
    runtime_options,
)

if TYPE_CHECKING:
    from aeonnx.runtime import Bundle
    from aeonnx.runtime.on_files import Written

__all__ = ["classify", "decode", "denoise", "encode", "generate", "reconstruct"]

_FORCE = "Replace the output if it exists."
_IMAGES = "IMAGES is a PNG, JPEG or BMP file, a folder of them, or a .npy array."
_TO_PICTURE = "A .png for a grid of images, a .npy array, or a folder for a picture of each."


def _verb(name: str, summary: str, source: str, target: str, example: str) -> click.Command:
    @click.command(name, help=summary, epilog=f"Example: {example}")
    @bundle_argument
    @click.argument("source", type=PATH, metavar=source)
    @output_option(target, required=True)
    @pixels_option
    @runtime_options
    @force_option(_FORCE)
    def run(
        bundle: Path, source: Path, output: Path, pixels: bool, force: bool, **how: Any
    ) -> None:
        from aeonnx.cli.progress import RowsProgress
        from aeonnx.runtime.on_files import run_on_files

        with opened(bundle, **how) as ready, closing(RowsProgress(name)) as progress:
            written = run_on_files(
                ready, name, source, output, pixels=pixels, force=force, advanced=progress
            )
            _say(output, written, ready)

    return run


def _say(output: Path, written: Written, bundle: Bundle) -> None:
    click.echo(f"{output}: {written.dtype} {list(written.shape)} on {bundle.provider}")


decode = _verb(
    "decode",
    "Images of latents.\n\nLATENTS is a .npy array, float32 [n, latent].",
    "LATENTS",
    _TO_PICTURE,
    "aeonnx decode dist/vae z.npy -o digits.png",
)
reconstruct = _verb(
    "reconstruct",
    f"Images through the latent and back.\n\n{_IMAGES}",
    "IMAGES",
    _TO_PICTURE,
    "aeonnx reconstruct dist/vae digits.npy -o reconstructions.png",
)
denoise = _verb(
    "denoise",
    f"Images without their noise.\n\n{_IMAGES}",
    "IMAGES",
    _TO_PICTURE,
    "aeonnx denoise dist/dae noisy.png -o clean.png",
)


@click.command(
    epilog="Example: aeonnx encode dist/sdae scans -o features.npz --features",
    help=f"Latents of images.\n\n{_IMAGES}",
)
@bundle_argument
@click.argument("source", type=PATH, metavar="IMAGES")
@output_option("A .npy array; with --features, an .npz.", required=True)
@click.option(
    "--features",
    is_flag=True,
    help="Write an .npz for other tools: features, float32 [n, latent], and names of the files.",
)
@runtime_options
@force_option(_FORCE)
def encode(
    bundle: Path, source: Path, output: Path, features: bool, force: bool, **how: Any
) -> None:
    from aeonnx.cli.progress import RowsProgress
    from aeonnx.runtime.on_files import features_file, run_on_files

    with opened(bundle, **how) as ready, closing(RowsProgress("encode")) as progress:
        if features:
            written = features_file(ready, source, output, force=force, advanced=progress)
        else:
            written = run_on_files(ready, "encode", source, output, force=force, advanced=progress)
        _say(output, written, ready)


@click.command(epilog="Example: aeonnx classify dist/sdae scans -o labels.csv")
@bundle_argument
@click.argument("source", type=PATH, metavar="IMAGES")
@output_option("A .csv with all probabilities, or a .npy of them alone.")
@runtime_options
@force_option(_FORCE)
@json_option
def classify(
    bundle: Path, source: Path, output: Path | None, force: bool, as_json: bool, **how: Any
) -> None:
    """Labels of images, with their probabilities.

    IMAGES is a PNG, JPEG or BMP file, a folder of them, or a .npy array, whose rows are numbered.
    """
    from aeonnx.cli import report
    from aeonnx.cli.progress import RowsProgress
    from aeonnx.runtime.on_files import classify_file

    with opened(bundle, **how) as ready, closing(RowsProgress("classify")) as progress:
        names, found = classify_file(ready, source, output, force=force, advanced=progress)
        report.print_classified(names, found, ready.manifest.classes, as_json=as_json)


@click.command(epilog="Example: aeonnx generate dist/vae -n 64 --seed 7 -o grid.png")
@bundle_argument
@click.option("-n", "count", type=COUNT, default=64, show_default=True, help="How many images.")
@click.option("--seed", type=INDEX, default=0, show_default=True, help="0 to 2**63 - 1.")
@click.option("--first", type=INDEX, default=0, show_default=True, help="Index of the first image.")
@output_option(_TO_PICTURE, required=True)
@pixels_option
@runtime_options
@force_option(_FORCE)
def generate(
    bundle: Path,
    count: int,
    seed: int,
    first: int,
    output: Path,
    pixels: bool,
    force: bool,
    **how: Any,
) -> None:
    """New images from a seed.

    Image i of a seed is the same in any batch, so that -n 100 begins with the images of -n 10.
    """
    from aeonnx.cli.progress import RowsProgress
    from aeonnx.runtime.on_files import generate_file

    with opened(bundle, **how) as ready, closing(RowsProgress("generate")) as progress:
        written = generate_file(
            ready, count, seed, first, output, pixels=pixels, force=force, advanced=progress
        )
        _say(output, written, ready)
