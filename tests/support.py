"""What several test modules use."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aeonnx.bundle import manifest
from aeonnx.exporting.verify import effort
from aeonnx.training import Epoch

__all__ = [
    "Command",
    "Cut",
    "CutAfter",
    "Quiet",
    "Shared",
    "examples_file",
    "few_rows",
    "golden_file",
    "graph_file",
    "wait_for",
    "weights",
    "weights_file",
]

Command = Callable[..., "subprocess.Popen[str]"]
"""Starts `aeonnx ARGUMENTS` as a process of its own."""

Shared = Callable[[str, Callable[[Path], object]], Path]
"""(name, fill) -> a folder that one of the workers makes for all; not to be changed."""


def weights(run: Path) -> bytes:
    """The weights that a run left."""
    return weights_file(run).read_bytes()


def weights_file(run: Path) -> Path:
    """Where they are."""
    return _named(run, "weights")


def examples_file(run: Path) -> Path:
    """Where the images of a checkpoint are."""
    return _named(run, "examples")


def _named(run: Path, what: str) -> Path:
    return run / str(json.loads((run / "config.json").read_text())[what]["file"])


def graph_file(bundle: Path, part: str, variant: str = "fp32") -> Path:
    """The graph of a variant."""
    return bundle / manifest.read(bundle).parts[part][variant].file


def golden_file(bundle: Path, part: str, tensor: str, variant: str = "fp32") -> Path:
    """A golden array of a variant."""
    golden = manifest.read(bundle).parts[part][variant].golden[0]
    return bundle / {**golden.inputs, **golden.outputs}[tensor].file


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until `condition()` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


@contextmanager
def few_rows() -> Iterator[None]:
    """Graphs are compared on few rows, as those of large networks are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effort, "_BUDGET", 1e8)
        yield


class Quiet:
    """A listener to derive from."""

    def started(self, device: str, epochs: int, images: int, done: int, unit: str) -> None: ...

    def advanced(self, images: int) -> None: ...

    def finished_epoch(self, epoch: Epoch) -> None: ...

    def warned(self, text: str) -> None: ...


class Cut(Exception):  # noqa: N818
    """What `CutAfter` raises."""


class CutAfter(Quiet):
    """Stops training in the middle of a step, after so many, as a power cut would."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def advanced(self, images: int) -> None:  # noqa: ARG002
        self.left -= 1
        if self.left < 0:
            raise Cut
