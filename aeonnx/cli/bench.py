"""`aeonnx bench`."""

from __future__ import annotations

from pathlib import Path

import click

from aeonnx.cli.options import (
    COUNT,
    PATH,
    POSITIVE,
    THREADS,
    bundle_argument,
    force_option,
    from_module_option,
    json_option,
    output_option,
    weights_option,
)

__all__ = ["bench"]


@click.command(epilog="Example: aeonnx bench dist/vae --checkpoint runs/vae -o vae.png")
@bundle_argument
@click.option(
    "--part", "parts", multiple=True, help="Part to measure; may be repeated.  [default: all]"
)
@click.option(
    "--precision",
    "variants",
    multiple=True,
    help="Variant to measure, such as int8 or fp32-uint8; may be repeated.  [default: all]",
)
@click.option(
    "--batch",
    "batches",
    type=COUNT,
    multiple=True,
    help="Rows per call; may be repeated.  [default: 1, 32 and 1024, or what graphs are fixed to]",
)
@click.option(
    "--provider",
    "providers",
    multiple=True,
    default=("auto",),
    show_default=True,
    help="Execution provider, as for the other commands; may be repeated.",
)
@click.option(
    "--threads",
    type=THREADS,
    multiple=True,
    help="Threads of each session; may be repeated.  [default: the cores that may be used]",
)
@click.option(
    "--checkpoint",
    type=PATH,
    help="Run that the bundle was exported from: measures torch eager and torch.compile too.",
)
@from_module_option
@weights_option
@output_option("A .png for a chart of the ratios.")
@click.option(
    "--seconds",
    type=POSITIVE,
    default=1.0,
    show_default=True,
    help="For each contender at each part, variant, batch, provider and number of threads.",
)
@force_option("Replace the chart if it exists.")
@json_option
def bench(
    bundle: Path,
    parts: tuple[str, ...],
    variants: tuple[str, ...],
    batches: tuple[int, ...],
    providers: tuple[str, ...],
    threads: tuple[int, ...],
    checkpoint: Path | None,
    from_module: str | None,
    weights: Path | None,
    output: Path | None,
    seconds: float,
    force: bool,
    as_json: bool,
) -> None:
    """How fast a bundle is here, beside onnxruntime alone and torch.

    All take turns in one run. The table begins with the ratios: times of the others over times of
    aeonnx, above 1 where aeonnx is faster.
    """
    from aeonnx.cli import speed
    from aeonnx.cli.progress import BenchProgress
    from aeonnx.tools.bench import BenchOptions
    from aeonnx.tools.bench import bench as measure

    options = BenchOptions(
        bundle=bundle,
        parts=parts,
        variants=variants,
        batches=batches,
        providers=providers,
        threads=threads,
        seconds=seconds,
        checkpoint=checkpoint,
        from_module=from_module,
        weights=weights,
        chart=output,
        force=force,
    )
    speed.print_benchmark(measure(options, BenchProgress()), output, as_json=as_json)
