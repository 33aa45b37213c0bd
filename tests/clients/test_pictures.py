"""Every client reads a picture as Python does, or refuses it in the same words."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clients.proof import same
from clients.proof.program import Program, pixels_of
from tests import pictures
from tests.clients.damaged import with_manifest
from tests.support import Shared

pytestmark = pytest.mark.clients


@pytest.fixture(scope="session")
def bundles(shared: Shared) -> Path:
    """Bundles 1 to 4, whose denoisers give back pictures of so many channels."""
    return shared("same", same.make)


def test_pictures_are_read_by_the_one_table(
    program: Program, bundles: Path, tmp_path: Path
) -> None:
    corpus = pictures.make(tmp_path)
    everywhere = [picture for picture in corpus.values() if picture.everywhere]
    assert len(everywhere) > 60
    wrong = []
    for picture in everywhere:
        # One of the four numbers of channels each; benchmarks/pictures.py takes all.
        channels = 1 + zlib.crc32(picture.name.encode()) % 4
        if said := difference(program, bundles, tmp_path, picture, channels):
            wrong.append(said)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("taken", "given"),
    [
        ([0, 1], [0, 1]),
        ([-1, 1], [-1, 1]),
        ([-1, 1], [0, 2]),
        ([0.1, 0.7], [0.1, 1.3]),
        ([0.1, 0.7], [-0.1, 0.3]),
        ([0.001, 0.0011], [0.001, 0.0012]),
        ([0, 255], [0, 2]),
        ([0, 1], [0, 255]),
    ],
    ids=str,
)
def test_pixels_stand_for_the_range_of_the_manifest(
    program: Program, bundles: Path, tmp_path: Path, taken: list[float], given: list[float]
) -> None:
    """The denoiser clips to [0, 1]."""
    folder, pixels = tmp_path / "bundle", np.arange(28 * 28).reshape(28, 28).astype(np.uint8)
    shutil.copytree(bundles / "1", folder)
    with_manifest(folder, lambda document: _with_floats(document, taken, given))
    Image.fromarray(pixels).save(tmp_path / "in.png")
    done = program("denoise", folder, tmp_path / "in.png", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    x = np.float32(taken[0]) + pixels / np.float32(255) * _width(taken)
    y = (np.clip(x.clip(0, 1), *np.float32(given)) - np.float32(given[0])) / _width(given)
    assert x.dtype == y.dtype == np.float32
    np.testing.assert_array_equal(pixels_of(tmp_path / "out.png"), np.rint(y * np.float32(255)))


def _width(limits: list[float]) -> np.float32:
    low, high = np.float32(limits)
    return np.float32(high - low)


def _with_floats(document: dict[str, Any], taken: list[float], given: list[float]) -> None:
    denoiser = document["parts"]["denoiser"]
    del denoiser["fp32-uint8"]
    denoiser["fp32"]["inputs"][0]["range"] = taken
    denoiser["fp32"]["outputs"][0]["range"] = given


def difference(
    program: Program, bundles: Path, folder: Path, picture: pictures.Picture, channels: int
) -> str | None:
    """What a client makes of a picture otherwise than it should; None for nothing."""
    what = f"{picture.name}, {channels} channels"
    target = folder / "out.png"
    target.unlink(missing_ok=True)
    done = program("denoise", bundles / str(channels), folder / picture.name, target)
    expected = picture.wanted[channels]
    if isinstance(expected, str):
        line = done.stderr.splitlines()
        good = done.returncode == 1 and len(line) == 1 and expected in done.stderr
        return None if good and not target.exists() else f"{what}: {done.stderr or 'accepted'}"
    if done.returncode:
        return f"{what}: {done.stderr}"
    with Image.open(target) as image:  # a writer may leave out an alpha that hides nothing
        found = np.asarray(image.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]))
    found = found[None] if found.ndim == 2 else found.transpose(2, 0, 1)
    off = int(np.abs(found.astype(int) - expected).max())
    return None if off <= picture.levels else f"{what}: {off} levels off"
