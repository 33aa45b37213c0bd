"""Time an epoch of full MNIST: aeonnx against the textbook loop, in the same run.

    AEONNX_DATA=... .venv/bin/python benchmarks/train_speed.py [--device cuda] [--compile] [-o FILE]

Both train the same network with Adam at 1e-3, batches of 128 and the same number of epochs,
alternately, in one process with the same threads. The first epoch of each is warm-up; the figure is
the median of the others. Neither includes tests, file reading or start-up.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import textbook
import torch
from machine import describe

from aeonnx.training import TrainOptions, train

BATCH = 128
IMAGES = 60_000
PEAKS = {"H100": 66.9e12, "H200": 66.9e12}
"""Peak float32 operations per second outside of tensor cores, by the name of the GPU."""


@dataclass(frozen=True)
class Course:
    """Seconds and training loss of each epoch."""

    seconds: list[float]
    losses: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds[1:])


def ours(model: str, root: Path, epochs: int, device: str, compiled: bool) -> Course:
    """Train with aeonnx, without the average of weights, which the textbook loop lacks."""
    with tempfile.TemporaryDirectory() as folder:
        options = TrainOptions(
            model,
            Path(folder) / "run",
            data="mnist",
            data_dir=root,
            epochs=epochs,
            batch_size=BATCH,
            ema=0.0,
            device=device,
            compile=compiled,
            save_seconds=3600,
        )
        trained = train(options)
    return Course(
        [epoch.seconds for epoch in trained.epochs],
        [epoch.train["loss"] for epoch in trained.epochs],
    )


def theirs(model: str, root: Path, epochs: int, device: str, workers: int) -> Course:
    """Train with the textbook loop."""
    course = textbook.run(model, root, epochs, BATCH, 0, torch.device(device), workers)
    return Course([seconds for seconds, _ in course], [loss for _, loss in course])


def operations(model: str) -> int:
    """Floating-point operations of a training step per image: 2 per weight forward, 4 backward."""
    weights = [value for value in textbook.make(model).parameters() if value.ndim == 2]
    return 6 * sum(value.numel() for value in weights)


def table(device: str, rows: list[tuple[str, Course, Course]]) -> str:
    """The results as Markdown."""
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    lines = [
        f"{describe('torch', 'torchvision')}{', ' + name if name else ''}, "
        f"{torch.get_num_threads()} threads. Batches of {BATCH}, Adam 1e-3, medians of all epochs "
        "but the first.",
        "",
        "| model | textbook s/epoch | ours s/epoch | ratio | images/s | of peak | "
        "textbook loss | our loss |",
        "|---|---|---|---|---|---|---|---|",
    ]
    peak = next((value for key, value in PEAKS.items() if key in name), None)
    for model, book, own in rows:
        speed = IMAGES / own.median
        share = f"{100 * speed * operations(model) / peak:.2g} %" if peak else "-"
        lines.append(
            f"| {model} | {book.median:.2f} | {own.median:.2f} | {book.median / own.median:.1f}x | "
            f"{speed:,.0f} | {share} | {book.losses[-1]:.5g} | {own.losses[-1]:.5g} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, and write it to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--workers", type=int, default=0, help="of the textbook's DataLoader")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    root = Path(os.environ["AEONNX_DATA"])
    rows = []
    for model in ("ae", "vae"):
        book = theirs(model, root, given.epochs, given.device, given.workers)
        own = ours(model, root, given.epochs, given.device, given.compile)
        rows.append((model, book, own))
        print(model, book, own, flush=True)
    text = table(given.device, rows)
    print(text)
    if given.output:
        given.output.write_text(text)


if __name__ == "__main__":
    main()
