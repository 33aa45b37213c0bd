"""Time an epoch of the U-Net on photographs in fp32 and in bf16, in the same run.

    AEONNX_DATA=... .venv/bin/python benchmarks/train_precision.py [--device cuda] [-o FILE]

Each precision trains the default network for colours on the same crops. The first epoch of each is
warm-up, and the figure is the median of the others. Processors without instructions for bf16
convert it, and are slower with it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

import torch
from machine import describe

from aeonnx.training import TrainOptions, train

PICTURES = 4
PRECISIONS = ("fp32", "bf16")


def seconds(photos: Path, run: Path, precision: str, epochs: int, device: str) -> float:
    """Seconds of an epoch of training."""
    options = TrainOptions(
        "dae",
        run,
        arch="unet",
        data=str(photos),
        epochs=epochs,
        precision=precision,
        device=device,
        save_seconds=3600,
    )
    return statistics.median(epoch.seconds for epoch in train(options).epochs[1:])


def main() -> None:
    """Print the table, and write it to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    files = sorted((Path(os.environ["AEONNX_DATA"]) / "photos" / "train").glob("*.png"))[:PICTURES]
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for file in files:
            shutil.copy(file, photos)
        found = {
            precision: seconds(
                photos, Path(folder) / precision, precision, given.epochs, given.device
            )
            for precision in PRECISIONS
        }
    cores = f"{torch.get_num_threads()} threads" if given.device == "cpu" else given.device
    lines = [
        f"{describe('torch')}, {cores}. `dae --arch unet` for colours; medians of all epochs but "
        "the first.",
        "",
        "| precision | s/epoch | speed |",
        "|---|---|---|",
        *(
            f"| {precision} | {taken:.2f} | {found['fp32'] / taken:.2f}x |"
            for precision, taken in found.items()
        ),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if given.output:
        given.output.write_text(text)


if __name__ == "__main__":
    main()
