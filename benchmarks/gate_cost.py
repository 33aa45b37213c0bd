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
from dataclasses import dataclass
from pathlib import Path

from machine import describe

from aeonnx import models
from aeonnx.training import TrainOptions, train

ROOT = Path(__file__).resolve().parents[1]
_GIT = shutil.which("git") or "git"


@dataclass(frozen=True)
class Cost:
    """The cost of one export."""

    seconds: float  # of CPU time
    megabytes: float  # peak resident memory


def measure(tree: Path, checkpoint: Path, model: str, output: Path) -> Cost:
    """Export all parts of a checkpoint with the sources in `tree`.

    Raises:
        RuntimeError: the export failed.
    """
    command = [sys.executable, "-m", "aeonnx", "export", "--model", model, "--force"]
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*command, "--checkpoint", str(checkpoint), "-o", str(output)],
            cwd=checkpoint,
            env=environment,
            stdout=said,
            stderr=said,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(said.read().decode())
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


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
                for arch in models.archs(model):
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
    costs: dict[Path, list[Cost]] = {before: [], ROOT: []}
    for _ in range(rounds):
        for tree, found in costs.items():
            found.append(measure(tree, run, model, folder / f"bundle-{tree.name}"))
    cells = []
    for field in ("seconds", "megabytes"):
        old, new = (
            statistics.median(getattr(cost, field) for cost in found) for found in costs.values()
        )
        cells += [f"{old:.0f}", f"{new:.0f}", f"{new / old:.2f}"]
    return f"| {model} | {arch} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
