"""Signals in files: read and written in pieces along one axis, whatever their length."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from aeonnx.bundle import TensorSpec
from aeonnx.errors import ImageError, UsageError
from aeonnx.io import npy, npz, wav
from aeonnx.io.rows import arrays_of, whole_numbers
from aeonnx.io.stored import Stored
from aeonnx.runtime.streaming import long_axis

__all__ = ["SignalFile", "Write", "npy_writer", "open_signal", "open_signals", "wav_writer"]

Array = npt.NDArray[Any]

Write = Callable[[int, int, Array], None]
"""Writes values [1, ...] of a row from a place of the long axis on."""


@dataclass(frozen=True)
class SignalFile:
    """Rows that are read in pieces.

    Args:
        where: name of the file.
        rows: their number.
        length: of the long axis.
        read: (row, first, last) -> the values of a row from `first` to before `last`, [1, ...].
        wav: the file, if it is a .wav.
    """

    where: str
    rows: int
    length: int
    read: Callable[[int, int, int], Array]
    wav: wav.Wav | None = None


def open_signal(path: Path, spec: TensorSpec) -> SignalFile:
    """Open a .wav file, or a .npy array, for an input.

    Args:
        path: of the file. An array is [n, channels, time], a single signal [channels, time] or,
            with one channel, [time]; latents and codes likewise.
        spec: the input, with one long axis; a .wav is a signal.

    Raises:
        ImageError: it is missing, neither of them, or has other channels or another rate.
    """
    return open_signals(path, spec)[spec.name]


def open_signals(
    path: Path, spec: TensorSpec, others: Sequence[TensorSpec] = ()
) -> dict[str, SignalFile]:
    """Open the file of an input, see `open_signal`, or a .npz with arrays of several inputs.

    Args:
        path: of the file.
        spec: the first input, see `open_signal`; in a .npz the array of its name, or see
            `names_of_latents`.
        others: further inputs, which are read from the arrays of their names in a .npz; those that
            it does not have are left out.

    Raises:
        ImageError: see `open_signal`; or arrays have different numbers of rows.
    """
    where, start = f"{path}", npy.start_of(path, len(npy.MAGIC))
    is_signal = spec.kind == "signal"
    kinds = "a .wav file, or a .npy or .npz array" if is_signal else "a .npy or .npz array"
    expected = f"expected {kinds} of {spec.name}, of the kind {spec.kind}"
    if not start:
        raise ImageError(f"{where} is empty: {expected}")
    if start.startswith(wav.MAGIC) and is_signal:
        return {spec.name: _of_wav(wav.open_wav(path), spec)}
    if not start.startswith((npy.MAGIC, *npz.MAGIC)):
        what = "is neither a .wav file nor an array" if is_signal else "is no array"
        raise ImageError(f"{where} {what}: {expected}")
    arrays = arrays_of(path, start, None, spec.name, [each.name for each in others])
    specs = {each.name: each for each in (spec, *others)}
    opened = {name: _of_array(array, specs[name]) for name, array in arrays.items()}
    rows = opened[spec.name].rows
    for name, one in opened.items():
        if one.rows != rows:
            raise ImageError(
                f"{one.where}: expected {rows} rows of {name}, as many as of {spec.name}, got "
                f"{one.rows}"
            )
    return opened


def _of_wav(file: wav.Wav, spec: TensorSpec) -> SignalFile:
    where, quoted = f"{file.path}", shlex.quote(f"{file.path}")
    if spec.rate is not None and file.rate != spec.rate:
        raise ImageError(
            f"{where}: expected {spec.rate:g} Hz, as {spec.name} has, got {file.rate} Hz: resample "
            f"it first, such as with: ffmpeg -i {quoted} -ar {spec.rate:g} resampled.wav"
        )
    if len(spec.shape) != 3 or long_axis(spec) != 2 or file.channels != spec.shape[1]:
        wanted = spec.shape[1]
        raise ImageError(
            f"{where}: expected {_channels(wanted)}, as {spec.name} has, got "
            f"{_channels(file.channels)}: mix them first, such as with: "
            f"ffmpeg -i {quoted} -ac {wanted} mixed.wav"
        )
    return SignalFile(
        where, 1, file.length, lambda _, first, last: file.read(first, last)[None], file
    )


def _channels(count: object) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def _of_array(array: Stored, spec: TensorSpec) -> SignalFile:
    where, found = array.where, array.shape
    row, place = spec.shape[1:], long_axis(spec)
    short = [row[1:]] if len(row) > 1 and row[0] == 1 and place is not None else []
    forms = [row, *short]
    shape = next((new for form in forms for new in _as_rows(found, form, row)), None)
    if shape is None:
        accepted = " or ".join(f"[n, {', '.join(map(str, form))}]" for form in forms)
        raise ImageError(f"{where}: expected {accepted}, or one without n, got {list(found)}")
    if not math.prod(shape):
        raise ImageError(f"{where} holds no values: give at least one")
    whole = array.values if array.file is None else array.file.mapped()
    mapped = np.asarray(whole).reshape(shape)
    ready = partial(whole_numbers, where, spec.dtype) if spec.dtype.startswith("int") else np.array

    def read(number: int, first: int, last: int) -> Array:
        cut = [slice(None)] * len(shape)
        cut[0] = slice(number, number + 1)
        if place is not None:
            cut[place] = slice(first, last)
        return ready(mapped[tuple(cut)])

    return SignalFile(where, shape[0], 1 if place is None else shape[place], read)


def _as_rows(
    found: Sequence[int], form: Sequence[int | str], row: Sequence[int | str]
) -> Iterator[tuple[int, ...]]:
    """The shape of rows that an array has in this form of a row, with or without their axis."""
    lost = (1,) * (len(row) - len(form))
    for rows, rest in (((1,), tuple(found)), (tuple(found[:1]), tuple(found[1:]))):
        fits = len(rest) == len(form) and all(
            isinstance(size, str) or size == given for size, given in zip(form, rest, strict=True)
        )
        if fits:
            yield (*rows, *lost, *rest)


@contextmanager
def npy_writer(
    stream: BinaryIO, shape: tuple[int, ...], place: int | None, dtype: str
) -> Iterator[Write]:
    """Writes an array in pieces along an axis to a stream that can be sought in.

    Args:
        stream: of a new file.
        shape: of the array, with the axis of rows.
        place: of the axis along which it is written; None if each row is written at once.
        dtype: of the array.
    """
    kind = np.dtype(dtype)
    head = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, head)
    begin = stream.tell()
    if place is None:
        shape, place = (shape[0], math.prod(shape[1:])), 1
    inner, outer = math.prod(shape[place + 1 :]) * kind.itemsize, math.prod(shape[1:place])

    def write(row: int, start: int, values: Array) -> None:
        lines = np.ascontiguousarray(values, kind).reshape(outer, -1)
        for number, line in enumerate(lines):
            stream.seek(begin + ((row * outer + number) * shape[place] + start) * inner)
            stream.write(line.data)

    yield write


@contextmanager
def wav_writer(
    stream: BinaryIO, shape: tuple[int, ...], rate: float, bits: int, clipped: Callable[[int], None]
) -> Iterator[Write]:
    """Writes a signal [1, channels, time] in pieces, in order, as a .wav file.

    Args:
        stream: of a new file that can be sought in.
        shape: of the signal.
        rate: in Hz, a whole number.
        bits: of a sample.
        clipped: is told the number of samples beyond [-1, 1], which were clipped.
    """
    if rate != int(rate):
        raise UsageError(
            f"a .wav file has a whole number of samples per second, not {rate:g}: expected a name "
            "that ends in .npy"
        )
    writer, many = wav.WavWriter(stream, shape[1], shape[2], int(rate), bits), 0

    def write(_: int, __: int, values: Array) -> None:
        nonlocal many
        many += writer.write(values[0])

    try:
        yield write
    finally:
        writer.close()
    clipped(many)
