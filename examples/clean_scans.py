"""Clean the scans or photographs of a folder with a bundle that has a denoiser; needs no torch.

aeonnx train --model dae --arch unet --data clean-pictures/ && aeonnx export --model dae
python examples/clean_scans.py dist/dae scans/ clean/ --strength 0.8

A picture comes out upright, with its size, its colours, its 8 or 16 bits and its transparency.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import aeonnx
from aeonnx.runtime.file_ops import run_on_files


def main() -> None:
    """Write clean/a.png for scans/a.jpg and so on, and a sheet of the first before and after."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("scans", type=Path, help="folder of pictures")
    parser.add_argument("clean", type=Path, help="folder for the results")
    parser.add_argument("--strength", type=float, default=1.0, help="0 leaves all as it is")
    arguments = parser.parse_args()

    bundle = aeonnx.load(arguments.bundle)
    written = run_on_files(
        bundle,
        "denoise",
        [arguments.scans],
        arguments.clean,
        strength=arguments.strength,
        compare=Path("before-after.png"),
    )
    print(f"{written.shape[0]} pictures in {arguments.clean}, compare in before-after.png")


if __name__ == "__main__":
    main()
