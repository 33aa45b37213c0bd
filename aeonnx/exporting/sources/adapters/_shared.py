"""What the adapters of libraries share: folders, libraries, and parts of spatial autoencoders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from aeonnx.bundle import Axis, TensorSpec, nearest
from aeonnx.errors import CheckpointError, SetupError
from aeonnx.models import Part

__all__ = [
    "Clamped",
    "class_of",
    "config_of",
    "image_axes",
    "image_of",
    "image_sizes",
    "library",
    "spatial",
    "with_parts",
]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_LARGEST = 256  # height and width at which a part is traced and compared


def library(name: str, where: str) -> ModuleType:
    """Import a library, which is no dependency of aeonnx.

    Raises:
        SetupError: it is not installed; the message has the pip command.
    """
    if find_spec(name) is None:
        raise SetupError(f"{where} needs {name}, which is not installed: pip install {name}")
    return import_module(name)


def config_of(folder: Path, file: str, where: str, written_by: str) -> dict[str, Any]:
    """The JSON object in a file of a model's folder.

    Args:
        folder: the model's folder.
        file: name of the file.
        where: what the user wrote, for messages.
        written_by: the call that writes such a folder.

    Raises:
        CheckpointError: there is no such folder or file, or it is no JSON object.
    """
    path = folder / file
    if not folder.is_dir():
        what = "it is a file" if folder.exists() else "there is no such folder"
        raise CheckpointError(
            f"{where}: expected a folder that {written_by} wrote, {what}{_download(folder)}"
        )
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(
            f"{where}: expected a folder that {written_by} wrote, there is no {file} in it"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{where}: cannot read {file}: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(
            f"{where}: {file}: expected a JSON object, got a {type(found).__name__}"
        )
    return found


def class_of(name: object, known: Iterable[str], where: str) -> str:
    """The name of a class, if the adapter knows it.

    Raises:
        CheckpointError: it does not; the message lists those that it knows.
    """
    known = [*known]
    if not isinstance(name, str) or name not in known:
        raise CheckpointError(
            f"{where}: expected a model of one of the classes {', '.join(known)}, got "
            f"{name if isinstance(name, str) else 'none'}. For another class, write a function "
            "that returns the module with its parts, see docs/export.md, and pass --from module:..."
        )
    return name


def _download(folder: Path) -> str:
    """How to download a model, if the name of a folder that is missing may be its id on the hub."""
    if folder.exists() or not _HUB_ID.fullmatch(str(folder)):
        return ""
    return f". Download a model of the hub first: hf download {folder} --local-dir {folder.name}"


def with_parts(model: nn.Module, parts: Mapping[str, Part]) -> nn.Module:
    """The library's module, with a method that returns its parts."""
    vars(model)["parts"] = lambda: dict(parts)
    return model.eval()


def image_of(name: str, channels: int, description: str) -> TensorSpec:
    """The spec of images of any size in [-1, 1]."""
    shape = ("batch", channels, "height", "width")
    return TensorSpec(name, shape, range=(-1.0, 1.0), description=description, kind="image")


def spatial(
    name: str, channels: int, factor: int, description: str, kind: str = "latent"
) -> TensorSpec:
    """The spec of latents at the places of images: [batch, channels, height/factor, ...]."""
    return TensorSpec(
        name,
        ("batch", channels, *scaled_axes(factor)),
        description=description,
        kind=kind,
    )


def scaled_axes(factor: int) -> tuple[str, str]:
    """Height and width of images, divided by a factor."""
    return ("height", "width") if factor == 1 else (f"height/{factor}", f"width/{factor}")


def image_axes(factor: int) -> dict[str, Axis]:
    """Sizes that images may have: two places of the latent or more."""
    return {name: Axis(factor, min=2 * factor) for name in ("height", "width")}


def image_sizes(config: Any, axes: Mapping[str, Axis]) -> dict[str, int]:
    """The usual sizes of images: those that the model was made for, up to 256x256.

    Args:
        config: of a model; may have `sample_size`, a number or (height, width).
        axes: height and width.

    Returns:
        {} if the model does not say.
    """
    given = getattr(config, "sample_size", None)
    wanted: list[Any] = list(given) if isinstance(given, list | tuple) else [given, given]
    if not all(isinstance(size, int) and size > 0 for size in wanted) or len(wanted) != len(axes):
        return {}
    sizes = zip(axes.items(), wanted, strict=True)
    return {name: nearest(axis, min(size, _LARGEST)) for (name, axis), size in sizes}


class Clamped(nn.Module):
    """Decode and clip to [-1, 1], as a library's pipelines do before they show an image."""

    def __init__(self, *steps: nn.Module | None) -> None:
        super().__init__()
        self.steps = nn.Sequential(*(step for step in steps if step is not None))

    def forward(self, z: Tensor) -> Tensor:
        decoded: Tensor = self.steps(z)
        return decoded.clamp(-1, 1)
