"""Makes the pictures of docs/tasks: `python docs/task_pictures.py`, on the digits that are shipped.

Trains, exports and runs as the pages say, in build/pictures, and writes docs/images/heatmap.png and
docs/images/labels.png.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aeonnx.training import load_data

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs/images"
WORK = ROOT / "build/pictures"
_SHOWN, _SPOT = 12, 5  # test digits, and pixels per side of a spot


def aeonnx(*words: str | Path) -> None:
    """Run a command of aeonnx."""
    subprocess.run([sys.executable, "-m", "aeonnx", *map(str, words)], check=True)


def bundle(name: str, *options: str) -> Path:
    """Train and export a model."""
    run, folder = WORK / "runs" / name, WORK / name
    aeonnx("train", "--seed", "0", "-o", run, *options)
    aeonnx("export", "-m", options[1], "--checkpoint", run, "-o", folder)
    return folder


def spotted(folder: Path) -> Path:
    """Test digits, every second of which has a bright spot."""
    test = load_data("mnist-sample", Path()).test.images
    chosen = torch.linspace(0, len(test) - 1, _SHOWN).long()
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number, digit in enumerate(test.read(chosen).numpy()[:, 0]):
        if number % 2:
            top, left = rng.integers(6, 22 - _SPOT, 2)
            digit[top : top + _SPOT, left : left + _SPOT] = 255
        Image.fromarray(digit).save(folder / f"{number:02}.png")
    return folder


def main() -> None:
    """Make both pictures anew."""
    shutil.rmtree(WORK, ignore_errors=True)
    digits = spotted(WORK / "new")
    vae = bundle("vae", "-m", "vae", "--conditional")
    grid = ("--labels", "0123456789", "-n", "16", "--seed", "7", "--force")
    aeonnx("generate", vae, *grid, "-o", IMAGES / "labels.png")
    ae = bundle("ae", "-m", "ae", "--arch", "conv", "--latent", "16", "--epochs", "10")
    aeonnx("score", ae, digits, "--sheet", IMAGES / "heatmap.png", "--force")


if __name__ == "__main__":
    main()
