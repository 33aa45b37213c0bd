"""What to train, on what, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from aeonnx.errors import SetupError, UsageError
from aeonnx.train._ranges import one_of, whole, within
from aeonnx.train.recipes import Recipe
from aeonnx.train.schedule import SCHEDULES

__all__ = ["PRECISIONS", "Settings", "TrainOptions", "resolve_device", "settle"]

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_HELD_OUT = 0.1


@dataclass(frozen=True)
class TrainOptions:
    """What to train, on what, how, and where to put it. None stands for the recipe's default.

    Args:
        model: registered name.
        output: the run's folder; None for `runs/<model>`.
        arch: "mlp" or "conv".
        hidden: widths of the hidden layers, see `ModelConfig`; None for the model's.
        latent_size: length of `z`; None for the model's.
        data: name of a data set, or path of a folder of images, a .npy or a .npz file.
        data_dir: folder of the named data sets.
        skip_bad: leave out images that cannot be read or differ in size, instead of an error.
        stream: read images batch by batch, even if all would fit on the device.
        workers: processes that read ahead when images are streamed.
        epochs: passes over the training images in the last stage.
        batch_size: images per step, of all processes together.
        lr: highest learning rate of AdamW.
        schedule: course of the learning rate: "constant", "cosine" or "one-cycle".
        weight_decay: of AdamW, 0 or more.
        clip: largest norm of the gradient, above 0; None for no limit.
        ema: decay per step of the average of weights that is tested and kept, in [0, 1); 0 for
            none.
        precision: "fp32", or "bf16" or "fp16" by autocast.
        compile: compile the training step with torch.compile.
        held_out: share of the training images that are kept out of training to stop early, in
            (0, 1); None for 0.1 with `patience`, else for none.
        patience: stop a stage after so many epochs without a better loss on the held-out images,
            and keep the best epoch's weights; None to run all epochs.
        seed: of weights, order and noise.
        device: "auto", "cpu" or "cuda".
        recipe: options of the recipe, such as {"corruption": "masking"}.
        resume: go on from the newest valid state in `output`.
        force: replace a run that is there.
        log_dir: folder for TensorBoard events; None for none.
        save_seconds: time between saved states.
    """

    model: str
    output: Path | None = None
    arch: str = "mlp"
    hidden: tuple[int, ...] | None = None
    latent_size: int | None = None
    data: str = "mnist-sample"
    data_dir: Path = Path("data")
    skip_bad: bool = False
    stream: bool = False
    workers: int = 2
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    schedule: str | None = None
    weight_decay: float = 0.0
    clip: float | None = None
    ema: float | None = None
    precision: str = "fp32"
    compile: bool = False
    held_out: float | None = None
    patience: int | None = None
    seed: int = 0
    device: str = "auto"
    recipe: dict[str, str | float] = field(default_factory=dict)
    resume: bool = False
    force: bool = False
    log_dir: Path | None = None
    save_seconds: float = 30.0


@dataclass(frozen=True)
class Settings:
    """The numbers of the optimisation, checked and with defaults filled in; see `TrainOptions`."""

    batch_size: int
    lr: float
    schedule: str
    weight_decay: float
    clip: float | None
    ema: float
    precision: str
    held_out: float
    patience: int | None


def settle(options: TrainOptions, recipe: Recipe) -> Settings:
    """Fill in what was not given.

    Raises:
        UsageError: a value is out of range or an unknown name.
    """
    held_out = options.held_out
    if held_out is None:
        held_out = 0.0 if options.patience is None else _HELD_OUT
    settings = Settings(
        batch_size=recipe.batch_size if options.batch_size is None else options.batch_size,
        lr=recipe.lr if options.lr is None else options.lr,
        schedule=options.schedule or recipe.schedule,
        weight_decay=options.weight_decay,
        clip=options.clip,
        ema=recipe.ema if options.ema is None else options.ema,
        precision=options.precision,
        held_out=held_out,
        patience=options.patience,
    )
    one_of("schedule", settings.schedule, SCHEDULES)
    one_of("precision", settings.precision, PRECISIONS)
    whole("batch size", settings.batch_size, 1)
    if options.patience is not None:
        whole("patience", options.patience, 1)
    whole("seed", options.seed, 0)
    whole("workers", options.workers, 0)
    within("learning rate", settings.lr, above=0)
    within("weight decay", settings.weight_decay, lowest=0)
    if options.clip is not None:
        within("clip", options.clip, above=0)
    within("ema", settings.ema, lowest=0, below=1)
    within("held-out share", settings.held_out, lowest=0, below=1)
    if options.held_out is not None and options.patience is None:
        raise UsageError("--held-out serves early stopping: give --patience too, or leave it out")
    return settings


def resolve_device(name: str, number: int = 0) -> torch.device:
    """The device that a name stands for; "auto" is CUDA where torch has it.

    Args:
        name: "auto", "cpu" or "cuda".
        number: which GPU.

    Raises:
        UnknownNameError: there is no such device.
        SetupError: CUDA was asked for and is not there.
    """
    one_of("device", name, ("auto", "cpu", "cuda"))
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise SetupError(
            "--device cuda was asked for, but this torch sees no CUDA GPU: check the driver with "
            "nvidia-smi, or train with --device cpu"
        )
    return torch.device("cuda", number) if available and name != "cpu" else torch.device("cpu")
