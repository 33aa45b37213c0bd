"""Opens what `aeonnx encode` writes: one file of latents, several, or folders of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aeonnx.errors import ImageError
from aeonnx.io.rows import Rows, open_latents
from aeonnx.io.source import Source, joined, numbered
from aeonnx.io.stored import is_folder, named

__all__ = ["ARRAYS", "open_latent_files"]

ARRAYS = (".npy", ".npz")


def open_latent_files(
    paths: Sequence[Path | str], latents: Rows, others: Sequence[Rows] = ()
) -> Source:
    """Open latents or codes, see `open_latents`.

    Args:
        paths: of files; of folders, whose .npy and .npz files at any depth are read in the order of
            their names; "-" for one file on stdin.
        latents: see `open_latents`.
        others: see `open_latents`.

    Returns:
        The rows of one file, numbered; or of several files, named after them.

    Raises:
        ImageError: see `open_latents`; a folder holds no such file, or files differ in the further
            inputs that they have.
    """
    left_out: list[str] = []
    if len(paths) == 1 and not is_folder(paths[0]):
        return open_latents(paths[0], latents, others)
    files = [file for path in paths for file in _files_of(path, left_out, several=len(paths) > 1)]
    opened = [(file, open_latents(file.path, latents, others)) for file in files]
    whole, first = opened[0]
    for file, source in opened:
        if source.others.keys() != first.others.keys():
            raise ImageError(
                f"{file.name}: expected {_listed(first)}, as {whole.name} has, got "
                f"{_listed(source)}: decode them apart"
            )
    found = joined([_named_after(source, file) for file, source in opened])
    return replace(found, left_out=tuple(left_out))


@dataclass(frozen=True)
class _File:
    """A file, its name in messages, and the relative path that its result is named after."""

    path: Path | str
    name: str
    output: str


def _files_of(path: Path | str, left_out: list[str], *, several: bool) -> list[_File]:
    """The files of one argument; appends what was left out."""
    if not is_folder(path):
        return [_File(path, named(path), Path(named(path)).name)]
    folder = Path(path)
    inside = [(each, each.relative_to(folder)) for each in sorted(folder.rglob("*"))]
    shown = [
        (each, relative)
        for each, relative in inside
        if each.is_file() and not any(part.startswith(".") for part in relative.parts)
    ]
    found = [
        _File(each, f"{each}" if several else relative.as_posix(), relative.as_posix())
        for each, relative in shown
        if each.suffix.lower() in ARRAYS
    ]
    if not found:
        raise ImageError(f"{folder} holds no latents: expected files named *.npy or *.npz")
    if count := len(shown) - len(found):
        left_out.append(f"{folder}: left out {count} not named *.npy or *.npz")
    return found


def _named_after(source: Source, file: _File) -> Source:
    if len(source.names) > 1:
        return numbered(source, file.name)
    return replace(source, names=[file.name], outputs=[file.output])


def _listed(source: Source) -> str:
    return f"latents and {' and '.join(source.others)}" if source.others else "latents alone"
