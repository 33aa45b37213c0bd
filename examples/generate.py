"""Draw images from a bundle with a sampler, such as the one of train.py; needs no torch.

python examples/generate.py example-vae/bundle grid.png [--seed 7]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import aeonnx
from aeonnx.io import images


def main() -> None:
    """Write a grid of 64 images. Image i of a seed is the same one in every language."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("grid", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()

    with aeonnx.load(arguments.bundle) as bundle:
        drawn = bundle.generate(64, seed=arguments.seed)  # float32 [64, C, H, W] in [0, 1]
    images.write_grid(arguments.grid, drawn)
    print(arguments.grid)


if __name__ == "__main__":
    main()
