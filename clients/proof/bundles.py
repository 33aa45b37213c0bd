"""Small bundles of every model, and what to feed them: trained for an epoch on real digits."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from aeonnx import checkpoint
from aeonnx.exporting import ExportOptions, export
from aeonnx.io.images import png
from aeonnx.io.pixels import to_pixels
from aeonnx.training import TrainOptions, train
from clients.proof import languages
from clients.proof.digests import digest
from clients.proof.external import FACTORIES

__all__ = ["BUNDLES", "kept", "make"]

_TOOLS = ("torch", "onnx", "onnxscript", "numpy", "mlxtend", "pillow")
_PIXELS = {"io": ("uint8",)}
BUNDLES: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ae": ({"hidden": (128,)}, {"prior": "fitted"}),
    "sae": ({"recipe": {"pretrain_epochs": 1}, "hidden": (128,), "latent_size": 64}, {}),
    "dae": ({"hidden": (256,)}, {"precisions": ("fp16", "int8"), **_PIXELS}),
    "sdae": ({"recipe": {"pretrain_epochs": 1}, "hidden": (200,), "latent_size": 100}, {}),
    "vae": ({"hidden": (128,)}, _PIXELS),
    "dae-conv": ({"arch": "conv", "hidden": (8, 16)}, {}),
    "vae-conv": ({"arch": "conv", "hidden": (8, 16)}, {"static_batch": 4}),
}
"""Options of training and of export by name, which starts with the model's; networks are narrow."""


def kept() -> Path:
    """The folder of all bundles: made once in build/, and again when what makes them has changed.

    Nothing in it is to be changed. See `make` for what is in it.
    """
    package = languages.ROOT / "aeonnx"
    rooms = [path for path in package.rglob("*") if _makes(path.relative_to(package))]
    tools = [f"{name} {metadata.version(name)}" for name in _TOOLS]
    here = Path(__file__)
    name = digest([here, here.with_name("external.py"), *rooms], *tools)[:16]
    home = languages.BUILT / "bundles"
    folder, part = home / name, home / "part"
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "lock"):
        if not folder.exists():
            for old in home.iterdir():
                shutil.rmtree(old, ignore_errors=True)  # the lock is a file, and stays
            make(part)
            part.rename(folder)
    return folder


def _makes(path: Path) -> bool:
    """Whether a file of the package has a part in what is exported: commands have none."""
    return path.suffix in (".py", ".json") and path.parts[0] not in ("cli", "tools")


def make(folder: Path) -> dict[str, Path]:
    """Train and export into `folder`: `<name>/` for each bundle, and `noisy.png`, a digit to clean.

    Bundles that are there already are taken as they are.

    Returns:
        Folders of the bundles by name.
    """
    made = {}
    for name, (learned, exported) in BUNDLES.items():
        made[name] = folder / name
        if made[name].exists():
            continue
        model, run = name.split("-")[0], folder / "runs" / name
        train(TrainOptions(model, run, epochs=1, device="cpu", force=True, **learned))
        export(ExportOptions(model, made[name], run, **exported))
    for name in FACTORIES:
        made[name] = folder / name
        if not made[name].exists():
            factory = f"module:clients.proof.external:{name}"
            export(ExportOptions(name, made[name], from_source=factory))
    if not (folder / "noisy.png").exists():
        (folder / "noisy.png").write_bytes(png(_noisy(folder / "runs" / "dae")))
    return made


def _noisy(run: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A test digit with salt and pepper."""
    examples = checkpoint.load(run, "dae").examples
    assert examples is not None, "a run keeps some"
    pixels = to_pixels(examples.test[:1].numpy())
    drawn = np.random.default_rng(0).random(pixels.shape)
    return np.where(drawn < 0.1, 0, np.where(drawn > 0.9, 255, pixels)).astype(np.uint8)
