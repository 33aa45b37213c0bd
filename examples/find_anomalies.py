"""Find the images that a model reconstructs badly: those unlike what it was trained on.

    python examples/find_anomalies.py example-vae/bundle images.npy

`images.npy`: float32 [n, C, H, W] in [0, 1], or uint8. The score of an image is the mean squared
error of its reconstruction. The threshold is the 99th percentile of the training images' scores,
which the manifest has: about 1 % of such images are above it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import aeonnx


def main() -> None:
    """Print index and score of each image above the threshold, the largest score first."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    arguments = parser.parse_args()

    bundle = aeonnx.load(arguments.bundle)
    scores = bundle.score(np.load(arguments.images))  # float32 [n]
    threshold = bundle.variant("scorer").percentiles["error"]["p99"]
    print(f"threshold: {threshold:.4f}")
    for i in np.argsort(-scores):
        if scores[i] > threshold:
            print(f"{i}: {scores[i]:.4f}")


if __name__ == "__main__":
    main()
