"""`aeonnx train`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from aeonnx.cli.options import PATH, force_option, json_option, model_option, output_option

__all__ = ["train"]

_RECIPE = {
    "corruption": click.option(
        "--corruption",
        help="dae, sdae: gaussian, masking or salt-pepper.  [default: gaussian, masking]",
    ),
    "corruption_level": click.option(
        "--corruption-level",
        type=float,
        help="dae, sdae: standard deviation, or fraction of the pixels.  [default: 0.5, 0.25]",
    ),
    "pretrain_epochs": click.option(
        "--pretrain-epochs", type=int, help="sae, sdae: passes for each layer.  [default: 10, 15]"
    ),
    "dropout": click.option(
        "--dropout", type=float, help="sdae: features fine-tuning sets to 0.  [default: 0.4]"
    ),
    "denoising": click.option(
        "--denoising",
        type=float,
        help="sdae: weight of the denoising loss in fine-tuning.  [default: 1]",
    ),
    "beta": click.option("--beta", type=float, help="vae: weight of the KL.  [default: 1]"),
    "kl_warmup": click.option(
        "--kl-warmup",
        type=float,
        help="vae: share of the training over which that weight grows.  [default: 0]",
    ),
    "pixels": click.option(
        "--pixels",
        help="vae: intensities, or binary to draw each pixel anew.  [default: intensities]",
    ),
}
"""Options of recipes: which model takes them, the library knows."""


def _recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_RECIPE.values()):
        command = option(command)
    return command


def _widths(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        return tuple(int(width) for width in value.split(",") if width)
    except ValueError:
        raise click.BadParameter(f"expected whole numbers such as 400,200, got {value!r}") from None


@click.command(
    epilog="Example: aeonnx train -m dae --arch conv --corruption masking --corruption-level 0.3"
)
@model_option("ae, sae, dae, sdae or vae")
@click.option("--arch", default="mlp", show_default=True, help="Network: mlp or conv.")
@click.option(
    "--hidden",
    callback=_widths,
    help="Widths of the hidden layers, such as 400,200; channels for conv.  [default: the model's]",
)
@click.option("--latent", "latent_size", type=int, help="Length of z.  [default: the model's]")
@click.option(
    "--data",
    default="mnist-sample",
    show_default=True,
    help="mnist-sample (5,000 digits, offline), mnist, fashion-mnist, kmnist, cifar10, a folder of "
    "images, a .npy or a .npz file.",
)
@click.option(
    "--data-dir",
    type=PATH,
    envvar="AEONNX_DATA",
    show_envvar=True,
    default=Path("data"),
    show_default=True,
    help="Folder of the named data sets, in torchvision's layout; downloads go there.",
)
@click.option("--skip-bad", is_flag=True, help="Leave out unreadable or odd-sized images.")
@click.option("--stream", is_flag=True, help="Read images batch by batch, even if all would fit.")
@click.option(
    "--workers", type=int, default=2, show_default=True, help="Processes that read ahead."
)
@click.option("--epochs", type=int, help="Passes in the last stage.  [default: the model's]")
@click.option("--batch-size", type=int, help="Images per step.  [default: the model's]")
@click.option("--lr", type=float, help="Learning rate of AdamW.  [default: the model's]")
@click.option("--schedule", help="constant, cosine or one-cycle.  [default: the model's]")
@click.option("--weight-decay", type=float, default=0.0, show_default=True, help="Of AdamW.")
@click.option("--clip", type=float, help="Largest norm of the gradient.  [default: no limit]")
@click.option(
    "--ema",
    type=float,
    help="Decay of the average of weights that is kept.  [default: the model's]",
)
@click.option("--precision", default="fp32", show_default=True, help="fp32, bf16 or fp16.")
@click.option("--compile", is_flag=True, help="Compile the step with torch.compile.")
@click.option(
    "--patience",
    type=int,
    help="Stop after so many epochs without a better loss on held-out images; keep the best.",
)
@click.option(
    "--held-out", type=float, help="Share of the training images for that.  [default: 0.1]"
)
@_recipe_options
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights, order and noise.")
@click.option(
    "--device", default="auto", show_default=True, help="auto (CUDA where torch has it), cpu, cuda."
)
@output_option("Folder of the run.  [default: runs/MODEL]")
@click.option("--resume", is_flag=True, help="Go on from the newest saved state of the run.")
@force_option("Replace a run that is there.")
@click.option("--log-dir", type=PATH, help="Folder for TensorBoard events.")
@click.option(
    "--save-seconds", type=float, default=30.0, show_default=True, help="Time between saved states."
)
@json_option
def train(as_json: bool, **given: Any) -> None:
    """Train a model: checkpoint, metrics, pictures.

    Ctrl-C and SIGTERM save the state before they stop; --resume goes on exactly. Several GPUs:
    torchrun --nproc-per-node 4 -m aeonnx train -m vae
    """
    from aeonnx.cli import report
    from aeonnx.cli.progress import TrainingProgress
    from aeonnx.train import TrainOptions
    from aeonnx.train import train as train_model

    recipe = {name: given.pop(name) for name in _RECIPE}
    options = TrainOptions(
        **given, recipe={name: value for name, value in recipe.items() if value is not None}
    )
    title = f"{options.model}/{options.arch} on {options.data}"
    with closing(TrainingProgress(title)) as progress:
        trained = train_model(options, progress)
    if trained.first:
        report.print_trained(trained, options.model, as_json=as_json)
