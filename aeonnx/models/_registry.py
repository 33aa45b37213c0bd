"""Models by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aeonnx.errors import UnknownNameError
from aeonnx.models._model import Model
from aeonnx.records import require

__all__ = ["ModelConfig", "Widths", "archs", "build", "configure", "names", "register"]


@dataclass(frozen=True)
class ModelConfig:
    """All that is needed to build a model.

    Args:
        model: registered name.
        arch: "mlp" or "conv".
        input_shape: [C, H, W] of an image.
        hidden: widths of the encoder's hidden layers, from the image inwards: units for "mlp",
            channels for "conv". The decoder mirrors them.
        latent_size: length of `z`.
    """

    model: str
    arch: str
    input_shape: tuple[int, int, int]
    hidden: tuple[int, ...]
    latent_size: int

    def __post_init__(self) -> None:
        sizes = (*self.input_shape, *self.hidden, self.latent_size)
        require(all(size > 0 for size in sizes), f"expected sizes above 0, got {sizes}")


@dataclass(frozen=True)
class Widths:
    """Default sizes of a model in one architecture; see `ModelConfig`."""

    hidden: tuple[int, ...]
    latent_size: int


Builder = Callable[[ModelConfig], Model]
_MODELS: dict[str, tuple[Builder, Mapping[str, Widths]]] = {}


def register(name: str, widths: Mapping[str, Widths]) -> Callable[[Builder], Builder]:
    """Decorate a function that builds a model from a `ModelConfig`.

    Args:
        name: what `--model` takes.
        widths: default sizes by architecture; these are the architectures that the model has.
    """

    def add(builder: Builder) -> Builder:
        _MODELS[name] = (builder, widths)
        return builder

    return add


def names() -> list[str]:
    """The registered models, sorted."""
    return sorted(_MODELS)


def _entry(model: str) -> tuple[Builder, Mapping[str, Widths]]:
    if model not in _MODELS:
        raise UnknownNameError("model", model, _MODELS)
    return _MODELS[model]


def configure(model: str, arch: str, input_shape: tuple[int, int, int]) -> ModelConfig:
    """The default configuration of a model.

    Raises:
        UnknownNameError: there is no such model, or it has no such architecture.
    """
    _, widths = _entry(model)
    if arch not in widths:
        raise UnknownNameError(f"architecture of {model}", arch, widths)
    return ModelConfig(model, arch, input_shape, widths[arch].hidden, widths[arch].latent_size)


def archs(model: str) -> list[str]:
    """The architectures that a model has, the default first.

    Raises:
        UnknownNameError: there is no such model.
    """
    return list(_entry(model)[1])


def build(config: ModelConfig) -> Model:
    """A model with fresh weights.

    Raises:
        UnknownNameError: there is no such model.
    """
    builder, _ = _entry(config.model)
    return builder(config)
