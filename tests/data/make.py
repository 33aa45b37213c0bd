"""Write tests/data/vae, the bundle that tests read as one from an earlier release.

    python tests/data/make.py

Make it again only when the format's version changes: the tests compare with its exact numbers.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from aeonnx.exporting import ExportOptions, export
from aeonnx.training import TrainOptions, load_data, train

FOLDER = Path(__file__).parent / "vae"
PARTS = ("encoder", "decoder", "scorer", "sampler")


def digits() -> dict[str, np.ndarray]:
    """The sample digits at 8x8 pixels: means of 3x3 pixels without the border."""
    full, arrays = load_data("mnist-sample", Path()), {}
    for name, subset in (("train", full.train), ("test", full.test)):
        images = subset.images.read(range(len(subset.images)))[:, 0].numpy()
        blocks = images[:, 2:26, 2:26].reshape(-1, 8, 3, 8, 3)
        arrays[f"x_{name}"] = blocks.mean((2, 4)).round().astype(np.uint8)
    return arrays


def main() -> None:
    """Train for some seconds, and export."""
    with tempfile.TemporaryDirectory() as name:
        data, run = Path(name) / "digits.npz", Path(name) / "run"
        np.savez(data, **digits())
        options = TrainOptions(
            "vae", run, data=str(data), hidden=(16,), latent_size=2, epochs=20, device="cpu"
        )
        train(options)
        shutil.rmtree(FOLDER, ignore_errors=True)
        export(ExportOptions("vae", FOLDER, run, PARTS))


if __name__ == "__main__":
    main()
