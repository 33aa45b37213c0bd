"""Bundles of every kind, in folders of their names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import aeonnx
from tests.support import Shared
from tests.tables.conftest import rows_bundle, rows_run

__all__ = ["rows_bundle", "rows_run"]

Maker = Callable[..., Path]

KINDS = (
    *("vae", "variants", "sdae", "conditional", "fixed", "rows"),
    *("any_size", "signal", "several", "codec"),
    # Its sizes are those of `any_size`, and its training and export take the longest.
    pytest.param("unet", marks=pytest.mark.slow),
)
"""Own models; the second line has models from elsewhere, others of which are for one test each."""

_MODULES = {
    **dict.fromkeys(("any_size", "signal"), "clients.proof.external"),
    **dict.fromkeys(("several", "codec", "echo", "named"), "tests.deploy.networks"),
}


@pytest.fixture(scope="session")
def deployable(
    shared: Shared, run_of: Maker, bundle_of: Maker, conditional: Path, rows_bundle: Path
) -> Callable[[str], Path]:
    """(kind) -> a bundle, one of `KINDS`; not to be changed."""
    ready: dict[str, Callable[[], Path]] = {
        "vae": lambda: bundle_of("vae"),
        "sdae": lambda: bundle_of("sdae"),
        "conditional": lambda: conditional / "bundle",
        "rows": lambda: rows_bundle,
    }

    def make(kind: str) -> Path:
        def fill(folder: Path) -> None:
            folder.mkdir()
            if kind in _MODULES:
                source = f"module:{_MODULES[kind]}:{kind}"
                aeonnx.export(kind, folder / kind, from_source=source)
            elif kind in ready:
                shutil.copytree(ready[kind](), folder / kind)
            else:
                _OWN[kind](folder, run_of)

        return shared(f"deploy-{kind}", fill) / kind

    return make


def _export(model: str, output: Path, run: Path, **options: Any) -> None:
    aeonnx.export(model, output, checkpoint=run, **options)


def _variants(folder: Path, run_of: Maker) -> None:
    options = {"parts": ("encoder", "decoder"), "precisions": ("fp16", "int8"), "io": ("uint8",)}
    _export("vae", folder / "variants", run_of(), **options)


def _fixed(folder: Path, run_of: Maker) -> None:
    parts = ("encoder", "decoder", "sampler")
    _export("vae", folder / "fixed", run_of(), parts=parts, static_batch=4)


def _unet(folder: Path, _: Maker) -> None:
    random = np.random.default_rng(0)
    for part, count in (("train", 4), ("test", 1)):
        (folder / part).mkdir()
        for number in range(count):
            picture = random.integers(0, 255, (128, 128, 3), np.uint8)
            Image.fromarray(picture).save(folder / part / f"{number}.png")
    options = {"hidden": (4,), "epochs": 1, "batch_size": 8, "device": "cpu"}
    aeonnx.train("dae", folder / "run", arch="unet", data=folder, **options)
    _export("dae", folder / "unet", folder / "run", io=("uint8",))


_OWN = {
    "variants": _variants,
    "fixed": _fixed,
    "unet": _unet,
}


@pytest.fixture
def copy(deployable: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """(kind, name) -> a copy of a bundle to change."""

    def make(kind: str = "vae", name: str = "vae") -> Path:
        return Path(shutil.copytree(deployable(kind), tmp_path / name))

    return make


def edited(bundle: Path, change: Callable[[Any], None]) -> None:
    """Change the manifest of a bundle."""
    path = bundle / "manifest.json"
    contents = json.loads(path.read_text())
    change(contents["parts"])
    path.write_text(json.dumps(contents))


def names_in(repository: str) -> list[str]:
    return sorted(path.name for path in Path(repository).iterdir())
