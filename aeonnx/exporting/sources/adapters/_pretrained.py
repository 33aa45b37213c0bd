"""Read what `save_pretrained` of Hugging Face's libraries wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from aeonnx._util.text import printable
from aeonnx.errors import CheckpointError
from aeonnx.exporting.quiet import quiet

__all__ = ["pretrained"]

_SHOWN = 4


def pretrained(
    library: ModuleType, name: str, folder: Path, where: str, stem: str, **options: Any
) -> Any:
    """The model in a folder, read by `from_pretrained` without a word.

    Args:
        library: diffusers or transformers.
        name: of its class.
        folder: what `save_pretrained` wrote.
        where: what the user wrote, for messages.
        stem: what the names of files with weights begin with.
        options: of `from_pretrained`.

    Raises:
        CheckpointError: the library cannot read it, weights are missing or of other shapes, or it
            is not clear which ones are meant.
    """
    variant = _variant_of(folder, stem, where)
    try:
        with quiet():
            model, info = getattr(library, name).from_pretrained(
                folder,
                variant=variant,
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


def _variant_of(folder: Path, stem: str, where: str) -> str | None:
    """What `save_pretrained(variant=...)` put into the names of the files, such as "fp16".

    None if there are files without such a name, which hold the weights in full.
    """
    shard = r"(?:-\d+-of-\d+)?"
    named = re.compile(
        rf"{re.escape(stem)}{shard}(?:\.([^.]+?))?{shard}\.(?:safetensors|bin)", re.ASCII
    )
    matches = (named.fullmatch(path.name) for path in folder.iterdir())
    found = {match[1] for match in matches if match}
    if None in found or not found:
        return None
    if len(found) > 1:
        raise CheckpointError(
            f"{where}: expected the weights once, got those of {' and '.join(sorted(found))}: move "
            "the files of all but one elsewhere"
        )
    return str(found.pop())


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
