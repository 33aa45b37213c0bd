"""The command `aeonnx demo`."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aeonnx._util.text import printable
from aeonnx.cli.options import PATH, json_option, output_option

if TYPE_CHECKING:
    from aeonnx.tools.web import DemoFiles

__all__ = ["demo"]


@click.command(epilog="Example: aeonnx demo -o aeonnx-demo")
@output_option("Folder for everything the demo writes.  [default: aeonnx-demo]")
@click.option(
    "--web",
    is_flag=True,
    help="Draw, denoise and generate in the browser instead: trains a denoiser too, fetches "
    "onnxruntime-web with npm, and serves the page on this machine until Ctrl-C.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to serve the page on; 0 for any free port.",
)
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    type=PATH,
    metavar="BUNDLE",
    help="Bundle to show on the page, instead of the two that the demo trains; may be repeated. "
    "Its parts decide what the page has: a drawing or a photograph to denoise, latents to drag, "
    "images of a seed. Of several bundles with the same panel, the first has it.  [default: none]",
)
@click.option(
    "--build-only",
    is_flag=True,
    help="Write the page into `web` in the output folder, without serving it.",
)
@json_option(
    "an object with `run`, `bundle`, `files` (paths) and `parity` (all checks); with --build-only "
    "one with `page`; not with --web, which serves until Ctrl-C"
)
def demo(
    output: Path | None,
    web: bool,
    port: int,
    bundles: tuple[Path, ...],
    build_only: bool,
    as_json: bool,
) -> None:
    """Train a VAE on digits, export it and draw with it, in a minute.

    Trains on real digits, exports ONNX graphs, compares them with torch, and draws with them in a
    process that cannot import torch. Works offline, on two CPU cores.
    """
    from aeonnx.cli.tables import print_json, say

    if as_json and web and not build_only:
        raise click.UsageError("--json and --web do not go together: the server runs until Ctrl-C")
    if bundles and not (web or build_only):
        raise click.UsageError("--bundle is shown on the page: give --web too")
    folder = output or Path("aeonnx-demo")
    if build_only:
        page = _build(folder, bundles)
        if as_json:
            print_json({"page": str(page)})
        else:
            say(f"Page: {page}, for any web server")
    elif web:
        _serve(folder, port, bundles)
    else:
        _draw(folder, as_json=as_json)


def _draw(folder: Path, *, as_json: bool) -> None:
    from aeonnx.cli import report
    from aeonnx.cli.progress import ExportProgress, TrainingProgress
    from aeonnx.tools import demo as demonstration

    with closing(TrainingProgress("vae/mlp on mnist-sample")) as progress:
        trained = demonstration.train_vae(folder, progress)
    with closing(ExportProgress()) as exporting:
        exported = demonstration.export_encoder_and_decoder(trained, exporting)
    drawn = demonstration.draw(trained, exported)
    report.print_demo(exported, drawn, as_json=as_json)


def _serve(folder: Path, port: int, bundles: tuple[Path, ...]) -> None:
    from aeonnx.cli.tables import say
    from aeonnx.tools.web import Server

    with Server(folder / "web", port) as server:  # a port in use fails before the training
        _build(folder, bundles)
        say(f"{server.address}  (Ctrl-C stops it)")
        sys.stdout.flush()  # else a pipe would hold it back until the server stops
        server.serve_forever()


def _build(folder: Path, bundles: tuple[Path, ...]) -> Path:
    from aeonnx.tools.web import build_site, existing_files, install_engine, own_files

    own = own_files(bundles) if bundles else None  # a bundle that cannot be shown fails first
    engine = install_engine()
    made = own or existing_files(folder) or _make(folder)
    page = build_site(folder / "web", made, engine)
    for line in made.left_out:
        click.echo(printable(line), err=True)
    return page


def _make(folder: Path) -> DemoFiles:
    from aeonnx.cli.progress import ExportProgress, TrainingProgress
    from aeonnx.tools.web import SHOWN, models

    for model in SHOWN:
        with closing(TrainingProgress(f"{model}/mlp on mnist-sample")) as progress:
            models.train_model(folder, model, progress)
        with closing(ExportProgress()) as exporting:
            models.export_model(folder, model, exporting)
    return models.write_digits(folder)
