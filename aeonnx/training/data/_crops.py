"""Pictures of any size: random crops of them to train on, and whole ones to test on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aeonnx.errors import ImageError
from aeonnx.io.pictures import Treatment, load_picture, with_channels
from aeonnx.training.data._files import reading_again, require_same

__all__ = ["Crops", "Pictures", "Whole", "decode_colour", "with_colours"]

_ORIENTATIONS = 8  # turned by 0, 90, 180 or 270 degrees, mirrored or not


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one number of channels, each with a size of its own.

    Args:
        sources: files of each: of the picture, and of its noisy version if there is one.
        shapes: [C, H, W] of each.
        digests: SHA-256 of each one's pixels, to detect files that change.
        how: treatment of transparent pixels.
        pixels: of each, as `at` returns them; None to decode them on demand.
    """

    sources: tuple[tuple[Path, ...], ...]
    shapes: tuple[tuple[int, int, int], ...]
    digests: tuple[bytes, ...]
    how: Treatment
    pixels: tuple[npt.NDArray[Any], ...] | None

    def __len__(self) -> int:
        return len(self.sources)

    def at(self, place: int) -> npt.NDArray[Any]:
        """The picture at an index: uint8 [C, H, W], or with its noisy version [2C, H, W].

        Raises:
            DataError: its file is missing, unreadable, or changed since it was loaded.
        """
        if self.pixels is not None:
            return self.pixels[place]
        files = self.sources[place]
        with reading_again():
            found = decode_colour(files, self.how)
        require_same(files[0], found, self.digests[place])
        return with_colours(found, len(files), self.shapes[place][0])


@dataclass(frozen=True, eq=False)
class Crops:
    """Square crops of pictures at random places, each turned and mirrored at random.

    Crop number i is a function of i alone: any process draws the same one, and numbers of `len` and
    above are further crops, so that every epoch can have its own.

    Args:
        pictures: pictures, each at least as high and as wide as a crop.
        size: height and width of a crop.
        count: number of crops of one epoch.
        shuffled: whether to permute the colours of each crop at random, so that a network learns
            more of them than a few pictures have.
    """

    pictures: Pictures
    size: int
    count: int
    shuffled: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of a crop."""
        return self.pictures.shapes[0][0], self.size, self.size

    @property
    def nbytes(self) -> int:
        """Size of the crops of one epoch."""
        return self.count * prod(self.shape)

    @property
    def in_memory(self) -> bool:
        """False: crops are made on demand."""
        return False

    @property
    def digests(self) -> tuple[bytes, ...]:
        """SHA-256 of each picture."""
        return self.pictures.digests

    def __len__(self) -> int:
        return self.count

    def read(self, places: Tensor) -> Tensor:
        """The crops of the numbers `places`, each 0 or more: uint8 [n, C or 2C, size, size].

        Raises:
            DataError: see `Pictures.at`.
        """
        channels = len(self.pictures.sources[0]) * self.shape[0]
        found = np.empty((len(places), channels, self.size, self.size), np.uint8)
        areas = np.cumsum([height * width for _, height, width in self.pictures.shapes])
        for row, place in enumerate(places.tolist()):
            random = np.random.default_rng(place)
            of = int(np.searchsorted(areas, random.integers(areas[-1]), side="right"))
            _, height, width = self.pictures.shapes[of]
            top = int(random.integers(height - self.size + 1))
            left = int(random.integers(width - self.size + 1))
            crop = self.pictures.at(of)[:, top : top + self.size, left : left + self.size]
            turns, mirrored = divmod(int(random.integers(_ORIENTATIONS)), 2)
            crop = np.rot90(crop, turns, axes=(1, 2))
            crop = crop[:, :, ::-1] if mirrored else crop
            found[row] = crop[random.permutation(channels)] if self.shuffled else crop
        return torch.from_numpy(found)


@dataclass(frozen=True, eq=False)
class Whole:
    """Whole pictures, which are read one by one since their sizes differ."""

    pictures: Pictures

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of the first picture."""
        return self.pictures.shapes[0]

    @property
    def nbytes(self) -> int:
        """Size of all pictures when decoded."""
        return sum(map(prod, self.pictures.shapes))

    @property
    def in_memory(self) -> bool:
        """False: they are no tensor."""
        return False

    def __len__(self) -> int:
        return len(self.pictures)

    def read(self, places: Tensor) -> Tensor:
        """The picture at the only index in `places`: uint8 [1, C or 2C, H, W].

        Raises:
            DataError: see `Pictures.at`.
        """
        (place,) = places.tolist()
        return torch.from_numpy(self.pictures.at(place).copy())[None]


def decode_colour(files: Sequence[Path], how: Treatment) -> npt.NDArray[Any]:
    """Decode a picture, and its noisy version if there is one, without alpha channels.

    Args:
        files: one file, or two of pictures of one size.
        how: treatment of transparent pixels.

    Returns:
        uint8 [C, H, W] of one file, C is 1 for grey and 3 for RGB; [2C, H, W] of two, where C is 3
        if either has colours.

    Raises:
        ImageError: a file is missing or unreadable, it has transparent pixels and `how` has no
            background, or the sizes of two differ.
    """
    pictures = [load_picture(path) for path in files]
    sizes = [picture.colour.shape[:2] for picture in pictures]
    if sizes[0] != sizes[-1]:
        (height, width), (other_height, other_width) = sizes
        raise ImageError(
            f"{files[1]}: expected {width}x{height} pixels, the size of its clean version "
            f"{files[0]}, got {other_width}x{other_height}"
        )
    channels = 1 if all(picture.colour.ndim == 2 for picture in pictures) else 3
    return np.concatenate(
        [
            with_channels(picture, channels, how, f"{path}")
            for picture, path in zip(pictures, files, strict=True)
        ]
    )


def with_colours(pixels: npt.NDArray[Any], versions: int, channels: int) -> npt.NDArray[Any]:
    """Repeat grey pixels: [versions, H, W] -> [versions * channels, H, W]; leave RGB alone."""
    if len(pixels) == versions * channels:
        return pixels
    return np.repeat(pixels, channels, axis=0)
