"""Fixtures: real models, trained for an epoch on real digits, and their bundles."""

from __future__ import annotations

import os

# Two workers with two threads each on two cores wait for each other: one thread each is faster.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aeonnx.cli import cli
from aeonnx.export import ExportOptions, export
from aeonnx.train import TrainOptions, train

MODELS = ("ae", "dae", "vae")
ARCHS = ("mlp", "conv")
WHOLE = {"ae": "reconstructor", "dae": "denoiser", "vae": "reconstructor"}
"""Name of the part that goes from image to image."""

Maker = Callable[..., Path]


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """(model, arch, seed) -> the folder of a finished run; not to be changed."""

    @cache
    def make(model: str = "vae", arch: str = "mlp", seed: int = 0) -> Path:
        folder = tmp_path_factory.mktemp(f"{model}-{arch}-{seed}") / "run"
        train(TrainOptions(model, folder, arch=arch, epochs=1, seed=seed, device="cpu"))
        return folder

    return make


@pytest.fixture(scope="session")
def bundle_of(tmp_path_factory: pytest.TempPathFactory, run_of: Maker) -> Maker:
    """(model, arch) -> a bundle with all parts; not to be changed."""

    @cache
    def make(model: str = "vae", arch: str = "mlp") -> Path:
        folder = tmp_path_factory.mktemp(f"{model}-{arch}") / "bundle"
        export(ExportOptions(model, folder, run_of(model, arch)))
        return folder

    return make


@pytest.fixture
def run_copy(run_of: Maker, tmp_path: Path) -> Path:
    """A `vae` run to change."""
    return shutil.copytree(run_of(), tmp_path / "run")


@pytest.fixture
def bundle_copy(bundle_of: Maker, tmp_path: Path) -> Path:
    """A `vae` bundle to change."""
    return shutil.copytree(bundle_of(), tmp_path / "bundle")


@pytest.fixture
def aeonnx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Run the command line in `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
