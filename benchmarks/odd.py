"""Find odd images: false alarms of the thresholds, and AUROC beside classical detectors.

    .venv/bin/pip install pyod
    .venv/bin/python benchmarks/odd.py thresholds            # every model, fresh normal images
    .venv/bin/python benchmarks/odd.py one-class painted     # seeds 0 to 2
    .venv/bin/python benchmarks/odd.py tables

Blocks, the first three of full MNIST in `AEONNX_DATA`:

- thresholds: each model is trained on the training images; the thresholds come from 1,000 test
  images, and the false alarms are those of the other 9,000.
- one-class: trained on one digit, the test images of all others are odd; the mean of ten.
- painted: trained on all digits; odd are test digits with a bright or dark spot of 5x5 pixels.
- tables: two sets that scikit-learn ships, of which one class is odd: malignant tumours in breast
  cancer, and each kind of wine in turn. Trained on half of the normal rows, a random one per seed;
  the other half and all odd rows are tested. Ours by each measure of `--score`.

The others get the same images as vectors, and the same rows, standardised as ours are: PCA error
with as many components as our latent has, IsolationForest, a one-class SVM, LOF, and ECOD of pyod.
The SVM and LOF learn from 3,000 images. Each has its own default options, and so has ours.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from machine import describe
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

import aeonnx
from aeonnx import checkpoint
from aeonnx.training import load_data

Array = npt.NDArray[np.float32]
Detector = Callable[[Array, Array, int, int], Array]
"""(training images [n, 784], images [m, 784], latent size, seed) -> scores [m], higher is odder."""

DATA = Path(os.environ.get("AEONNX_DATA", "../shared/data"))
RESULT = Path("benchmarks/results/odd.md")
MODELS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("ae", "mlp", {}),
    ("ae", "conv", {}),
    ("sae", "mlp", {}),
    ("dae", "mlp", {}),
    ("sdae", "mlp", {}),
    ("vae", "mlp", {}),
    ("vae", "mlp", {"conditional": True}),
)
MEASURES = ("error", "mahalanobis", "combined")
BLOCKS = ("thresholds", "one-class", "painted", "tables")
FEW = 3000  # images that the slow detectors learn from
SPOT = 5  # pixels per side


@dataclass(frozen=True)
class Digits:
    """uint8 images [n, 1, 28, 28] and their labels."""

    x: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    @property
    def vectors(self) -> Array:
        return (self.x.reshape(len(self.x), -1) / 255).astype(np.float32)


def digits() -> tuple[Digits, Digits]:
    """Training and test images of full MNIST."""
    import torch

    data = load_data("mnist", DATA)
    parts = []
    for part in (data.train, data.test):
        assert part.labels is not None
        images = part.images.read(torch.arange(len(part.images))).numpy()
        parts.append(Digits(images, part.labels.numpy()))
    return parts[0], parts[1]


def _pca(train: Array, x: Array, latent: int, seed: int) -> Array:
    model = PCA(latent, random_state=seed).fit(train)
    return np.square(model.inverse_transform(model.transform(x)) - x).mean(1)


def _forest(train: Array, x: Array, _: int, seed: int) -> Array:
    return -IsolationForest(random_state=seed).fit(train).score_samples(x)


def _svm(train: Array, x: Array, _: int, seed: int) -> Array:
    return -OneClassSVM(nu=0.05).fit(_few(train, seed)).score_samples(x)


def _lof(train: Array, x: Array, _: int, seed: int) -> Array:
    return -LocalOutlierFactor(novelty=True).fit(_few(train, seed)).score_samples(x)


def _ecod(train: Array, x: Array, _: int, __: int) -> Array:
    from pyod.models.ecod import ECOD

    return ECOD().fit(train).decision_function(x)


def _few(train: Array, seed: int) -> Array:
    return train[np.random.default_rng(seed).permutation(len(train))[:FEW]]


DETECTORS: dict[str, Detector] = {
    "PCA error": _pca,
    "IsolationForest": _forest,
    "one-class SVM": _svm,
    "LOF": _lof,
    "ECOD": _ecod,
}


def ours(
    train: Digits, x: npt.NDArray[np.uint8], seed: int, epochs: int, latent: int
) -> dict[str, Array]:
    """Scores of an `ae` with convolutions by each measure, trained and exported as commands do."""
    with tempfile.TemporaryDirectory() as folder:
        run, bundle = Path(folder) / "run", Path(folder) / "bundle"
        np.save(Path(folder) / "x.npy", train.x)
        aeonnx.train(
            "ae",
            run,
            arch="conv",
            data=Path(folder) / "x.npy",
            latent_size=latent,
            epochs=epochs,
            seed=seed,
        )
        return scores_of(run, bundle, x)


def scores_of(run: Path, bundle: Path, x: npt.NDArray[Any]) -> dict[str, Array]:
    """Scores by each measure, the default first."""
    found = {}
    for measure in MEASURES:
        aeonnx.export("ae", bundle, checkpoint=run, parts="scorer", score=measure, force=True)
        found[f"aeonnx ae, {measure}"] = aeonnx.load(bundle, ["cpu"]).score(x).scores
    return found


def painted(test: Digits, seed: int) -> npt.NDArray[np.uint8]:
    """Test images with a spot where the image has the other brightness."""
    rng = np.random.default_rng(seed)
    found = test.x.copy()
    for image in found[:, 0]:
        top, left = rng.integers(2, 26 - SPOT, 2)
        place = image[top : top + SPOT, left : left + SPOT]
        place[...] = 255 if place.mean() < 128 else 0
    return found


def tables() -> list[tuple[str, list[tuple[Array, npt.NDArray[np.bool_]]]]]:
    """Blocks of tables: their rows [n, columns], and which of them are odd, once per odd class."""
    cancer, wine = load_breast_cancer(), load_wine()
    return [
        ("breast cancer", [(cancer.data.astype(np.float32), cancer.target == 0)]),
        ("wine", [(wine.data.astype(np.float32), wine.target == kind) for kind in range(3)]),
    ]


def half(
    x: Array, odd: npt.NDArray[np.bool_], seed: int
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Normal rows to train on; the other rows, and which of them are odd."""
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~odd))
    train, rest = normal[: len(normal) // 2], normal[len(normal) // 2 :]
    tested = np.concatenate([rest, np.flatnonzero(odd)])
    return x[train], x[tested], odd[tested]


def of_table(train: Array, x: Array, seed: int) -> tuple[dict[str, Array], int]:
    """Scores of an `ae` with default options by each measure, and the length of its latent."""
    with tempfile.TemporaryDirectory() as folder:
        run, bundle = Path(folder) / "run", Path(folder) / "bundle"
        np.save(Path(folder) / "x.npy", train)
        aeonnx.train("ae", run, data=Path(folder) / "x.npy", seed=seed)
        found = scores_of(run, bundle, x)
        return found, checkpoint.load(run, "ae").model.parts()["decoder"].inputs[0].shape[1]


def of_tables(seeds: Sequence[int]) -> list[str]:
    """A table per data set."""
    lines = []
    for name, cases in tables():
        scores: dict[str, list[float]] = {}
        for seed in seeds:
            each: dict[str, list[float]] = {}
            for x, odd in cases:
                train, tested, truth = half(x, odd, seed)
                found, latent = of_table(train, tested, seed)
                scaler = StandardScaler().fit(train)
                vectors = scaler.transform(train), scaler.transform(tested)
                for detector, run in DETECTORS.items():
                    found[detector] = run(*vectors, latent, seed)
                for detector, values in found.items():
                    each.setdefault(detector, []).append(float(roc_auc_score(truth, values)))
            add(name, seed, each, scores)
        lines += table(name, scores)
    return lines


def block(
    name: str, cases: Sequence[tuple[Digits, npt.NDArray[np.uint8], npt.NDArray[np.bool_]]],
    seeds: Sequence[int], epochs: int, latent: int,
) -> list[str]:  # fmt: skip
    """A table of one block: mean AUROC over its cases, and its spread over the seeds."""
    scores: dict[str, list[float]] = {}
    for seed in seeds:
        each: dict[str, list[float]] = {}
        for train, x, odd in cases:
            found = ours(train, x, seed, epochs, latent)
            vectors = Digits(x, train.labels).vectors
            for detector, run in DETECTORS.items():
                found[detector] = run(train.vectors, vectors, latent, seed)
            for detector, values in found.items():
                each.setdefault(detector, []).append(float(roc_auc_score(odd, values)))
        add(name, seed, each, scores)
    return table(name, scores)


def add(name: str, seed: int, each: dict[str, list[float]], scores: dict[str, list[float]]) -> None:
    """Add the mean AUROC of one seed, by detector."""
    for detector, values in each.items():
        scores.setdefault(detector, []).append(statistics.mean(values))
        print(name, seed, detector, f"{scores[detector][-1]:.4f}", flush=True)


def table(name: str, scores: dict[str, list[float]]) -> list[str]:
    """A line per detector."""
    lines = [
        f"## {name}",
        "",
        "| detector | AUROC | lowest and highest of the seeds |",
        "|---|---|---|",
    ]
    lines += [
        f"| {detector} | {statistics.mean(values):.4f} | {min(values):.4f} to {max(values):.4f} |"
        for detector, values in scores.items()
    ]
    return [*lines, ""]


def thresholds(epochs: int) -> list[str]:
    """A table of the false alarms on fresh normal images, for each model."""
    lines = [
        "## thresholds", "",
        "| model | images | p95: false alarms (bounds) | p99: false alarms (bounds) |",
        "|---|---|---|---|",
    ]  # fmt: skip
    _, test = digits()
    for model, arch, options in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            run, bundle = Path(folder) / "run", Path(folder) / "bundle"
            aeonnx.train(
                model, run, arch=arch, data="mnist", data_dir=DATA, epochs=epochs, **options
            )
            # The reconstructor predicts labels.
            parts = ("scorer", "reconstructor") if options else ("scorer",)
            aeonnx.export(model, bundle, checkpoint=run, parts=parts)
            loaded = aeonnx.load(bundle, ["cpu"])
            normal = loaded.variant("scorer").normal["error"]
            used = np.linspace(0, len(test.x) - 1, normal.rows).astype(int)
            fresh = np.delete(np.arange(len(test.x)), used)
            labels = {"label": loaded.predict_labels(test.x[fresh])} if options else {}
            cells = []
            for name, (low, high) in normal.false_alarms.items():
                rate = loaded.score(test.x[fresh], threshold=name, **labels).odd.mean()
                inside = "" if low <= rate <= high else ", outside"
                cells.append(f"{rate:.2%} ({low:.2%} to {high:.2%}{inside})")
            title = " ".join((model, arch, *options))
            lines.append(f"| {title} | {normal.rows:,} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("blocks", nargs="+", choices=BLOCKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--latent", type=int, default=16)
    parser.add_argument("-o", type=Path, default=RESULT)
    given = parser.parse_args()
    if "thresholds" in given.blocks:
        keep(given.o, thresholds(given.epochs), given.epochs)
    if {"one-class", "painted"} & {*given.blocks}:
        train, test = digits()
        how = (given.seeds, given.epochs, given.latent)
        if "painted" in given.blocks:
            x = np.concatenate([test.x, painted(test, 0)])
            odd = np.repeat([False, True], len(test.x))
            keep(given.o, block("painted defects", [(train, x, odd)], *how), given.epochs)
        if "one-class" in given.blocks:
            cases = [
                (Digits(train.x[train.labels == digit], train.labels[train.labels == digit]),
                 test.x, test.labels != digit)
                for digit in range(10)
            ]  # fmt: skip
            keep(given.o, block("one class against the rest", cases, *how), given.epochs)
    if "tables" in given.blocks:
        keep(given.o, of_tables(given.seeds), None)


def keep(file: Path, lines: Sequence[str], epochs: int | None) -> None:
    """Write the sections of a block to the file, which keeps those of the others."""
    pieces = file.read_text().split("\n## ")[1:] if file.exists() else []
    sections = {piece.split("\n")[0]: piece for piece in pieces}
    how = f"{describe()}. {f'{epochs} epochs' if epochs else 'Default options'}.\n"
    for piece in "\n".join(lines).removeprefix("## ").split("\n## "):
        name, _, rest = piece.partition("\n")
        sections[name] = f"{name}\n\n{how}{rest.rstrip()}\n"
    file.write_text("\n## ".join(["# Odd images\n", *sections.values()]))


if __name__ == "__main__":
    main()
