"""The command `aeonnx train`."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from aeonnx.cli.options import (
    PATH,
    Widths,
    force_option,
    json_option,
    model_option,
    output_option,
)

__all__ = ["train"]


class _Train(click.Command):
    """A command with the options of all recipes, which are read when they are first needed."""

    _recipe: list[click.Parameter] | None = None

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if self._recipe is None:
            self._recipe = _recipe_options()
        *own, helping = super().get_params(ctx)
        place = next(i for i, parameter in enumerate(own) if parameter.name == "seed")
        return [*own[:place], *self._recipe, *own[place:], helping]


def _recipe_options() -> list[click.Parameter]:
    from aeonnx import catalog

    takers: dict[str, dict[str, catalog.RecipeOption]] = {}
    for model, options in catalog.recipes().items():
        for name, option in options.items():
            takers.setdefault(name, {})[model] = option
    return [_recipe_option(name, options) for name, options in takers.items()]


def _recipe_option(name: str, options: dict[str, Any]) -> click.Option:
    """The command's option for an option that one recipe or several have."""
    first = next(iter(options.values()))
    said = ": ".join(text for text in (first.help, str(first.allowed)) if text)
    said += "".join(
        f"; for {model} {option.allowed}"
        for model, option in options.items()
        if option.allowed != first.allowed
    )
    defaults = {model: _number(option.default) for model, option in options.items()}
    default = defaults[next(iter(options))]
    if len(set(defaults.values())) > 1:
        default = ", ".join(f"{value} for {model}" for model, value in defaults.items())
    return click.Option(
        ["--" + name.replace("_", "-")],
        type=first.allowed.kind,
        help=f"For {', '.join(options)}: {said}.  [default: {default}]",
    )


def _number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


@click.command(
    cls=_Train,
    epilog="Example: aeonnx train -m dae --arch conv --corruption masking --corruption-level 0.3",
)
@model_option("ae, sae, dae, sdae or vae", required=False)
@click.option(
    "--arch",
    help="Architecture: mlp, conv, for dae unet, which takes pictures of any size, or for ae of "
    "time series lstm.  [default: the model's first, mlp]",
)
@click.option(
    "--hidden",
    type=Widths(),
    metavar="WIDTHS",
    help="Widths of the hidden layers, such as 400,200; for conv and unet, channels of the "
    "layers.  [default: the model's]",
)
@click.option(
    "--latent",
    "latent_size",
    type=int,
    help="Length of the latent vector z.  [default: the model's]",
)
@click.option(
    "--data",
    help="Training data: mnist-sample (5,000 digits, offline), mnist, fashion-mnist, kmnist, "
    "cifar10, a folder of images, a .npy or a .npz file; for ae a table too: .csv, .tsv, .parquet, "
    "or an array [N, D].  [default: mnist-sample]",
)
@click.option(
    "--pairs",
    nargs=2,
    metavar="NOISY CLEAN",
    help="Folder of noisy pictures and folder of the same pictures without noise, of the same "
    "names, instead of --data and --corruption; for dae with --arch unet.  [default: none]",
)
@click.option(
    "--normal",
    metavar="CLASSES",
    help="Classes to train on, such as good, 0,1 or 0-8: images of the others are odd, and test "
    "whether the model finds them.  [default: all; good/ if train/ has it alone; normal/ if the "
    "other is odd/]",
)
@click.option(
    "--conditional",
    is_flag=True,
    default=None,
    help="Train with labels, which encoder and decoder then take too: `generate --label 7` makes "
    "sevens. For vae, with data that has labels.",
)
@click.option(
    "--columns",
    metavar="NAMES",
    help="Columns of a table to train on, with commas between them.  [default: all]",
)
@click.option(
    "--label-column",
    metavar="NAME",
    help="Column of a table with the class of each row, for --normal.  [default: none]",
)
@click.option(
    "--window",
    type=int,
    help="Number of rows of a window, to train on windows of a time series.  [default: single "
    "rows]",
)
@click.option(
    "--step",
    type=int,
    help="Rows from one window of a time series to the next.  [default: a quarter of a window]",
)
@click.option(
    "--scaler",
    help="How columns of a table are standardised, in the exported graphs too: standard, by mean "
    "and standard deviation; robust, by median and interquartile range; or none.  [default: "
    "standard]",
)
@click.option(
    "--missing",
    help="What to do about missing values of a table: impute fills them in, in the exported graphs "
    "too; refuse allows none.  [default: impute if there are any]",
)
@click.option(
    "--data-dir",
    type=PATH,
    envvar="AEONNX_DATA",
    show_envvar=True,
    help="Folder of the named data sets, in torchvision's layout; they are downloaded to it.  "
    "[default: data]",
)
@click.option("--skip-bad", is_flag=True, help="Skip images that are unreadable or differ in size.")
@click.option(
    "--stream", is_flag=True, help="Read images batch by batch, even if they fit in memory."
)
@click.option(
    "--background",
    metavar="COLOR",
    help="Color behind transparent pixels, such as white or #20a0ff.  [default: keep the alpha]",
)
@click.option(
    "--workers",
    type=int,
    default=2,
    show_default=True,
    help="Number of processes that read images ahead; 0 to read them in this one.",
)
@click.option(
    "--epochs",
    type=int,
    help="Number of passes over the training images in the last stage.  [default: the model's]",
)
@click.option(
    "--batch-size", type=int, help="Number of images per training step.  [default: the model's]"
)
@click.option(
    "--lr",
    type=float,
    help="Highest learning rate of AdamW; the schedule varies it.  [default: the model's]",
)
@click.option(
    "--schedule",
    help="Learning-rate schedule: constant, cosine or one-cycle.  [default: the model's]",
)
@click.option("--weight-decay", type=float, help="Weight decay of AdamW, 0 or more.  [default: 0]")
@click.option(
    "--clip",
    type=float,
    help="Largest norm of the gradient: a larger one is scaled down to it.  [default: no limit; 1 "
    "with --arch unet]",
)
@click.option(
    "--ema",
    type=float,
    help="Decay per step of the moving average of the weights, 0 or more and below 1; the average "
    "is what is tested and saved. 0 for no average.  [default: the model's]",
)
@click.option("--precision", help="Training precision: fp32, bf16 or fp16.  [default: fp32]")
@click.option("--compile", is_flag=True, help="Compile the training step with torch.compile.")
@click.option(
    "--patience",
    type=int,
    help="Stop after this many epochs without a better loss on held-out images, and keep the best "
    "epoch's weights.  [default: run all epochs]",
)
@click.option(
    "--held-out",
    type=float,
    help="Fraction of the training images to hold out for --patience, above 0 and below 1.  "
    "[default: 0.1]",
)
@click.option(
    "--seed",
    type=int,
    help="Seed of the initial weights, the order of the images and the noise.  [default: 0]",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Device to train on: auto (CUDA if torch has it), cpu or cuda.",
)
@output_option("Folder to write the run to.  [default: runs/MODEL]")
@click.option(
    "--resume",
    is_flag=True,
    help="Continue from the newest saved state of the run, with the options that it had.",
)
@force_option("Replace an existing run.")
@click.option(
    "--tensorboard",
    is_flag=True,
    help="Write TensorBoard events to the folder `tensorboard` of the run; runs are compared with "
    "`tensorboard --logdir runs`.",
)
@click.option(
    "--features",
    type=PATH,
    metavar="RUN",
    help="Run of an sdae on the same data, in whose features generated images are compared with "
    "test images: Frechet distance, precision and recall. For models with a prior, such as vae.  "
    "[default: none]",
)
@click.option(
    "--save-seconds",
    type=float,
    default=30.0,
    show_default=True,
    help="Seconds between saved states, 0 or more; a state is saved at the end of each stage too.",
)
@json_option(
    "an object with `training` (the record in the checkpoint, with its metrics), `files` (paths) "
    "and `warnings` (texts)"
)
def train(as_json: bool, **given: Any) -> None:
    """Train a model and write its checkpoint, metrics and pictures.

    On Ctrl-C, SIGTERM or SIGHUP the state is saved before the command stops; --resume continues
    exactly from it. On several GPUs: torchrun --nproc-per-node 4 -m aeonnx train -m vae
    """
    from dataclasses import fields

    from aeonnx.cli import report
    from aeonnx.cli.progress import TrainingProgress
    from aeonnx.training import TrainOptions, check
    from aeonnx.training.options import data_of

    given |= data_of(given["data"], given.pop("pairs"))
    own = {item.name for item in fields(TrainOptions)}
    recipe = {name: value for name, value in given.items() if name not in own and value is not None}
    chosen = {name: value for name, value in given.items() if name in own}
    options = TrainOptions(**chosen, recipe=recipe)
    check(options)  # before torch is imported, which takes seconds

    from aeonnx.training import train as train_model

    title = "/".join(filter(None, (options.model or str(options.folder), options.arch)))
    with closing(TrainingProgress(f"{title} on {options.data}" if options.data else title)) as told:
        trained = train_model(options, told)
    if trained.first:
        report.print_trained(trained, trained.model, as_json=as_json)
