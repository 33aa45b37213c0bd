"""Train a conditional VAE on handwritten digits and generate sevens alone.

    python examples/only_sevens.py --epochs 20 sevens.png

Encoder and decoder are told the label of an image, so that a class can be asked for.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import aeonnx


def main() -> None:
    """Train, export, and write a row of eight sevens."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()

    aeonnx.train("vae", "sevens/run", conditional=True, epochs=arguments.epochs, force=True)
    aeonnx.export("vae", "sevens/bundle", checkpoint="sevens/run", force=True)
    bundle = aeonnx.load("sevens/bundle")
    seven = bundle.manifest.classes.index("7")
    images = bundle.generate(8, seed=7, label=seven, pixels=True)  # uint8 [8, 1, 28, 28]
    Image.fromarray(np.concatenate(images[:, 0], axis=1)).save(arguments.output)


if __name__ == "__main__":
    main()
