"""`aeonnx.train`: training with keyword arguments, as from a script or a notebook.

Imports torch only when the arguments have been checked.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aeonnx import catalog
from aeonnx._util.arguments import (
    StrPath,
    flag_of,
    keywords_of,
    name_of,
    number_of,
    numbers_of,
    path_of,
)
from aeonnx.errors import UnknownNameError, UsageError
from aeonnx.io.tables import join_names
from aeonnx.training.options import TrainOptions, check, data_of

if TYPE_CHECKING:
    from aeonnx.training.api import Trained
    from aeonnx.training.engine.callbacks import Listener

__all__ = ["train"]


def train(
    model: str | None = None,
    output: StrPath | None = None,
    *,
    arch: str | None = None,
    hidden: Iterable[int] | None = None,
    latent_size: int | None = None,
    data: StrPath | None = None,
    pairs: tuple[StrPath, StrPath] | None = None,
    normal: str | None = None,
    conditional: bool | None = None,
    columns: str | Iterable[str] | None = None,
    label_column: str | None = None,
    window: int | None = None,
    step: int | None = None,
    scaler: str | None = None,
    missing: str | None = None,
    data_dir: StrPath | None = None,
    skip_bad: bool = False,
    stream: bool = False,
    background: str | None = None,
    workers: int = 2,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    schedule: str | None = None,
    weight_decay: float | None = None,
    clip: float | None = None,
    ema: float | None = None,
    precision: str | None = None,
    compile: bool = False,  # noqa: A002  # as in the command and in torch
    held_out: float | None = None,
    patience: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    tensorboard: bool = False,
    features: StrPath | None = None,
    save_seconds: float = 30.0,
    listener: Listener | None = None,
    **recipe: str | float,
) -> Trained:
    """Train a model and write a checkpoint, metrics and pictures to the run's folder.

        aeonnx.train("vae", "runs/vae", epochs=5, beta=4)

    The options are those of the command `aeonnx train`. None stands for the value of the resumed
    run or, in a new run, for the default. Under torchrun, every process calls this with the same
    arguments, and rank 0 writes.

    Args:
        model: "ae", "sae", "dae", "sdae", "vae" or a registered name; may be None if the run in
            `output` is resumed.
        output: the run's folder; None for `runs/<model>`.
        arch: "mlp", "conv", or for "dae" "unet", which takes pictures of any size, or for "ae" of a
            time series "lstm"; by default the model's first.
        hidden: widths of the hidden layers, channels for "conv" and "unet"; by default the model's.
        latent_size: length of `z`; by default the model's.
        data: name of a data set, or path of a folder of images, a .npy, .npz, .csv or .parquet
            file; by default "mnist-sample".
        pairs: instead of `data` and of the recipe's `corruption`: a folder of noisy pictures, and
            one of the same pictures without noise, of the same names. For "dae" with "unet".
        normal: the normal classes of the data, such as "good", "0,1" or "0-8": only these are
            trained on, and images of the others test whether the model finds what is odd. None for
            all, or for those that the folder declares: one in train/ and more in test/, or
            normal/ and odd/.
        conditional: train with labels, which encoder and decoder then take as a second input, so
            that images of a class are generated. For "vae"; None for no.
        columns: of a table, the columns to train on: names, or one text with commas between them;
            None for all.
        label_column: of a table, the column with the class of each row; None for none.
        window: number of rows of a window, to train on the windows of a time series; None to train
            on single rows.
        step: rows from the start of one window to that of the next; None for a quarter of a window.
        scaler: of a table, how columns are standardised: "standard" by mean and standard deviation,
            the default; "robust" by median and interquartile range; "none" not at all.
        missing: of a table, "impute" to fill in missing values, in the exported graphs too, or
            "refuse" to allow none; None for the former if the data has any, else the latter.
        data_dir: folder of the named data sets; by default "data".
        skip_bad: skip images that cannot be read or differ in size, instead of raising an error.
        stream: read images batch by batch, even if all of them fit on the device.
        background: colour, such as "white" or "#20a0ff", behind transparent pixels; None to keep
            alpha channels and reject other transparency.
        workers: number of processes that prefetch images when they are streamed.
        epochs: passes over the training images in the last stage; by default the recipe's.
        batch_size: images per step, over all processes; by default the recipe's.
        lr: peak learning rate of AdamW; by default the recipe's.
        schedule: learning rate schedule: "constant", "cosine" or "one-cycle"; by default the
            recipe's.
        weight_decay: weight decay of AdamW, 0 or more; by default 0.
        clip: maximum norm of the gradient, above 0; by default the recipe's, mostly no limit.
        ema: decay per step of the exponential moving average of the weights, in [0, 1); the average
            is what is tested and saved; 0 for no average; by default the recipe's.
        precision: "fp32", or "bf16" or "fp16" with autocast; by default "fp32".
        compile: compile the training step with torch.compile.
        held_out: share of the training images that are held out for early stopping, in (0, 1);
            None for 0.1 with `patience`, and for no held-out images without.
        patience: stop a stage after this many epochs without a better loss on the held-out images,
            and keep the best epoch's weights; None to run all epochs.
        seed: seed of initial weights, image order and noise; by default 0.
        device: "auto" (CUDA if torch has it), "cpu" or "cuda".
        resume: resume from the newest undamaged state in `output`.
        force: replace an existing run in `output`.
        tensorboard: write TensorBoard events to the folder `tensorboard` in the run's folder.
        features: run of an `sdae` on the same data. In its features, images that the model
            generates are compared with test images at the end: `frechet_distance`, `precision` and
            `recall` in the metrics. For models with a prior, such as `vae`.
        save_seconds: seconds between saved states.
        listener: is notified of progress; None for no notifications.
        recipe: options of the model's recipe: `corruption`, `corruption_level` (`dae`, `sdae`),
            `beta`, `kl_warmup`, `pixels` (`vae`) and others; docs/training.md describes them.

    Returns:
        The folder, the training record, the epochs with their metrics, and the files.

    Raises:
        UnknownNameError: there is no such option, model or other name; suggests the nearest.
        UsageError: an option is out of range, or differs from that of the resumed run.
        OutputError: the folder already has a run, finished or not, and neither `force` nor `resume`
            is set; another process is training into it; or the disk is full.
        DataError: the data set is missing, damaged, empty, or lacks labels that the model needs.
        CheckpointError: there is nothing to resume, or the data set changed since.
        SetupError: the device or an optional package is missing.
        TrainingError: loss or gradient was NaN or infinite for several steps, or a metric was.
        Interrupted: SIGINT, SIGTERM or SIGHUP arrived.

    After any of these errors, the last good checkpoint is still there.
    """
    model = name_of("model", model)
    _refuse_unknown(model, recipe)
    path_of("data", data)  # keeps "./mnist", a folder, apart from the data set "mnist"
    options = TrainOptions(
        model=model,
        output=path_of("output", output),
        arch=name_of("arch", arch),
        hidden=numbers_of("hidden", hidden),
        latent_size=number_of("latent_size", latent_size),
        **data_of(None if data is None else os.fspath(data), _pair_of(pairs)),
        normal=name_of("normal", normal),
        conditional=None if conditional is None else flag_of("conditional", conditional),
        columns=columns if isinstance(columns, str) or columns is None else _names_of(columns),
        label_column=name_of("label_column", label_column),
        window=number_of("window", window),
        step=number_of("step", step),
        scaler=name_of("scaler", scaler),
        missing=name_of("missing", missing),
        data_dir=path_of("data_dir", data_dir),
        skip_bad=flag_of("skip_bad", skip_bad),
        stream=flag_of("stream", stream),
        background=name_of("background", background),
        workers=number_of("workers", workers),
        epochs=number_of("epochs", epochs),
        batch_size=number_of("batch_size", batch_size),
        lr=number_of("lr", lr),
        schedule=name_of("schedule", schedule),
        weight_decay=number_of("weight_decay", weight_decay),
        clip=number_of("clip", clip),
        ema=number_of("ema", ema),
        precision=name_of("precision", precision),
        compile=flag_of("compile", compile),
        held_out=number_of("held_out", held_out),
        patience=number_of("patience", patience),
        seed=number_of("seed", seed),
        device=name_of("device", device) or "auto",
        recipe={
            name: value if isinstance(value, str) else number_of(name, value)
            for name, value in recipe.items()
        },
        resume=flag_of("resume", resume),
        force=flag_of("force", force),
        tensorboard=flag_of("tensorboard", tensorboard),
        features=path_of("features", features),
        save_seconds=number_of("save_seconds", save_seconds),
    )
    check(options)  # before torch is imported, which takes seconds

    from aeonnx.training import train as train_model

    return train_model(options, listener)


def _names_of(columns: Iterable[str]) -> str:
    """One text with commas between the names, those that have a comma in quotes."""
    found = list(columns)
    if not all(isinstance(name, str) for name in found):
        raise UsageError(f"columns: expected names, got {found!r}")
    return join_names(found)


def _pair_of(value: object) -> tuple[str, str] | None:
    if value is None:
        return None
    folders = list(value) if isinstance(value, list | tuple) else []
    if len(folders) != 2 or not all(isinstance(item, str | os.PathLike) for item in folders):
        raise UsageError(f"pairs: expected two folders, (noisy, clean), got {value!r}")
    return os.fspath(folders[0]), os.fspath(folders[1])


def _refuse_unknown(model: str | None, recipe: dict[str, str | float]) -> None:
    """Refuse a keyword that is neither an option of all trainings nor of the model's recipe."""
    if not recipe:
        return
    if model is not None:
        catalog.model(model)  # an unknown model is the first thing to say
    of_models = [model] if model is not None else list(catalog.recipes())
    options = {name for each in of_models for name in catalog.options_of(each)}
    for name in recipe:
        if name not in options:
            of = f" for {model}" if model else ""
            raise UnknownNameError(
                f"option of aeonnx.train{of}", name, [*keywords_of(train), *options]
            )
