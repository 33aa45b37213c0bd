"""Read what `save_pretrained` of Hugging Face's libraries wrote."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from aeonnx._util.text import printable
from aeonnx.errors import CheckpointError
from aeonnx.exporting.quiet import quiet

__all__ = ["pretrained"]

_SHOWN = 4


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
        with quiet():
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
