"""`aeonnx demo`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from aeonnx.cli.options import output_option

__all__ = ["demo"]


@click.command(epilog="Example: aeonnx demo -o aeonnx-demo")
@output_option("Folder for everything the demo makes.  [default: aeonnx-demo]")
def demo(output: Path | None) -> None:
    """Digits to VAE to graphs to pictures, in a minute.

    Trains a VAE on real digits, exports it, proves it, and draws with it in a process that cannot
    import torch. Works offline, on two CPU cores.
    """
    from aeonnx import demo as demonstration
    from aeonnx.cli import report
    from aeonnx.cli.progress import ExportProgress, TrainingProgress

    folder = output or Path("aeonnx-demo")
    with closing(TrainingProgress("vae/mlp on mnist-sample")) as progress:
        trained = demonstration.train_vae(folder, progress)
    with closing(ExportProgress()) as exporting:
        exported = demonstration.export_halves(trained, exporting)
    drawn = demonstration.draw(trained, exported)
    report.print_demo(exported, drawn)
