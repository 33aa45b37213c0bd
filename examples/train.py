"""Train a variational autoencoder on handwritten digits, and export it.

python examples/train.py [--epochs 20] [FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import aeonnx


def main() -> None:
    """Write FOLDER/run, the checkpoint with its pictures, and FOLDER/bundle, the graphs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("example-vae"))
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()

    run = arguments.folder / "run"
    trained = aeonnx.train("vae", run, epochs=arguments.epochs)
    print({name: round(value, 3) for name, value in trained.epochs[-1].test.items()})

    exported = aeonnx.export("vae", arguments.folder / "bundle", checkpoint=run)
    for part in exported.parts:
        print(f"{part}: {exported.manifest.parts[part]['fp32'].file}")


if __name__ == "__main__":
    main()
