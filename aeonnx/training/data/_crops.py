"""Pictures of any size: random crops of them to train on, and whole ones to test on."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aeonnx.io.pictures import Treatment, load_picture, with_channels
from aeonnx.training.data._files import reading_again, require_same

__all__ = ["Crops", "Pictures", "Whole", "decode_colour"]

_ORIENTATIONS = 8  # turned by 0, 90, 180 or 270 degrees, mirrored or not


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one number of channels, each with a size of its own.

    Args:
        paths: one per picture.
        shapes: [C, H, W] of each.
        digests: SHA-256 of each one's pixels, to detect files that change.
        how: treatment of transparent pixels.
        pixels: uint8 [C, H, W] of each; None to decode them on demand.
    """

    paths: tuple[Path, ...]
    shapes: tuple[tuple[int, int, int], ...]
    digests: tuple[bytes, ...]
    how: Treatment
    pixels: tuple[npt.NDArray[Any], ...] | None

    def __len__(self) -> int:
        return len(self.paths)

    def at(self, place: int) -> npt.NDArray[Any]:
        """The picture at an index: uint8 [C, H, W].

        Raises:
            DataError: its file is missing, unreadable, or changed since it was loaded.
        """
        if self.pixels is not None:
            return self.pixels[place]
        path = self.paths[place]
        with reading_again():
            found = decode_colour(path, self.how)
        require_same(path, found, self.digests[place])
        return np.broadcast_to(found, self.shapes[place])


@dataclass(frozen=True, eq=False)
class Crops:
    """Square crops of pictures at random places, each turned and mirrored at random.

    Crop number i is a function of i alone: any process draws the same one, and numbers of `len` and
    above are further crops, so that every epoch can have its own.

    Args:
        pictures: pictures, each at least as high and as wide as a crop.
        size: height and width of a crop.
        count: number of crops of one epoch.
    """

    pictures: Pictures
    size: int
    count: int

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
        """The crops of the numbers `places`, each 0 or more: uint8 [n, C, size, size].

        Raises:
            DataError: see `Pictures.at`.
        """
        found = np.empty((len(places), *self.shape), np.uint8)
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
            found[row] = crop[:, :, ::-1] if mirrored else crop
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
        """The picture at the only index in `places`: uint8 [1, C, H, W].

        Raises:
            DataError: see `Pictures.at`.
        """
        (place,) = places.tolist()
        return torch.from_numpy(self.pictures.at(place).copy())[None]


def decode_colour(path: Path, how: Treatment) -> npt.NDArray[Any]:
    """Decode a picture without its alpha channel: uint8 [1, H, W] of grey or [3, H, W] of RGB.

    Raises:
        ImageError: the file is missing or unreadable, or it has transparent pixels and `how` has no
            background.
    """
    picture = load_picture(path)
    return with_channels(picture, 1 if picture.colour.ndim == 2 else 3, how, f"{path}")
