"""Fixtures: real models, trained for an epoch on real digits, and their bundles."""

from __future__ import annotations

import os

# Two workers with two threads each on two cores wait for each other: one thread each is faster.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import gc
import hashlib
import runpy
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from filelock import FileLock
from hypothesis import settings

from aeonnx._util import cache
from aeonnx._util.clients import clients_folder
from aeonnx.cli import cli
from aeonnx.errors import DeviceMemoryError
from aeonnx.exporting import ExportOptions, export
from aeonnx.runtime import Session
from aeonnx.tools.web import site
from aeonnx.training import TrainOptions, train
from aeonnx.training.report import plots
from tests.support import Shared, few_rows

EXAMPLES = Path(__file__).parents[1] / "examples"

SHORT: dict[tuple[str, str], dict[str, Any]] = {
    ("dae", "mlp"): {"hidden": (200,)},
    ("sae", "mlp"): {"recipe": {"pretrain_epochs": 1}},
    ("sae", "conv"): {"recipe": {"pretrain_epochs": 1}, "hidden": (4, 8)},
    ("sdae", "mlp"): {"recipe": {"pretrain_epochs": 1}, "hidden": (200,), "latent_size": 100},
}
"""What keeps training and export of a model short."""

Maker = Callable[..., Path]
DRAW = plots.draw

# Looking through the objects of torch and its like for garbage takes a sixth of an export.
gc.set_threshold(50_000, 10, 10)

# A machine that does other things too is no reason to fail.
settings.register_profile("aeonnx", deadline=None)
settings.load_profile("aeonnx")


def pytest_configure() -> None:
    """Give each worker its own core: waiting threads of onnxruntime would take the others' time."""
    name, count = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if name and count and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) >= int(count):
            os.sched_setaffinity(0, {cores[int(name.removeprefix("gw"))]})


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark cases of `shortened` tests as slow: all but some, from the first to the last."""
    cases: dict[tuple[Any, ...], list[pytest.Item]] = {}
    for item in items:
        for marker in item.iter_markers("shortened"):
            key = (item.nodeid.partition("[")[0], *marker.args)
            cases.setdefault(key, []).append(item)
    for (_, count), found in cases.items():
        kept = {round(place) for place in np.linspace(0, len(found) - 1, count)}
        for place, item in enumerate(found):
            if place not in kept:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is measured here is not kept for the user."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["AEONNX_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def signals() -> Iterator[None]:
    """Under nohup, or in the background of a script, programs that tests start ignored signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def undrawn() -> Iterator[None]:
    """Trainings draw no pictures at their end, which takes longer than a short training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "draw", lambda *_: ())
        yield


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of the test do draw them."""
    monkeypatch.setattr(plots, "draw", DRAW)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Shared:
    """Where workers find what another made, and wait for what it is making."""
    own = tmp_path_factory.getbasetemp()
    root = (own.parent if hasattr(request.config, "workerinput") else own) / "shared"
    root.mkdir(exist_ok=True)

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, whole = root / name, root / f"{name}.whole"
        with FileLock(root / f"{name}.lock"):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                fill(folder)
                whole.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def run_of(shared: Shared) -> Maker:
    """(model, arch, seed, epochs) -> a finished run without pictures; not to be changed."""

    def make(model: str = "vae", arch: str = "mlp", seed: int = 0, epochs: int = 1) -> Path:
        settings = {"arch": arch, "epochs": epochs, "seed": seed, **SHORT.get((model, arch), {})}
        return shared(
            f"run-{model}-{arch}-{seed}-{epochs}",
            lambda folder: train(TrainOptions(model, folder, device="cpu", **settings)),
        )

    return make


@pytest.fixture(scope="session")
def bundle_of(shared: Shared, run_of: Maker) -> Maker:
    """(model, arch) -> a bundle with all parts; not to be changed."""

    def make(model: str = "vae", arch: str = "mlp") -> Path:
        return shared(
            f"bundle-{model}-{arch}",
            lambda folder: export(ExportOptions(model, folder, run_of(model, arch))),
        )

    return make


@pytest.fixture(scope="session")
def variants(shared: Shared, run_of: Maker) -> Path:
    """A `vae` bundle of encoder and decoder in every variant; not to be changed."""
    parts, precisions = ("encoder", "decoder"), ("int8",)
    return shared(
        "variants",
        lambda folder: export(
            ExportOptions("vae", folder, run_of(), parts, precisions=precisions, io=("uint8",))
        ),
    )


@pytest.fixture(scope="session")
def denoiser(shared: Shared, run_of: Maker) -> Path:
    """A `dae` bundle of the denoiser, with images as floats and as pixels; not to be changed."""
    return shared(
        "denoiser",
        lambda folder: export(
            ExportOptions("dae", folder, run_of("dae"), ("denoiser",), io=("uint8",))
        ),
    )


@pytest.fixture(scope="session")
def conditional(shared: Shared) -> Path:
    """A `vae` that takes labels: the folders `run` and `bundle` of it; not to be changed."""

    def fill(folder: Path) -> None:
        options: dict[str, Any] = {"epochs": 5, "conditional": True, "device": "cpu", "seed": 0}
        train(TrainOptions("vae", folder / "run", **options))
        export(ExportOptions("vae", folder / "bundle", folder / "run"))

    return shared("conditional", fill)


@pytest.fixture(name="few_rows")
def _few_rows() -> Iterator[None]:
    """For `usefixtures`."""
    with few_rows():
        yield


@pytest.fixture
def scarce_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function after whose call no graph has memory for more than 100x100 values of `x`."""
    real = Session.values

    def scarce(self: Session, inputs: dict[str, np.ndarray], names: list[str]) -> list[np.ndarray]:
        if inputs["x"].size > 100 * 100:
            raise DeviceMemoryError("denoiser.onnx failed: Failed to allocate memory.")
        return real(self, inputs, names)

    return lambda: monkeypatch.setattr(Session, "values", scarce)


@pytest.fixture
def run_copy(run_of: Maker, tmp_path: Path) -> Path:
    """A `vae` run to change."""
    return shutil.copytree(run_of(), tmp_path / "run")


@pytest.fixture
def bundle_copy(bundle_of: Maker, tmp_path: Path) -> Path:
    """A `vae` bundle to change."""
    return shutil.copytree(bundle_of(), tmp_path / "bundle")


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache in which nothing is."""
    monkeypatch.setenv("AEONNX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def engine(no_cache: None) -> None:  # noqa: ARG001
    """A cache in which npm has been, with empty files."""
    wanted = (clients_folder() / "web/package.json").read_bytes()
    name = f"web-{hashlib.sha256(wanted).hexdigest()[:16]}"
    folder = cache.folder() / name / "node_modules/onnxruntime-web/dist"
    folder.mkdir(parents=True)
    for name in site._ENGINE:
        (folder / name).touch()


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


@pytest.fixture
def run_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run a program of examples/ in `tmp_path`, as its file does when started; what it prints.

    Not in a process of its own, which would first import torch.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        capsys.readouterr()
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run
