"""Reads and writes samples of .wav files in pieces: PCM of 8, 16, 24 or 32 bits.

The standard library's `wave` reads the structure of the file. The largest whole number stands for
1.0: sample = number / 2^(bits - 1).
"""

from __future__ import annotations

import os
import shlex
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from aeonnx._util import files
from aeonnx.errors import ImageError, UsageError

__all__ = ["MAGIC", "Wav", "WavWriter", "open_wav"]

Array = npt.NDArray[Any]

MAGIC = b"RIFF"
_LARGEST = 2**32 - 2**10
"""Bytes of samples that a file can state."""


@dataclass(frozen=True)
class Wav:
    """A file whose samples are read on demand; it must not change meanwhile.

    Args:
        path: of the file.
        channels: 1 for mono, 2 for stereo.
        length: samples of each channel.
        rate: samples per second.
        bits: of a sample.
    """

    path: Path
    channels: int
    length: int
    rate: int
    bits: int

    def read(self, first: int, last: int) -> npt.NDArray[np.float32]:
        """Samples from `first` to before `last`: float32 [channels, samples] in [-1, 1].

        Raises:
            ImageError: the file ends before them.
        """
        with _opened(self.path) as (_, reader):
            reader.setpos(first)
            data = reader.readframes(last - first)
        if len(data) != (last - first) * self.channels * self.bits // 8:
            raise _unreadable(self.path, "it ends before its last sample")
        return _samples(data, self.bits).reshape(-1, self.channels).T


def open_wav(path: Path) -> Wav:
    """Look at a .wav file.

    Raises:
        ImageError: it is missing, damaged, or has no PCM samples.
    """
    with _opened(path) as (stream, reader):
        found = Wav(
            path,
            reader.getnchannels(),
            reader.getnframes(),
            reader.getframerate(),
            8 * reader.getsampwidth(),
        )
        size = os.fstat(stream.fileno()).st_size
    if found.bits > 32:
        raise _unreadable(path, f"its samples have {found.bits} bits, more than 32")
    if found.length * found.channels * found.bits // 8 > size:
        raise _unreadable(path, "it ends before its last sample")
    if not found.rate:
        raise _unreadable(path, "its rate is 0 Hz")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, wave.Wave_read]]:
    """A file, and what reads its structure; errors become `ImageError`s."""
    try:
        with files.open_regular(path) as stream:
            yield stream, wave.open(stream, "rb")  # noqa: SIM115  # the file is closed as a stream
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist") from None
    except (wave.Error, EOFError, ValueError, RuntimeError) as error:  # all of them wave's
        text = str(error)
        if "unknown format" in text or "extended format" in text:
            text = (
                "its samples are no whole numbers (PCM): convert it first, such as with: "
                f"ffmpeg -i {shlex.quote(str(path))} -c:a pcm_s24le converted.wav"
            )
        raise _unreadable(path, text or "its structure is damaged") from error
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error


def _unreadable(path: Path, reason: str) -> ImageError:
    return ImageError(f"{path} is not a readable .wav file: {reason}")


def _samples(data: bytes, bits: int) -> npt.NDArray[np.float32]:
    if bits == 8:  # the only unsigned one
        numbers = np.frombuffer(data, np.uint8).astype(np.int32) - 128
    elif bits == 24:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        numbers = wide.view("<i4")[:, 0] >> 8
    else:
        numbers = np.frombuffer(data, f"<i{bits // 8}")
    return (numbers / np.float64(2 ** (bits - 1))).astype(np.float32)


class WavWriter:
    """Writes samples one piece after the other.

    Args:
        stream: of a file that can be sought in.
        channels, length, rate, bits: see `Wav`.

    Raises:
        UsageError: there are more samples than a file can hold.
    """

    def __init__(self, stream: BinaryIO, channels: int, length: int, rate: int, bits: int) -> None:
        self._bits = bits
        if length * channels * bits // 8 > _LARGEST:
            raise UsageError(
                f"a .wav file holds at most 4 GiB, not {length * channels * bits // 8:,} bytes: "
                "expected a name that ends in .npy"
            )
        self._file = wave.open(stream, "wb")  # noqa: SIM115  # see `close`
        self._file.setparams((channels, bits // 8, rate, length, "NONE", "not compressed"))

    def write(self, values: Array) -> int:
        """Write the next samples, float [channels, samples]; those beyond [-1, 1] are clipped.

        Returns:
            How many were clipped.
        """
        scale = 2 ** (self._bits - 1)
        whole = np.rint(values.T.astype(np.float64) * scale)
        numbers = np.clip(whole, -scale, scale - 1)
        # 1.0 itself has no number and becomes the one below.
        clipped = int(((whole < -scale) | (whole > scale)).sum())
        if self._bits == 24:
            data = numbers.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
        elif self._bits == 8:
            data = (numbers + 128).astype(np.uint8).tobytes()
        else:
            data = numbers.astype(f"<i{self._bits // 8}").tobytes()
        self._file.writeframesraw(data)
        return clipped

    def close(self) -> None:
        """Finish the file, and leave the stream open."""
        self._file.close()
