"""Options of training, checked without torch so that a typo is reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeonnx import catalog
from aeonnx.catalog.ranges import PAIRS, flag, one_of, require_whole, whole, within
from aeonnx.catalog.source import default_folder
from aeonnx.checkpoint.history import RunOptions
from aeonnx.errors import UnknownNameError, UsageError
from aeonnx.io.pictures import colour_of
from aeonnx.training.schedule import SCHEDULES

if TYPE_CHECKING:
    from aeonnx.training.recipes import Recipe

__all__ = [
    "DATA",
    "DATA_DIR",
    "MISSING",
    "PRECISIONS",
    "SCALERS",
    "TABLE",
    "Settings",
    "TableOptions",
    "TrainOptions",
    "check",
    "data_of",
    "recipe_options",
    "resolve_settings",
    "resumed",
]

DATA, DATA_DIR = "mnist-sample", Path("data")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("fp32", "bf16", "fp16")
_HELD_OUT = 0.1
_NO_MODEL = "Missing option '-m' / '--model', such as vae; or give -o RUN with --resume"


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """How a table is read; None for the default.

    Args:
        columns: names of the columns to take, with commas between them; all by default.
        label_column: name of a column with the class of each row.
        window: number of rows of a window, for a time series; otherwise each row stands alone.
        step: rows from one window to the next; a quarter of a window by default.
        scaler: "standard" for mean and standard deviation, the default; "robust" for median and
            interquartile range; "none" to leave values as they are.
        missing: "impute" to fill in missing values, "refuse" to allow none; by default "impute" if
            there are any.
    """

    columns: str | None = None
    label_column: str | None = None
    window: int | None = None
    step: int | None = None
    scaler: str | None = None
    missing: str | None = None


TABLE = tuple(item.name for item in fields(TableOptions))
"""Names of the options that say how a table is read."""
SCALERS = ("standard", "robust", "none")
MISSING = ("impute", "refuse")


@dataclass(frozen=True)
class TrainOptions(TableOptions):
    """The options of a training: the arguments of `aeonnx.train`, which describes each.

    None stands for the value of the resumed run or, in a new run, for the default. `recipe` has the
    options of the recipe, such as {"corruption": "masking"}. `noisy` and `data` are the folders of
    `--pairs`.
    """

    model: str | None = None
    output: Path | None = None
    arch: str | None = None
    hidden: tuple[int, ...] | None = None
    latent_size: int | None = None
    data: str | None = None
    noisy: str | None = None
    normal: str | None = None
    conditional: bool | None = None
    data_dir: Path | None = None
    skip_bad: bool = False
    stream: bool = False
    background: str | None = None
    workers: int = 2
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    schedule: str | None = None
    weight_decay: float | None = None
    clip: float | None = None
    ema: float | None = None
    precision: str | None = None
    compile: bool = False
    held_out: float | None = None
    patience: int | None = None
    seed: int | None = None
    device: str = "auto"
    recipe: dict[str, str | float] = field(default_factory=dict)
    resume: bool = False
    force: bool = False
    tensorboard: bool = False
    features: Path | None = None
    save_seconds: float = 30.0

    @property
    def folder(self) -> Path:
        """Folder of the run: `output`, or `runs/<model>`.

        Raises:
            UsageError: neither model nor folder is given.
        """
        if self.output is not None:
            return self.output
        if self.model is None:
            raise UsageError(_NO_MODEL)
        return default_folder(self.model)


@dataclass(frozen=True)
class Settings:
    """Options of the optimisation with defaults filled in; see `TrainOptions`."""

    batch_size: int
    lr: float
    schedule: str
    weight_decay: float
    clip: float | None
    ema: float
    precision: str
    held_out: float
    patience: int | None


def data_of(data: str | None, pairs: tuple[str, str] | None) -> dict[str, str | None]:
    """The fields `data` and `noisy` of `TrainOptions`.

    Args:
        data: the value of `--data`.
        pairs: the values of `--pairs`: the folder of the noisy pictures, and that of clean ones.

    Raises:
        UsageError: both are given.
    """
    if not pairs:
        return {"data": data, "noisy": None}
    if data is not None:
        raise UsageError("--pairs names the data already: leave out --data")
    noisy, clean = pairs
    return {"data": clean, "noisy": noisy}


def check(options: TrainOptions) -> None:
    """Check everything that can be checked without torch and without data.

    Raises:
        UsageError: an option is out of range, an unknown name, or contradicts another.
    """
    if options.model is None and not options.resume:
        raise UsageError(_NO_MODEL)
    _ = options.folder
    if options.resume and options.force:
        raise UsageError("--resume continues a run and --force replaces it: give one of them")
    if options.model is not None:
        _check_model(options.model, options)
        _check_pairs(options.model, options)
        _check_conditional(options.model, options)
        _check_table(options.model, options)
    one_of("device", options.device, DEVICES)
    if options.background is not None:
        colour_of(options.background)
    whole("workers", options.workers, 0)
    within("save seconds", options.save_seconds, lowest=0)
    for what, number in (
        ("epochs", options.epochs),
        ("batch size", options.batch_size),
        ("patience", options.patience),
        ("window", options.window),
        ("step", options.step),
    ):
        if number is not None:
            whole(what, number, 1)
    whole("seed", options.seed or 0, 0, 2**63 - 1)
    for what, value, limits in (
        ("learning rate", options.lr, {"above": 0}),
        ("weight decay", options.weight_decay, {"lowest": 0}),
        ("clip", options.clip, {"above": 0}),
        ("ema", options.ema, {"lowest": 0, "below": 1}),
        ("held-out share", options.held_out, {"above": 0, "below": 1}),
    ):
        if value is not None:
            within(what, value, **limits)
    for what, name, known in (
        ("schedule", options.schedule, SCHEDULES),
        ("precision", options.precision, PRECISIONS),
        ("scaler", options.scaler, SCALERS),
        ("missing", options.missing, MISSING),
    ):
        if name is not None:
            one_of(what, name, known)
    if options.step is not None and options.window is None and not options.resume:
        raise UsageError("--step is the distance between windows: give their --window too")
    if options.held_out is not None and options.patience is None and not options.resume:
        raise UsageError("--held-out serves early stopping: give --patience too, or leave it out")


def _check_model(model: str, options: TrainOptions) -> None:
    known = catalog.model(model)
    if options.arch is not None and options.arch not in known.every_arch:
        raise UnknownNameError(f"architecture of {model}", options.arch, known.every_arch)
    latent = () if options.latent_size is None else (options.latent_size,)
    sizes = (*(options.hidden or ()), *latent)
    for size in sizes:
        require_whole(f"sizes of {model}", size)
    if any(size < 1 for size in sizes):
        raise UsageError(f"sizes of {model}: expected sizes above 0, got {sizes}")
    for size in sizes:
        whole(f"sizes of {model}", size, 1)
    recipe_options(model, options.recipe)


def _check_conditional(model: str, options: TrainOptions) -> None:
    if options.conditional and not catalog.model(model).conditional:
        others = ", ".join(name for name, known in catalog.models().items() if known.conditional)
        raise UsageError(f"{model} takes no --conditional: expected -m {others}, or leave it out")


def _check_table(model: str, options: TrainOptions) -> None:
    """Raise `UsageError` if an option for tables is given to a model of images alone."""
    given = [flag(name) for name in TABLE if getattr(options, name) is not None]
    if given and not catalog.model(model).tables:
        others = ", ".join(name for name, known in catalog.models().items() if known.tables)
        raise UsageError(
            f"{model} takes no {', '.join(given)}, which are for tables: train {others}"
        )


def _check_pairs(model: str, options: TrainOptions) -> None:
    """Raise `UsageError` if `--pairs` is given to a model or with options that have no use for it.

    In the completed options of a run with pairs, the recipe's `corruption` is `PAIRS`.
    """
    corruption = options.recipe.get("corruption")
    if options.noisy is None:
        if corruption == PAIRS:
            raise UsageError(
                f"--corruption {PAIRS} comes with --pairs NOISY CLEAN: give the two folders instead"
            )
        return
    if "corruption" not in catalog.options_of(model):
        raise UsageError(f"{model} takes no --pairs, since it does not denoise: train a dae")
    # A resumed run has both options, as `make_plan` completed them.
    if corruption != PAIRS and {"corruption", "corruption_level"} & options.recipe.keys():
        raise UsageError(
            "--pairs has noisy pictures already: leave out --corruption and --corruption-level"
        )


def recipe_options(model: str, given: Mapping[str, str | float]) -> dict[str, str | float]:
    """All options of a model's recipe: those given, and defaults for the others.

    Raises:
        UnknownNameError: the model has no recipe, or an option does not accept the given name.
        UsageError: the recipe has no such option, or its value is out of range.
    """
    known = catalog.options_of(model)
    for name in given:
        if name not in known:
            takes = ", ".join(map(flag, known)) or "no option of its own"
            raise UsageError(f"{model} takes no {flag(name)}, it takes: {takes}")
    chosen = {name: option.default for name, option in known.items()} | dict(given)
    return {name: _checked(known[name], name, value) for name, value in chosen.items()}


def _checked(option: catalog.RecipeOption, name: str, value: str | float) -> str | float:
    return option.allowed.check(name.replace("_", " "), value)


def resolve_settings(options: TrainOptions, recipe: Recipe) -> Settings:
    """Fill in defaults; the options must have been checked."""
    held_out = options.held_out
    if held_out is None:
        held_out = 0.0 if options.patience is None else _HELD_OUT
    return Settings(
        batch_size=recipe.batch_size if options.batch_size is None else options.batch_size,
        lr=recipe.lr if options.lr is None else options.lr,
        schedule=options.schedule or recipe.schedule,
        weight_decay=options.weight_decay or 0.0,
        clip=recipe.clip if options.clip is None else options.clip,
        ema=recipe.ema if options.ema is None else options.ema,
        precision=options.precision or "fp32",
        held_out=held_out,
        patience=options.patience,
    )


_MAY_CHANGE = ("data", "noisy", "data_dir", "skip_bad", "epochs", "recipe")


def resumed(options: TrainOptions, saved: RunOptions) -> TrainOptions:
    """`options`, with the saved run's value wherever an option is None.

    Data paths and the number of epochs may differ here: `Plan.check_same` compares them later.

    Raises:
        UsageError: an option differs from the run's; the message names both values.
    """
    given = {name: value for name in _names() if (value := getattr(options, name)) is not None}
    before = {name: getattr(saved, name) for name in _names()}
    differing = [
        (name, before[name], value)
        for name, value in given.items()
        if name not in _MAY_CHANGE and value != before[name]
    ]
    known = catalog.options_of(saved.model)
    recipe = {  # as the run has them: the command line gives levels as texts
        name: _checked(known[name], name, value) if name in known else value
        for name, value in options.recipe.items()
    }
    differing += [
        (name, saved.recipe.get(name), value)
        for name, value in recipe.items()
        if value != saved.recipe.get(name)
    ]
    if differing:
        raise UsageError(contradiction(options.folder, differing))
    taken = {**before, **given, "recipe": {**saved.recipe, **recipe}}
    taken["latent_size"] = taken["latent_size"] or None  # 0: the network has none
    taken["skip_bad"] = options.skip_bad or (options.data is None and saved.skip_bad)
    if taken["data_dir"] is not None:
        taken["data_dir"] = Path(taken["data_dir"])
    return replace(options, **taken)


def contradiction(folder: Path, differing: list[tuple[str, Any, Any]]) -> str:
    """The message for options that differ from the run's: (name, saved value, given value) each."""
    named = "; ".join(
        f"{flag('latent' if name == 'latent_size' else name)} was {_text(was)}, is {_text(now)}"
        for name, was, now in differing
    )
    return (
        f"--resume: {folder} was trained with other options: {named}. Leave them out to go on as "
        "it was, or train anew with --force"
    )


def _names() -> list[str]:
    return [item.name for item in fields(RunOptions)]


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
