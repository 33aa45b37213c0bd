"""How good generated digits are: Frechet distance, precision and recall, for each model and prior.

    AEONNX_DATA=... .venv/bin/python benchmarks/quality.py generated

Each model is trained with its default options on full MNIST, or on the same run again, and exported
with each prior that it can have. 10,000 images of seed 0 are compared with the 10,000 test images
in the features of an `sdae` with default options, see `aeonnx.training.fidelity`. Priors are fitted
to the 512 training images that a checkpoint carries, as an export does it by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import aeonnx
from aeonnx import checkpoint
from aeonnx.training import load_data
from aeonnx.training.fidelity import fidelity

__all__ = ["Row", "measure"]

IMAGES, AT_ONCE = 10_000, 500
MODELS = {
    "vae": ("vae", {}, ("standard", "fitted", "mixture")),
    "vae-conditional": ("vae", {"conditional": True}, ("standard",)),
    "ae": ("ae", {}, ("fitted", "mixture")),
    "dae": ("dae", {}, ("fitted", "mixture")),
}
"""By name: the model, its options, and the priors to export."""


@dataclass(frozen=True)
class Row:
    """One line of the table; see `Fidelity`."""

    model: str
    prior: str
    frechet_distance: float
    precision: float
    recall: float


def measure(work: Path, data: Path) -> Iterator[Row]:
    """Train what is missing in `work`, and measure; the first row is that of training images."""
    images = load_data("mnist", data)
    test, train = (
        (split.images.read(torch.arange(IMAGES)) / 255).float().numpy()
        for split in (images.test, images.train)
    )
    labels = images.test.labels
    assert labels is not None
    judge = checkpoint.load(_run(work, "judge", "sdae", data, {}), "sdae").model
    real = _features(judge, test)
    yield Row("training images", "", **asdict(fidelity(real, _features(judge, train))))
    for name, (model, options, priors) in MODELS.items():
        run = _run(work, name, model, data, options)
        for prior in priors:
            bundle = work / f"{name}-{prior}"
            parts = ["decoder", "sampler"]
            aeonnx.export(model, bundle, checkpoint=run, parts=parts, prior=prior, force=True)
            more: dict[str, Any] = {"label": labels.numpy()} if "conditional" in options else {}
            drawn = aeonnx.load(bundle, ["cpu"]).generate(IMAGES, seed=0, **more)
            yield Row(name, prior, **asdict(fidelity(real, _features(judge, drawn))))


def _run(work: Path, name: str, model: str, data: Path, options: dict[str, object]) -> Path:
    """The folder of a finished run; one that was stopped goes on."""
    folder = work / f"run-{name}"
    if (folder / "config.json").exists():
        aeonnx.train(output=folder, resume=True, data="mnist", data_dir=data)
    else:
        aeonnx.train(model, folder, data="mnist", data_dir=data, force=True, **options)  # type: ignore[arg-type]
    return folder


@torch.no_grad()
def _features(judge: torch.nn.Module, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    encoder = judge.parts()["encoder"].module  # type: ignore[operator]
    parts = torch.split(torch.from_numpy(images), AT_ONCE)
    return np.concatenate([encoder(part).numpy() for part in parts])
