"""Models by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from aeonnx import catalog
from aeonnx._util.serde import OPTIONAL, require
from aeonnx.errors import UnknownNameError, UsageError
from aeonnx.models._columns import Columns
from aeonnx.models._model import Model

__all__ = [
    "ExternalConfig",
    "ModelConfig",
    "Widths",
    "archs",
    "build",
    "classifies",
    "conditional",
    "configure",
    "crop_of",
    "names",
    "register",
]


_ALONG_TIME = ("conv", "lstm")  # of rows, only windows have an axis that these run along
_PLACES = 16  # most places of the smaller side after the last layer of a default "conv"
_LEVELS = 6  # of a U-Net, so that a crop of 128 pixels has two places of the lowest level


@dataclass(frozen=True)
class ModelConfig:
    """Name, architecture and sizes: everything that building a model needs.

    Args:
        model: registered name.
        arch: "mlp", "conv", "lstm" or "unet".
        input_shape: [C, H, W] of an image; for "unet", of the crops that it is trained on. With
            columns, [D] of a vector or [D, W] of a window.
        hidden: widths of the encoder's hidden layers, from the image inwards: units for "mlp",
            channels for "conv" and "unet". The decoder mirrors them.
        latent_size: length of `z`; 0 for a network without one, such as "unet".
        classes: names of the labels, for a model with a classifier or a conditional one; else
            empty.
        columns: what the numbers of a row are; None for images.
        unbounded: whether noisy images have values outside of [0, 1].
    """

    model: str
    arch: str
    input_shape: tuple[int, ...]
    hidden: tuple[int, ...]
    latent_size: int
    classes: tuple[str, ...] = ()
    columns: Columns | None = field(default=None, metadata=OPTIONAL)
    unbounded: bool = field(default=False, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        axes, columns = len(self.input_shape), self.columns
        require(
            axes == 3 if columns is None else axes in (1, 2),
            f"expected [C, H, W] of images, or [D] or [D, W] of rows, got {self.input_shape}",
        )
        require(
            columns is None or len(columns.names) == self.input_shape[0],
            f"expected names of {self.input_shape[0]} columns",
        )
        require(
            self.arch not in _ALONG_TIME or columns is None or axes == 2,
            f"--arch {self.arch} is for time series: give the length of the windows with --window, "
            "or --arch mlp",
        )
        sizes = (*self.input_shape, *self.hidden)
        require(all(size > 0 for size in sizes), f"expected sizes above 0, got {sizes}")
        require(self.latent_size >= 0, f"expected a latent of 0 or more, got {self.latent_size}")
        require(
            self.arch not in ("conv", "unet", "lstm") or self.hidden,
            f"a {self.arch} network needs the width of one hidden layer or more, got none",
        )
        require(
            self.arch != "unet" or len(self.hidden) <= _LEVELS,
            f"a unet network has up to {_LEVELS} levels, got {len(self.hidden)} widths",
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """[C, H, W] of an image; of a model of images alone."""
        channels, height, width = self.input_shape
        return channels, height, width


@dataclass(frozen=True)
class ExternalConfig:
    """What is known of a model that was not built from a `ModelConfig`.

    Args:
        model: its name in the manifest.
        arch: name of its class.
        classes: names of the labels, for a model with a classifier; else empty.
    """

    model: str
    arch: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Widths:
    """Default sizes of a model in one architecture; see `ModelConfig`.

    Args:
        hidden: widths of the hidden layers.
        latent_size: length of `z`; 0 if the network has no latent.
        crop: height and width of the crops that a network for images of any size is trained on;
            None for a network for images of one size.
        colour: `hidden` for images of several channels; None for the same.
    """

    hidden: tuple[int, ...]
    latent_size: int = 0
    crop: int | None = None
    colour: tuple[int, ...] | None = None


Builder = Callable[[ModelConfig], Model]


@dataclass(frozen=True)
class _Entry:
    builder: Builder
    widths: Mapping[str, Widths]
    parts: Sequence[str]
    classifies: bool
    conditional: bool
    tables: Mapping[str, Widths]
    fewer: Mapping[str, Sequence[str]]


_MODELS: dict[str, _Entry] = {}


def register(
    name: str,
    widths: Mapping[str, Widths],
    *,
    parts: Sequence[str],
    classifies: bool = False,
    conditional: bool = False,
    tables: Mapping[str, Widths] | None = None,
    fewer: Mapping[str, Sequence[str]] | None = None,
) -> Callable[[Builder], Builder]:
    """Decorate a function that builds a model from a `ModelConfig`.

    Write the arguments as literals: `aeonnx.catalog` reads them from the source without torch.

    Args:
        name: value of `--model`.
        widths: default sizes for each architecture that the model has, the default architecture
            first.
        parts: names of the model's parts.
        classifies: the model is trained with labels and needs `ModelConfig.classes`.
        conditional: the model can be trained with labels, and then its parts take them.
        tables: default sizes for each architecture that the model has for rows of a table and
            windows of a time series, the default first; None for a model of images alone.
        fewer: names of the parts of each architecture that has only some of them.
    """

    def add(builder: Builder) -> Builder:
        of_rows, some = tables or {}, fewer or {}
        _MODELS[name] = _Entry(builder, widths, parts, classifies, conditional, of_rows, some)
        known = catalog.KnownModel(
            name, tuple(widths), tuple(parts), classifies, conditional, tuple(of_rows), some
        )
        catalog.add_model(known)
        return builder

    return add


def names() -> list[str]:
    """The registered models, sorted."""
    return sorted(_MODELS)


def _entry(model: str) -> _Entry:
    if model not in _MODELS:
        raise UnknownNameError("model", model, _MODELS)
    return _MODELS[model]


def configure(
    model: str,
    arch: str,
    input_shape: tuple[int, ...],
    *,
    hidden: tuple[int, ...] | None = None,
    latent_size: int | None = None,
    classes: tuple[str, ...] = (),
    conditional: bool = False,
    columns: Columns | None = None,
) -> ModelConfig:
    """Make the configuration of a model; sizes that are None take the model's defaults.

    Args:
        model: registered name.
        arch: one of the model's architectures.
        input_shape: [C, H, W] of an image; with columns, [D] or [D, W].
        hidden: see `ModelConfig`; None for the model's default, in which "mlp" layers narrower
            than `latent_size` are widened to it, and "conv" has more layers for large images.
        latent_size: None for the model's default; of rows, at most half of their numbers.
        classes: names of the labels; ignored for a model that neither classifies nor is to be
            conditional.
        conditional: whether the parts take labels; only of a model that can be.
        columns: what the numbers of a row are; None for images.

    Raises:
        UnknownNameError: the model, or its architecture, does not exist.
        UsageError: a size is not above 0, or the architecture has no latent and one is given.
    """
    entry = _entry(model)
    widths = _widths(model, arch, tables=columns is not None)
    usual = widths.latent_size
    if columns is not None:
        usual = min(usual, max(1, prod(input_shape) // 2))
    if latent_size is not None and not widths.latent_size:
        raise UsageError(f"{model} with --arch {arch} has no latent: leave --latent out")
    if hidden is None:
        several = columns is None and input_shape[0] > 1
        hidden = (widths.colour if several else None) or widths.hidden
        if arch == "mlp":  # the widths of others are channels
            hidden = tuple(max(width, latent_size or 0) for width in hidden)
        elif arch == "conv" and columns is None:
            hidden = _deep(hidden, min(input_shape[1:]))
    try:
        return ModelConfig(
            model,
            arch,
            input_shape,
            hidden,
            usual if latent_size is None else latent_size,
            classes if entry.classifies or (conditional and entry.conditional) else (),
            columns,
        )
    except ValueError as error:
        raise UsageError(f"sizes of {model}: {error}") from None


def _deep(hidden: tuple[int, ...], side: int) -> tuple[int, ...]:
    """Channels of as many layers as it takes to halve a side to `_PLACES` or less.

    Without, the layer between the last channels and the latent of a photograph has a hundred
    million weights.
    """
    while side > _PLACES << len(hidden):
        hidden = (*hidden, hidden[-1])
    return hidden


def crop_of(model: str, arch: str) -> int | None:
    """Size of the crops that an architecture for images of any size is trained on; else None.

    Raises:
        UnknownNameError: the model, or its architecture, does not exist.
    """
    return None if arch in _entry(model).tables else _widths(model, arch).crop


def _widths(model: str, arch: str, *, tables: bool = False) -> Widths:
    entry = _entry(model)
    known, other = entry.widths, entry.tables
    if tables:
        known, other = other, known
    if arch in known:
        return known[arch]
    if arch in other:
        data = "rows of a table" if tables else "images"
        raise UsageError(f"--arch {arch} is not for {data}: expected {' or '.join(known)}")
    raise UnknownNameError(f"architecture of {model}", arch, known)


def archs(model: str, *, one_size: bool = False, tables: bool = False) -> list[str]:
    """Names of a model's architectures, the default first.

    Args:
        model: registered name.
        one_size: only those for images of one size.
        tables: those for rows of a table instead of images; none if the model has none.

    Raises:
        UnknownNameError: there is no such model.
    """
    widths = _entry(model).tables if tables else _entry(model).widths
    return [arch for arch, found in widths.items() if not (one_size and found.crop)]


def classifies(model: str) -> bool:
    """Whether a model is trained with labels and has a classifier.

    Raises:
        UnknownNameError: there is no such model.
    """
    return _entry(model).classifies


def conditional(model: str) -> bool:
    """Whether a model can be trained with labels that its parts take.

    Raises:
        UnknownNameError: there is no such model.
    """
    return _entry(model).conditional


def build(config: ModelConfig) -> Model:
    """Build a model with newly initialised weights.

    Raises:
        UnknownNameError: there is no such model.
        TypeError: the model has other parts than those that were given to `register`.
    """
    entry = _entry(config.model)
    model = entry.builder(config)
    declared = entry.fewer.get(config.arch, entry.parts)
    if model.parts().keys() != set(declared):
        raise TypeError(
            f"{config.model} with --arch {config.arch} is registered with the parts "
            f"{', '.join(declared)}, but has {', '.join(model.parts())}: name these in "
            "register(..., parts=...), or in fewer= those of an architecture with only some"
        )
    return model
