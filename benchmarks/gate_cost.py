"""Measure the cost of the gate: export every part with this version and with an earlier one.

    python benchmarks/gate_cost.py --against COMMIT [--rounds 3] [-o FILE]

Both versions export the same checkpoints alternately, each in a separate process. CPU seconds and
peak memory are those of the whole process, which are mostly imports, capture and the gate.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import children
from children import Child
from machine import describe

from aeonnx import models
from aeonnx.training import TrainOptions, train

ROOT = Path(__file__).resolve().parents[1]
_GIT = shutil.which("git") or "git"


def measure(tree: Path, checkpoint: Path, model: str, output: Path) -> Child:
    """Export all parts of a checkpoint with the sources in `tree`.

    Raises:
        RuntimeError: the export failed.
    """
    command = [sys.executable, "-m", "aeonnx", "export", "--model", model, "--force"]
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    arguments = ["--checkpoint", str(checkpoint), "-o", str(output)]
    child = children.run([*command, *arguments], cwd=checkpoint, env=environment)
    if child.code:
        raise RuntimeError(child.said)
    return child


def main() -> None:
    """Print the table, and write it to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", required=True, help="commit of the version before")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=models.names())
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    lines = [
        "| model | arch | seconds before | after | ratio | MB before | after | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = folder / "before"
        subprocess.run(
            [_GIT, "worktree", "add", "--detach", str(before), arguments.against],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        try:
            for model in arguments.models:
                for arch in models.archs(model, one_size=True):
                    lines.append(row(model, arch, folder, before, arguments.rounds))
                    print(lines[-1], flush=True)
        finally:
            subprocess.run(
                [_GIT, "worktree", "remove", "--force", str(before)], cwd=ROOT, check=True
            )
    head = (
        f"{describe('torch', 'onnxruntime')}. Medians of {arguments.rounds} exports of all parts, "
        f"in turns with those by commit {arguments.against}, one thread each."
    )
    text = f"{head}\n\n" + "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


def row(model: str, arch: str, folder: Path, before: Path, rounds: int) -> str:
    """A row of the table."""
    run = folder / f"{model}-{arch}"
    train(TrainOptions(model, run, arch=arch, epochs=1, device="cpu"))
    costs: dict[Path, list[Child]] = {before: [], ROOT: []}
    for _ in range(rounds):
        for tree, found in costs.items():
            found.append(measure(tree, run, model, folder / f"bundle-{tree.name}"))
    cells = []
    for field in ("cpu", "megabytes"):
        old, new = (
            statistics.median(getattr(cost, field) for cost in found) for found in costs.values()
        )
        cells += [f"{old:.0f}", f"{new:.0f}", f"{new / old:.2f}"]
    return f"| {model} | {arch} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
