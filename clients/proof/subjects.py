"""What is compared: Python and every client, asked the same things."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import aeonnx
from aeonnx import runtime
from aeonnx.bundle import golden
from clients.proof import browser, languages
from clients.proof.program import Line, Program, lines_of, times_of

__all__ = ["Subject", "all_built"]

_CALLS = 500


class Subject(Protocol):
    """A language's way to run a bundle."""

    @property
    def name(self) -> str: ...

    @property
    def besides(self) -> str:
        """What a user must have, beside what one ships."""

    def check(self, bundle: Path) -> tuple[str, list[Line]]:
        """The engine's name and version, and what became of each golden output."""

    def start(self, bundle: Path, picture: Path) -> float:
        """Seconds that a process takes to write its first image."""

    def time(self, bundle: Path, part: str) -> float:
        """Microseconds of one row through the fp32 graph of a part, on one thread."""

    def shipped(self) -> int:
        """Bytes that go to a user, without the bundle."""


@dataclass(frozen=True)
class Client:
    """A command-line client."""

    program: Program

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def besides(self) -> str:
        return self.program.language.besides

    def check(self, bundle: Path) -> tuple[str, list[Line]]:
        done = self.program("check", bundle)
        said = re.search(r" parts with ([\w -]+ [\d.]+)", done.stdout)
        if done.returncode not in (0, 3) or not said:
            raise RuntimeError(f"{self.name}: {done.stdout}{done.stderr}")
        return said[1], lines_of(done.stdout)

    def start(self, bundle: Path, picture: Path) -> float:
        started = time.perf_counter()
        done = self.program("generate", bundle, "-n", 1, picture)
        taken = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stderr}")
        return taken

    def time(self, bundle: Path, part: str) -> float:
        return times_of(self.program("check", bundle, "--time").stdout)[part, "fp32"]

    def shipped(self) -> int:
        return sum(map(_size, self.program.language.shipped))


@dataclass(frozen=True)
class Python:
    """aeonnx itself."""

    name = "python"
    besides = "Python"

    def check(self, bundle: Path) -> tuple[str, list[Line]]:
        with aeonnx.load(bundle, providers=["cpu"], threads=1) as opened:
            report = runtime.verify(opened)
        lines = [
            Line(
                "ok" if check.passed else "WRONG",
                check.part,
                check.precision,
                check.output,
                check.max_abs_diff,
                check.tolerance,
            )
            for check in report.checks
        ]
        return f"onnxruntime {_onnxruntime().version}", lines

    def start(self, bundle: Path, picture: Path) -> float:
        words = ["generate", str(bundle), "-n", "1", "-o", str(picture), "--provider", "cpu"]
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "aeonnx", *words], check=True, capture_output=True)
        return time.perf_counter() - started

    def time(self, bundle: Path, part: str) -> float:
        with aeonnx.load(bundle, providers=["cpu"], threads=1) as opened:
            stored = opened.manifest.parts[part]["fp32"].golden[0].inputs
            inputs = {name: row[:1] for name, row in golden.read_all(bundle, stored).items()}
            verb = {"decoder": opened.decode, "denoiser": opened.denoise}[part]
            (value,) = inputs.values()
            taken = []
            for _ in range(_CALLS):
                started = time.perf_counter()
                verb(value)
                taken.append(time.perf_counter() - started)
        return 1e6 * statistics.median(taken[_CALLS // 10 :])

    def shipped(self) -> int:
        needed = ("numpy", "click", "rich", "markdown-it-py", "mdurl", "pygments", "pillow")
        files = [file for name in needed for file in metadata.files(name) or ()]
        files += [
            file
            for file in metadata.files(_onnxruntime().metadata["Name"]) or ()
            if not re.search(r"providers_(cuda|tensorrt)", file.name)
        ]
        sizes = [
            path.stat().st_size for path in (Path(file.locate()) for file in files) if path.exists()
        ]
        return sum(sizes) + _size(Path(aeonnx.__file__).parent)


@contextmanager
def all_built() -> Iterator[Sequence[Subject]]:
    """Python and every client that is built here."""
    built = [name for name in languages.PROGRAMS if languages.is_fetched(name)]
    found = [Python(), *(Client(Program(name, languages.PROGRAMS[name])) for name in built)]
    if not languages.is_fetched("web"):
        yield found
        return
    with TemporaryDirectory() as site, browser.opened(Path(site)) as opened:
        yield [*found, opened]


def _onnxruntime() -> metadata.Distribution:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            return metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
    raise ModuleNotFoundError("onnxruntime is not installed: pip install aeonnx[cpu]")


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(_size(inner) for inner in path.iterdir() if inner.name != "__pycache__")
    return path.stat().st_size
