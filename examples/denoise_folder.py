"""Denoise all pictures of a folder with a bundle that has a denoiser; needs no torch.

aeonnx train --model dae && aeonnx export --model dae --part denoiser
python examples/denoise_folder.py dist/dae noisy/ clean/
"""

from __future__ import annotations

import argparse
from pathlib import Path

import aeonnx
from aeonnx.runtime.file_ops import run_on_files


def main() -> None:
    """Write a picture of the same name for each: read, computed and written batch by batch."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("noisy", type=Path, help="folder of pictures")
    parser.add_argument("clean", type=Path, help="folder for the results")
    arguments = parser.parse_args()

    bundle = aeonnx.load(arguments.bundle)
    written = run_on_files(bundle, "denoise", [arguments.noisy], arguments.clean)
    print(f"{written.shape[0]} pictures in {arguments.clean}")


if __name__ == "__main__":
    main()
