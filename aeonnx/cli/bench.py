"""The command `aeonnx bench`."""

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
    from_option,
    json_option,
    output_option,
    weights_option,
)

__all__ = ["bench"]


@click.command(epilog="Example: aeonnx bench dist/vae --checkpoint runs/vae -o vae.png")
@bundle_argument
@click.option(
    "--part",
    "parts",
    multiple=True,
    help="Part to measure, such as decoder; may be repeated.  [default: all]",
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
    help="Rows per call; may be repeated.  [default: 1, 32 and 1024 without those that take long, "
    "or a graph's fixed batch]",
)
@click.option(
    "--provider",
    "providers",
    multiple=True,
    default=("auto",),
    show_default=True,
    help="Execution provider to measure on: auto (CUDA if it loads, else the CPU), cpu, cuda or "
    "another of onnxruntime's; may be repeated.",
)
@click.option(
    "--threads",
    type=THREADS,
    multiple=True,
    help="Number of threads per session; may be repeated.  [default: the cores this process may "
    "use]",
)
@click.option(
    "--checkpoint",
    type=PATH,
    help="Checkpoint that the bundle was exported from; with it, torch eager and torch.compile "
    "are measured too.",
)
@from_option
@weights_option
@output_option("Draw a chart of the ratios into this .png file.")
@click.option(
    "--seconds",
    type=POSITIVE,
    default=1.0,
    show_default=True,
    help="Seconds to measure each contender for, at each part, variant, batch, provider and number "
    "of threads.",
)
@force_option("Replace the chart if it exists.")
@json_option(
    "an object with `bundle`, `machine`, `load`, `seconds`, `rounds`, `cells` (a list with timings "
    "and ratios), `left_out` (texts) and `chart`"
)
def bench(
    bundle: Path,
    parts: tuple[str, ...],
    variants: tuple[str, ...],
    batches: tuple[int, ...],
    providers: tuple[str, ...],
    threads: tuple[int, ...],
    checkpoint: Path | None,
    from_source: str | None,
    weights: Path | None,
    output: Path | None,
    seconds: float,
    force: bool,
    as_json: bool,
) -> None:
    """Measure how fast a bundle is, compared with onnxruntime alone and torch.

    The contenders take turns within one run. The first columns of the table are ratios: another
    contender's time divided by aeonnx's. Above 1, aeonnx is faster.
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
        from_source=from_source,
        weights=weights,
        chart=output,
        force=force,
    )
    speed.print_benchmark(measure(options, BenchProgress()), output, as_json=as_json)
