"""Train a variational autoencoder on handwritten digits, and export it.

python examples/train.py [--epochs 20] [FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aeonnx.exporting import ExportOptions, export
from aeonnx.training import TrainOptions, train


def main() -> None:
    """Write FOLDER/run, the checkpoint with its pictures, and FOLDER/bundle, the graphs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("example-vae"))
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()

    run = arguments.folder / "run"
    trained = train(TrainOptions("vae", run, epochs=arguments.epochs))
    print({name: round(value, 3) for name, value in trained.epochs[-1].test.items()})

    exported = export(ExportOptions("vae", arguments.folder / "bundle", run))
    for part in exported.parts:
        print(f"{part}: {exported.manifest.parts[part]['fp32'].file}")


if __name__ == "__main__":
    main()
