"""The commands `aeonnx export`, `verify` and `inspect`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from aeonnx.cli.options import (
    COUNT,
    PATH,
    POSITIVE,
    bundle_argument,
    force_option,
    from_option,
    json_option,
    model_option,
    output_option,
    provider_option,
    providers_of,
    weights_option,
)

__all__ = ["export", "inspect", "verify"]


@click.command(epilog="Example: aeonnx export --model vae --part decoder")
@model_option("vae", required=False)
@click.option(
    "--part",
    "parts",
    multiple=True,
    help="Part to export, such as encoder or decoder; may be repeated.  [default: all]",
)
@click.option(
    "--checkpoint",
    type=PATH,
    help="Folder written by `aeonnx train`, or a file with a state_dict.  [default: runs/MODEL]",
)
@click.option(
    "--state",
    help="Weights to export of the run's newest saved state, for a run that was stopped: best or "
    "last.  [default: those of the run's checkpoint]",
)
@from_option
@weights_option
@click.option(
    "--latents",
    help="Latents of --from that the graphs take and give: plain, the autoencoder's own; scaled, "
    "those that a diffusion model works on.  [default: plain]",
)
@output_option(
    "Folder of the bundle; if it holds one already, parts are added.  [default: dist/MODEL]"
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    help="Reduced precision to export beside fp32: fp16 or int8; may be repeated. A variant is "
    "refused if, on test images, its images lose more than 0.1 dB of PSNR (fp16) or 0.5 dB (int8; "
    "0.3 dB of a denoiser), or if an output's RMS error is more than 0.8 % (fp16) or 8.9 % (int8) "
    "of its spread, the standard deviation over these images.  [default: fp32 only]",
)
@click.option(
    "--io",
    "io",
    multiple=True,
    help="Type of images to export graphs for, beside float32: uint8. Pixels 0 to 255 map linearly "
    "to the range of the float images.  [default: float32 only]",
)
@click.option(
    "--calibration",
    type=PATH,
    help="Images (a file, a folder or a .npy) that int8's ranges, the fitted prior and the "
    "scorer's percentiles are computed from; for other models, a table or a .npy of rows of their "
    "first input.  [default: 512 training images in the checkpoint; for the percentiles, the test "
    "images that training left aside]",
)
@click.option(
    "--prior",
    help="Distribution to draw latents from: standard, N(0, I), that a vae is "
    "trained with; fitted, a Gaussian fitted to the latents of training images; fitted-diagonal, "
    "the same without correlations; mixture, several Gaussians.  [default: that which the model is "
    "trained with]",
)
@click.option(
    "--temperature",
    type=POSITIVE,
    default=1.0,
    show_default=True,
    help="Factor on the standard deviation of the prior.",
)
@click.option(
    "--target",
    help="Engine that opset, batch and operators are chosen for: onnxruntime, onnxruntime-web, "
    "jetson-jp5, tensorrt-8, openvino or opencv.  [default: none of them]",
)
@click.option(
    "--opset", type=int, help="ONNX opset version, 13 to 22.  [default: the target's, or 18]"
)
@click.option(
    "--static-batch",
    type=COUNT,
    help="Number of rows that the graphs are fixed to, for engines that need that.  "
    "[default: the target's, or any]",
)
@click.option(
    "--ensemble",
    type=int,
    help="Make the denoiser the mean of its results for 4 orientations of each image, which are "
    "its flips, or for 8, which are flips of the turned image too: better images in 4 or 8 times "
    "the time.  [default: the image as it is]",
)
@click.option(
    "--score",
    help="What the scorer tells odd inputs by: error of the reconstruction; mahalanobis, distance "
    "of the latent from those of the training; combined, both; dssim, structural dissimilarity of "
    "the reconstruction; nll, for vae: -log p(x).  [default: combined for rows of a table, else "
    "error]",
)
@force_option("Replace a bundle of another checkpoint.")
@json_option(
    "an object with `output`, `parts` (their files and tensors), `left_out` and `notes` (texts) "
    "and `parity` (all checks)"
)
def export(
    model: str | None,
    parts: tuple[str, ...],
    checkpoint: Path | None,
    state: str | None,
    from_source: str | None,
    weights: Path | None,
    latents: str | None,
    output: Path | None,
    precisions: tuple[str, ...],
    io: tuple[str, ...],
    calibration: Path | None,
    prior: str | None,
    temperature: float,
    target: str | None,
    opset: int | None,
    static_batch: int | None,
    score: str | None,
    ensemble: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Export parts of a model as ONNX graphs verified against torch.

    A part whose outputs differ from torch's by more than the measured tolerance is not written,
    and the command exits with 3.
    """
    from aeonnx.catalog.adapters import adapter_of
    from aeonnx.cli import report
    from aeonnx.cli.progress import ExportProgress
    from aeonnx.exporting import ExportOptions, check

    name = model or (adapter_of(from_source).model if from_source else "")
    if not name:
        raise click.UsageError("Missing option '-m' / '--model', such as vae.")
    options = ExportOptions(
        model=name,
        output=output,
        checkpoint=checkpoint,
        parts=parts,
        opset=opset,
        force=force,
        precisions=precisions,
        io=io,
        calibration=calibration,
        prior=prior,
        temperature=temperature,
        static_batch=static_batch,
        target=target,
        from_source=from_source,
        weights=weights,
        latents=latents,
        state=state,
        score=score,
        ensemble=ensemble,
    )
    check(options)  # before torch is imported, which takes seconds

    from aeonnx.exporting import export as export_model

    with closing(ExportProgress()) as progress:
        exported = export_model(options, progress)
    report.print_exported(exported, as_json=as_json)


@click.command(epilog="Example: aeonnx verify dist/vae --against runs/vae")
@bundle_argument
@click.option(
    "--against",
    type=PATH,
    help="Checkpoint to run in torch and compare every graph with, as the export did.",
)
@from_option
@weights_option
@provider_option
@json_option(
    "an object with `provider`, `passed`, `checks` (a list of differences), `failures` and "
    "`not_run` (texts)"
)
def verify(
    bundle: Path,
    against: Path | None,
    from_source: str | None,
    weights: Path | None,
    provider: str,
    as_json: bool,
) -> None:
    """Compare a bundle's outputs on this machine with torch's stored outputs.

    Runs every graph on the golden vectors: inputs stored in the bundle, with torch's outputs. This
    needs no torch. With --against or --from, the model is also run in torch here and every
    graph is compared with it, as the export did. Exits with 3 if an output differs by more than its
    tolerance, or a graph fails while it runs; with 4 if every graph that ran is right, but this
    machine cannot run one.
    """
    from aeonnx import runtime
    from aeonnx.catalog.source import Source
    from aeonnx.cli import report
    from aeonnx.runtime.export_advice import require_own

    opened = runtime.load(bundle, providers_of(provider))
    source = Source(against, from_source, weights)
    if against is not None and from_source is None:
        require_own(opened.manifest, "--against")
    source.check("--against", opened.manifest.model)
    result = runtime.verify(opened)
    if source.named:
        from aeonnx.exporting import verify_checkpoint
        from aeonnx.runtime.compare import merged

        result = merged([result, verify_checkpoint(opened, source)])
    report.print_verified(opened, result, as_json=as_json)


@click.command(epilog="Example: aeonnx inspect dist/vae --html vae.html")
@bundle_argument
@click.option("--graph", "part", help="List the nodes of this part's graph, such as decoder.")
@click.option(
    "--variant", help="Variant of the graph that --graph lists, such as int8.  [default: fp32]"
)
@click.option(
    "--html", type=PATH, help="Write a page with pictures and the nodes of all graphs to this file."
)
@force_option("Replace the file of --html if it exists.")
@json_option(
    "the manifest; with --graph an object with `part`, `variant`, `inputs`, `outputs`, `nodes`, "
    "`initializers`, `parameters`, `bytes` and `ops`; with --html one with `output` and `bytes`"
)
def inspect(
    bundle: Path,
    part: str | None,
    variant: str | None,
    html: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Show a bundle's manifest or the nodes of a graph, or write an HTML page.

    The page is one file that needs neither network nor scripts. --graph and --html read the graphs
    with onnx, which comes with aeonnx[train]. To see a graph drawn, open its .onnx file with
    Netron: https://netron.app, or pip install netron.
    """
    from aeonnx.bundle import manifest
    from aeonnx.cli import contents

    _require_combination(part, variant, html, force=force)
    if html is not None:
        from aeonnx.tools.inspection import write_page

        contents.print_page(html, write_page(bundle, html, force=force), as_json=as_json)
    elif part is not None:
        from aeonnx.tools.inspection import read_graph

        variant = "fp32" if variant is None else variant
        contents.print_graph(part, variant, read_graph(bundle, part, variant), as_json=as_json)
    else:
        contents.print_manifest(bundle, manifest.read(bundle), as_json=as_json)


def _require_combination(
    part: str | None, variant: str | None, html: Path | None, *, force: bool
) -> None:
    if html is not None and part is not None:
        raise click.UsageError("--graph and --html do not go together: the page shows all graphs")
    if variant is not None and part is None:
        raise click.UsageError("--variant needs --graph, which names the part")
    if force and html is None:
        raise click.UsageError("--force needs --html, which names the file to replace")
