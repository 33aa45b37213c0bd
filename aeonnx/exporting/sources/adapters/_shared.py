"""What the adapters of libraries share: folders, libraries, and parts of spatial autoencoders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from aeonnx._util.text import printable
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
    "pretrained",
    "spatial",
    "with_parts",
]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SHOWN = 4
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


def pretrained(library: ModuleType, name: str, folder: Path, where: str, **options: Any) -> Any:
    """The model in a folder, read by `from_pretrained` without a word.

    Args:
        library: diffusers or transformers.
        name: of its class.
        folder: what `save_pretrained` wrote.
        where: what the user wrote, for messages.
        options: of `from_pretrained`.

    Raises:
        CheckpointError: the library cannot read it, or weights are missing or of other shapes.
    """
    try:
        with _quiet(library):
            model, info = getattr(library, name).from_pretrained(
                folder,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused below, by their names
                **options,
            )
    except Exception as error:  # of the library, and of those that it uses
        raise CheckpointError(
            f"{where}: {library.__name__} cannot read it: {_reasons(error)}. Save the model again "
            "with save_pretrained, or download it again"
        ) from error
    _refuse_names("its files lack weights of the model", info["missing_keys"], where)
    unlike = [
        f"{key} ({[*stored]} for {[*expected]})"
        for key, stored, expected in info["mismatched_keys"]
    ]
    _refuse_names("weights have other shapes than config.json says", unlike, where)
    return model


@contextmanager
def _quiet(library: ModuleType) -> Iterator[None]:
    """Keep a library of Hugging Face from writing to the terminal."""
    logging = import_module(f"{library.__name__}.utils.logging")
    before, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if had_bars:
            logging.enable_progress_bar()


def _reasons(error: BaseException) -> str:
    """What a library says, and what it had caught itself."""
    first = error
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    told = dict.fromkeys(_on_one_line(item) for item in (first, error))
    return "; ".join(told)


def _on_one_line(error: BaseException) -> str:
    text = " ".join(printable(str(error), keep="\n").split()).rstrip(".")
    return f"{type(error).__name__}: {text}"


def _refuse_names(problem: str, names: Iterable[str], where: str) -> None:
    """Raise `CheckpointError` if there are names of weights with a problem."""
    names = sorted(names)
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise CheckpointError(
            f"{where}: {problem}: {', '.join(names[:_SHOWN])}{more}. Save the whole model again"
        )


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
