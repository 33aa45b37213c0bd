"""Train and measure the models on full MNIST, beside published and classical results.

    AEONNX_DATA=... .venv/bin/python benchmarks/quality.py [ROW ...] [--device cuda]

Each row trains with `aeonnx.training` (resuming an interrupted run), measures on the 10,000 test
images, and is stored in results/quality.json, from which docs/quality.md is written. Seeds are 0.
The row `classical` is PCA and the filters, see classical.py; `generated` is about the images that
the models generate, see generated.py.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from likelihood import binarized, importance_weighted_nll
from machine import describe

from aeonnx import checkpoint
from aeonnx.training import Trained, TrainOptions, load_data, train
from aeonnx.training.engine.loader import pixels

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "benchmarks/results/quality.json"
SPEED = ROOT / "benchmarks/results/train_speed.md"
PAGE = ROOT / "docs/quality.md"
IMAGES = ROOT / "docs/images"
PICTURES = {
    "samples": ("vae-best", "new digits, drawn by `vae-best`"),
    "denoised": ("dae", "noisy, denoised and clean test digits of `dae`"),
    "interpolation": ("vae", "from digit to digit through the latents of `vae`"),
}
WORK = ROOT / "build/quality"
HEAD = """# Quality and speed on full MNIST

What the built-in models reach on full MNIST and how fast they train, for those who compare them
with published results or choose settings.

Made by `benchmarks/quality.py`: 60,000 training images, 10,000 test images, seed 0, trained with
`aeonnx train`'s own engine. `must` is the value that each row has to reach, `aim` a desired value;
epochs are the sum over all stages; seconds are those of training, pauses included, on a machine
with other load.

How well photographs are denoised: [denoise.md](tasks/denoise.md#how-good-it-is). How many odd
images and rows are found: [find-defects.md](tasks/find-defects.md#how-much-it-finds).
"""
SPEED_HEAD = """Made by `benchmarks/train_speed.py`. "Textbook" is a plain loop of torch,
`benchmarks/textbook.py`; "of peak" is the share of a GPU's highest speed, where that is known."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        model: name of the model.
        what: description of the measure.
        metric: name of the test metric, or a function of the trained model.
        reference: results of others, in words.
        must, aim: required and desired value; `higher` says whether larger is better.
        settings: arguments of `TrainOptions`.
    """

    model: str
    what: str
    metric: str | Callable[[Trained, torch.device], float]
    reference: str
    must: float
    aim: float
    settings: dict[str, Any] = field(default_factory=dict)
    higher: bool = False


def nll(trained: Trained, device: torch.device) -> float:
    """Mean over the test images of the importance-weighted NLL with 5,000 samples, in nats."""
    model = checkpoint.load(trained.output, "vae").model.to(device)
    data = load_data("mnist", Path(os.environ["AEONNX_DATA"]))
    images = data.test.images.read(torch.arange(len(data.test.images)))
    x = binarized(pixels(images), seed=0).to(device)
    return float(importance_weighted_nll(model, x).double().mean())


ROWS = {
    "ae": Row(
        "ae",
        "latent 3, test MSE",
        "mse",
        "PCA-3 0.0516; a plain 20-epoch run 0.0314",
        0.030,
        0.026,
        {"hidden": (512, 256, 128), "epochs": 60},
    ),
    "sae": Row(
        "sae",
        "latent 32, test MSE",
        "mse",
        "PCA-32 0.0168; one plain 784-128-64-32, 25 epochs: 0.0061",
        0.0060,
        0.0045,
        {"epochs": 80, "schedule": "one-cycle", "recipe": {"pretrain_epochs": 10}},
    ),
    "dae": Row(
        "dae",
        "gaussian 0.5, mean test PSNR, dB",
        "psnr",
        "noisy 9.4, median 14.1; a plain small conv net, 5 epochs: 20.76",
        20.8,
        21.5,
        {"arch": "conv", "epochs": 20, "ema": 0.999},
        higher=True,
    ),
    "sdae": Row(
        "sdae",
        "test error",
        "error",
        "Vincent 2010, SDAE-3: 0.0128",
        0.0128,
        0.009,
        {"epochs": 60, "recipe": {"pretrain_epochs": 15}},
    ),
    "vae": Row(
        "vae",
        "784-400-20, test negative ELBO on [0, 1]",
        "negative_elbo",
        "a plain 30-epoch run: 101.1",
        101.0,
        99.0,
        {"epochs": 150},
    ),
    "vae-binary": Row(
        "vae",
        "784-400-20, test negative ELBO, binarised",
        "negative_elbo",
        "a plain 30-epoch run: 97.6",
        97.5,
        96.0,
        {"epochs": 150, "recipe": {"pixels": "binary"}},
    ),
    "vae-best": Row(
        "vae",
        "dynamically binarised, IWAE-5000 test NLL",
        nll,
        "Burda 2016, VAE k=1, one stochastic layer: 86.76",
        86.76,
        84.0,
        {
            "hidden": (512, 512),
            "latent_size": 40,
            "epochs": 300,
            "recipe": {"pixels": "binary", "kl_warmup": 0.1},
        },
    ),
}


def measure(name: str, device: str) -> dict[str, Any]:
    """Train a row, or resume its training, and measure."""
    row, output = ROWS[name], WORK / name
    options = TrainOptions(
        row.model,
        output,
        data="mnist",
        data_dir=Path(os.environ["AEONNX_DATA"]),
        device=device,
        resume=(output / "state").is_dir(),
        **row.settings,
    )
    trained = train(options, _Lines(name))
    began = time.perf_counter()
    value = (
        trained.training.metrics[row.metric]
        if isinstance(row.metric, str)
        else row.metric(trained, torch.device(device))
    )
    seconds = sum(epoch.seconds for epoch in trained.epochs)
    return {
        "value": value,
        "metrics": trained.training.metrics,
        "epochs": len(trained.epochs),
        "train_seconds": round(seconds, 1),
        "measure_seconds": round(time.perf_counter() - began, 1),
        "threads": torch.get_num_threads(),
        "machine": describe("torch") if device == "cpu" else torch.cuda.get_device_name(),
    }


class _Lines:
    """Progress for a log file."""

    def __init__(self, name: str) -> None:
        self.name = name

    def started(self, device: str, epochs: int, images: int, done: int, unit: str) -> None:
        print(f"{self.name}: {epochs} epochs of {images} {unit}s on {device}, {done} done")

    def advanced(self, images: int) -> None: ...

    def finished_epoch(self, epoch: Any) -> None:
        shown = {key: round(value, 5) for key, value in epoch.test.items()}
        print(f"{self.name} {epoch.stage} {epoch.epoch} {epoch.seconds:.1f}s {shown}", flush=True)

    def warned(self, text: str) -> None:
        print(f"{self.name}: {text}")


def classical_rows() -> dict[str, Any]:
    """PCA and the filters, on the same split."""
    from classical import measure as measure_classical

    root = Path(os.environ["AEONNX_DATA"])
    rows = measure_classical(root, sigma=0.5, seed=0, few=200, tune=20)
    machine = describe("numpy", "scipy", "scikit-image", "bm3d")
    return {"rows": [asdict(row) for row in rows], "machine": machine}


def generated_rows() -> dict[str, Any]:
    """Measures of generated images."""
    from generated import measure as measure_generated

    rows = []
    for row in measure_generated(WORK / "generated", Path(os.environ["AEONNX_DATA"])):
        print(row, flush=True)
        rows.append(asdict(row))
    return {"rows": rows, "machine": describe("torch")}


def page(results: dict[str, Any]) -> str:
    """The text of docs/quality.md: rows that were measured, and rows that were not."""
    missing = [name for name in (*ROWS, *OTHERS) if name not in results]
    parts = [HEAD, _table(results)]
    if missing:
        parts.append(f"Not measured yet: {', '.join(missing)}.\n")
    parts += [
        f"![{caption}](images/quality-{name}.png)\n\n{caption[0].upper()}{caption[1:]}.\n"
        for name, (row, caption) in PICTURES.items()
        if row in results
    ]
    if "generated" in results:
        parts.append(_generated_table(results["generated"]))
    if "classical" in results:
        parts.append(_classical_table(results["classical"]))
    if SPEED.exists():
        parts.append(f"## Speed\n\n{SPEED_HEAD} {SPEED.read_text()}")
    return "\n".join(parts)


def keep_pictures() -> None:
    """Copy the pictures of the rows, as far as they exist, to the folder that the page links to."""
    for name, (row, _) in PICTURES.items():
        drawn = WORK / row / f"{name}.png"
        if drawn.exists():
            shutil.copyfile(drawn, IMAGES / f"quality-{name}.png")


def _table(results: dict[str, Any]) -> str:
    lines = [
        "| row | what | reference | must | aim | reached | settings | epochs | seconds | on |",
        "|---" * 10 + "|",
    ]
    for name, row in ROWS.items():
        if name not in results:
            continue
        found = results[name]
        good = found["value"] >= row.must if row.higher else found["value"] <= row.must
        settings = {**row.settings, **row.settings.get("recipe", {})}
        told = ", ".join(f"{k} {v}" for k, v in settings.items() if k not in ("recipe", "epochs"))
        lines.append(
            f"| `{name}` | {row.what} | {row.reference} | {row.must:g} | {row.aim:g} | "
            f"**{found['value']:.5g}**{'' if good else ' (missed)'} | {told} | {found['epochs']} | "
            f"{found['train_seconds']:.0f} | {found['machine']}, {found['threads']} threads |"
        )
    return "\n".join(lines) + "\n"


def _generated_table(found: dict[str, Any]) -> str:
    text = (
        f"Made by `benchmarks/quality.py generated`; {found['machine']}. Models with default "
        "options; 10,000 generated digits beside the 10,000 test digits, in the features of an "
        "`sdae`: the Fréchet distance (lower is better; no FID, whose features are others), the "
        "share of generated digits that are among real ones (precision), and of real ones among "
        "generated ones (recall). Priors other than `standard` are fitted to the 512 training "
        "images that a checkpoint carries."
    )
    head = ("model", "`--prior`", "Fréchet distance", "precision", "recall")
    form = "{model} | {prior} | {frechet_distance:.1f} | {precision:.3f} | {recall:.3f}"
    return _section("Generated images", text, head, form, found["rows"])


def _classical_table(found: dict[str, Any]) -> str:
    text = (
        f"On the same split; {found['machine']}. PCA is fitted on the 60,000 training images. "
        "Filters see digits with gaussian noise of sigma 0.5, clipped to [0, 1]; settings are "
        "chosen on 20 training images, and slow ones are measured on the first 200 test images. "
        "Clipping makes the black background brighter, which filters cannot correct and the linear "
        "map learns."
    )
    head = ("what", "setting", "value", "test images", "s")
    form = "{what} | {setting} | {value:.4g} | {images} | {seconds:g}"
    return _section("Baselines without a neural network", text, head, form, found["rows"])


def _section(
    title: str, text: str, head: Sequence[str], form: str, rows: Sequence[dict[str, Any]]
) -> str:
    """A section with a table, whose rows have the given form."""
    lines = [f"## {title}", "", text, "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {form.format(**row)} |" for row in rows]
    return "\n".join(lines) + "\n"


OTHERS: dict[str, Callable[[], dict[str, Any]]] = {
    "generated": generated_rows,
    "classical": classical_rows,
}
"""Tables of their own."""


def main() -> None:
    """Measure the named rows, or all, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = [*ROWS, *OTHERS]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of: {', '.join(known)}")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    arguments = parser.parse_args()
    for name in [] if arguments.page else arguments.rows or known:
        found = OTHERS[name]() if name in OTHERS else measure(name, arguments.device)
        results = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        results[name] = found
        KEPT.write_text(json.dumps(results, indent=2) + "\n")
        print(name, found, flush=True)
    keep_pictures()
    PAGE.write_text(page(json.loads(KEPT.read_text())))


if __name__ == "__main__":
    main()
