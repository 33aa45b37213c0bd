"""Scenarios of `kills.py`: commands that replace files, and checks of what a reader finds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aeonnx import checkpoint
from aeonnx._util import files
from aeonnx.bundle import manifest
from aeonnx.cli import cli
from aeonnx.errors import AeonnxError
from aeonnx.exporting import ExportOptions, export
from aeonnx.training import TrainOptions, train

__all__ = ["SCENARIOS", "Scenario", "prepare"]


@dataclass(frozen=True)
class Scenario:
    """A command that replaces existing files.

    Args:
        before: (base, folder) creates the files that exist before the command.
        command: (base, folder) runs the command and returns its exit code.
        look: (folder) -> "old", "new", or a description of the error.
    """

    before: Callable[[Path, Path], object]
    command: Callable[[Path, Path], int]
    look: Callable[[Path], str]


def prepare(base: Path) -> None:
    """Create the runs and bundles that scenarios start from."""
    torch.set_num_threads(1)  # a forked child has no other threads
    base.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (150, 28, 28), np.uint8)
    np.save(base / "few.npy", images)
    for seed in (0, 1):
        run = base / f"run{seed}"
        train(TrainOptions("vae", run, epochs=1, seed=seed, device="cpu", hidden=(32,)))
        for name, parts in (("bundle", ("encoder", "decoder")), ("one", ("encoder",))):
            export(ExportOptions("vae", base / f"{name}{seed}", run, parts))


def run(*words: object) -> int:
    """Run the command line; returns the exit code."""
    try:
        cli([str(word) for word in words], standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


_KNOWN: dict[str, str] = {}
"""The state before and after the running command."""


def _look_at_bundle(folder: Path) -> str:
    """Whether a bundle is complete, and from which checkpoint it was exported."""
    where = folder / "bundle"
    if not (where / manifest.FILE_NAME).exists() and _KNOWN["old"] == "absent":
        return "old"
    try:
        contents = manifest.read(where)
        for file, known in manifest.contents(contents).items():
            files.read_verified(where / file, *known)
    except AeonnxError as error:
        return str(error)
    found = f"{contents.checkpoint_id} {' '.join(sorted(contents.parts))}"
    return next((state for state, known in _KNOWN.items() if known == found), f"neither: {found}")


def _id(base: Path, name: str) -> str:
    contents = manifest.read(base / name)
    return f"{contents.checkpoint_id} {' '.join(sorted(contents.parts))}"


def _replaced(base: Path, folder: Path) -> None:
    shutil.copytree(base / "bundle0", folder / "bundle")
    _KNOWN.update(old=_id(base, "bundle0"), new=_id(base, "one1"))


def _added(base: Path, folder: Path) -> None:
    shutil.copytree(base / "one0", folder / "bundle")
    _KNOWN.update(old=_id(base, "one0"), new=_id(base, "bundle0"))


def _first(base: Path, folder: Path) -> None:
    del folder
    _KNOWN.update(old="absent", new=_id(base, "one0"))


def _exports(seed: int, part: str, *more: str) -> Callable[[Path, Path], int]:
    def command(base: Path, folder: Path) -> int:
        where = ("--checkpoint", base / f"run{seed}", "-o", folder / "bundle")
        return run("export", "-m", "vae", "--part", part, *where, *more)

    return command


def _generates(name: str, *more: str) -> Callable[[Path, Path], int]:
    def command(base: Path, folder: Path) -> int:
        target = folder / name
        where = ("-o", target, "--provider", "cpu", "--threads", "1", *more)
        return run("generate", base / "bundle0", "-n", "40", "--seed", "2", *where)

    return command


def _sees(name: str, number: int, old: Any) -> Callable[[Path], str]:
    """Tell old (no file, or the bytes `old`) from new (that many pictures, or other bytes)."""

    def look(folder: Path) -> str:
        target = folder / name
        if target.is_dir():
            found = len(list(target.iterdir()))
            sizes = all(path.stat().st_size for path in target.iterdir())
            return "new" if found == number and sizes else f"{found} pictures"
        if not target.exists():
            return "old" if old is None else "lost"
        data = target.read_bytes()
        if data == old:
            return "old"
        return "new" if len(data) == number else f"{len(data)} bytes"

    return look


def _a_run(base: Path, folder: Path) -> None:
    shutil.copytree(base / "run0", folder / "run")
    _KNOWN.update(old=checkpoint.load(base / "run0", "vae").checkpoint_id)


def _no_run(base: Path, folder: Path) -> None:
    del base, folder
    _KNOWN.update(old="absent")


def _trains(base: Path, folder: Path) -> int:
    where = ("--data", base / "few.npy", "-o", folder / "run", "--force")
    settings = ("--hidden", "16", "--epochs", "1", "--device", "cpu")
    return run("train", "-m", "vae", *where, *settings, "--workers", "0", "--batch-size", "64")


def _look_at_run(folder: Path) -> str:
    """Whether a checkpoint loads, if there must be one."""
    try:
        found = checkpoint.load(folder / "run", "vae").checkpoint_id
    except AeonnxError as error:
        begun = not (folder / "run" / checkpoint.CONFIG).exists()
        return "old" if begun and _KNOWN["old"] == "absent" else str(error)
    return "old" if found == _KNOWN["old"] else "new"


def _nothing(base: Path, folder: Path) -> None:
    del base, folder


def _an_array(base: Path, folder: Path) -> None:
    del base
    (folder / "out.npy").write_bytes(b"old")


_NPY = 128 + 40 * 28 * 28

SCENARIOS = {
    "export --force over another bundle": Scenario(
        _replaced, _exports(1, "encoder", "--force"), _look_at_bundle
    ),
    "export into a bundle": Scenario(_added, _exports(0, "decoder"), _look_at_bundle),
    "export": Scenario(_first, _exports(0, "encoder"), _look_at_bundle),
    "train": Scenario(_no_run, _trains, _look_at_run),
    "train --force over a run": Scenario(_a_run, _trains, _look_at_run),
    "generate to a folder": Scenario(
        _nothing, _generates("out", "--force"), _sees("out", 40, None)
    ),
    "generate over an array": Scenario(
        _an_array, _generates("out.npy", "--pixels", "--force"), _sees("out.npy", _NPY, b"old")
    ),
}
