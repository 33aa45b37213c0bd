"""Find the pictures that a model reconstructs badly, and where: those unlike its training's.

    python examples/find_defects.py dist/ae parts/

`parts/`: pictures of the size that the model was trained on. One is odd if its score, the mean
squared error of its reconstruction, is above the threshold p99, which 99 % of normal pictures that
the model never saw stay below.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import aeonnx


def main() -> None:
    """Print each odd picture, its score and the place of its largest error, the worst first."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("pictures", type=Path)
    arguments = parser.parse_args()

    bundle = aeonnx.load(arguments.bundle)
    channels = bundle.inputs("scorer")[0].shape[1]
    paths = sorted(arguments.pictures.glob("*.png"))
    pictures = [Image.open(path).convert("L" if channels == 1 else "RGB") for path in paths]
    found = bundle.score(pictures, threshold="p99")
    print(f"{found.odd.sum()} of {len(found)} are odd, above {found.threshold:.4g}")
    for i in np.argsort(-found.scores):
        if found.odd[i]:
            row, column = np.unravel_index(found.maps[i].argmax(), found.maps[i].shape)
            print(f"{paths[i].name}: {found.scores[i]:.4g}, most at row {row}, column {column}")


if __name__ == "__main__":
    main()
