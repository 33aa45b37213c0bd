"""Every client reads a picture as Python does, or refuses it in the same words."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clients.proof import same
from clients.proof.program import Program
from tests import pictures
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
