"""Where signals and their latents go: a file, or a folder of files."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from aeonnx._util import files
from aeonnx.bundle import TensorSpec
from aeonnx.errors import UsageError
from aeonnx.io.wav import Wav
from aeonnx.runtime.signals import Write, npy_writer, wav_writer
from aeonnx.runtime.streaming import long_axis

__all__ = ["is_folder", "require_suffix", "signal_writer"]

_LOG = logging.getLogger(__name__)

_BITS = 16  # of a .wav file whose source has none


def is_folder(target: Path | str) -> bool:
    """Whether results go into a folder: it exists, or the name ends in / or has no suffix."""
    name = os.fspath(target)
    if name == "-":
        raise UsageError("-o -: signals are written to files: give a name, such as -o x.npy")
    return name.endswith(("/", os.sep)) or os.path.isdir(name) or not Path(name).suffix


def require_suffix(target: Path | str, made: TensorSpec) -> None:
    """Check the name of a file for an output.

    Raises:
        UsageError: it has another suffix than such files have.
    """
    path = Path(target)
    suffixes = (".npy", ".wav") if made.kind == "signal" else (".npy", ".npz")
    if path.suffix.lower() not in suffixes:
        what = "a signal" if made.kind == "signal" else f"{made.name}, of the kind {made.kind},"
        raise UsageError(
            f"{path}: {what} is written to a name that ends in {' or '.join(suffixes)}"
        )


@contextmanager
def signal_writer(
    target: Path, shape: tuple[int, ...], made: TensorSpec, wave: Wav | None
) -> Iterator[Write]:
    """Writes the result to a file, which gets its name when it is complete."""
    with files.new_file(target) as stream:
        if not stream.seekable():
            raise UsageError(f"{target}: signals are written to regular files, in pieces")
        if target.suffix.lower() == ".wav":
            rate = made.rate or (wave.rate if wave else None)
            if rate is None:
                raise UsageError(
                    f"{target}: the rate of {made.name} is unknown: expected a name that ends in "
                    ".npy"
                )
            if shape[0] != 1 or len(shape) != 3:
                raise UsageError(
                    f"{target}: a .wav file holds one signal, not {list(shape)}: expected a name "
                    "that ends in .npy"
                )
            bits = wave.bits if wave else _BITS
            with wav_writer(stream, shape, rate, bits, partial(_warn, target)) as write:
                yield write
        else:
            with npy_writer(stream, shape, long_axis(made), made.dtype) as write:
                yield write


def _warn(target: Path, clipped: int) -> None:
    if clipped:
        _LOG.warning("%s: %s samples beyond [-1, 1] were clipped", target, f"{clipped:,}")
