"""`aeonnx train`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from aeonnx.cli.options import PATH, force_option, json_option, model_option, output_option

__all__ = ["train"]


@click.command(
    epilog="Example: aeonnx train -m dae --arch conv --corruption masking --corruption-level 0.3"
)
@model_option("ae, dae or vae")
@click.option("--arch", default="mlp", show_default=True, help="Network: mlp or conv.")
@click.option(
    "--data",
    default="mnist-sample",
    show_default=True,
    help="Data set: mnist-sample (5,000 digits, works offline), mnist or fashion-mnist.",
)
@click.option(
    "--data-dir",
    type=PATH,
    envvar="AEONNX_DATA",
    show_envvar=True,
    default=Path("data"),
    show_default=True,
    help="Folder of the data sets, in torchvision's layout; downloads go there.",
)
@click.option("--epochs", type=int, help="Passes over the images.  [default: the model's]")
@click.option("--batch-size", type=int, help="Images per step.  [default: the model's]")
@click.option("--lr", type=float, help="Learning rate of Adam.  [default: the model's]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights, order and noise.")
@click.option(
    "--device", default="auto", show_default=True, help="auto (CUDA where torch has it), cpu, cuda."
)
@click.option("--corruption", help="dae: gaussian, masking or salt-pepper.  [default: gaussian]")
@click.option(
    "--corruption-level",
    type=float,
    help="dae: standard deviation, or fraction of the pixels.  [default: 0.5]",
)
@output_option("Folder of the run.  [default: runs/MODEL]")
@force_option("Replace a checkpoint that is there.")
@json_option
def train(
    model: str,
    arch: str,
    data: str,
    data_dir: Path,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seed: int,
    device: str,
    corruption: str | None,
    corruption_level: float | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Train a model: checkpoint, metrics, pictures."""
    from aeonnx.cli import report
    from aeonnx.cli.progress import TrainingProgress
    from aeonnx.train import TrainOptions
    from aeonnx.train import train as train_model

    given = {"corruption": corruption, "corruption_level": corruption_level}
    options = TrainOptions(
        model=model,
        output=output,
        arch=arch,
        data=data,
        data_dir=data_dir,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        device=device,
        recipe={name: value for name, value in given.items() if value is not None},
        force=force,
    )
    with closing(TrainingProgress(f"{model}/{arch} on {data}")) as progress:
        trained = train_model(options, progress)
    report.print_trained(trained, model, as_json=as_json)
