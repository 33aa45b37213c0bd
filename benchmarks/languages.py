"""Compare every client with Python: errors, start-up time, speed and size.

    .venv/bin/python benchmarks/languages.py [--rounds 5] [-o benchmarks/results/clients.md]

Takes the small bundles of all models, which are made in build/ where they are not, and replays
their golden vectors in each language. Then it times whole processes and single rows: each round
runs every language once, and figures are medians.
`make clients` builds the clients first.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from machine import describe

from aeonnx.bundle import manifest
from clients.proof import bundles, subjects
from clients.proof.program import Line
from clients.proof.subjects import Subject

COLUMNS = (
    "client",
    "engine",
    "graphs",
    "max error",
    "of tolerance",
    "first image, ms",
    "decoder, us",
    "denoiser, us",
    "ships, MB",
    "besides",
)
TIMED = (("vae", "decoder"), ("dae", "denoiser"))


@dataclass
class Figures:
    """The figures of one client."""

    lines: list[Line] = field(default_factory=list)
    graphs: int = 0
    version: str = ""
    starts: list[float] = field(default_factory=list)
    rows: dict[str, list[float]] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/clients.md"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, subjects.all_built() as found:
        kept = bundles.kept()
        made = {name: kept / name for name in bundles.BUNDLES}
        measured = measure(found, made, Path(temporary), options.rounds)
        text = table(found, measured)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text)
    print(text)


def measure(
    found: Sequence[Subject], made: dict[str, Path], folder: Path, rounds: int
) -> dict[str, Figures]:
    """All figures, by the name of the client; `folder` is for temporary files."""
    picture = folder / "one.png"
    alone = {part: only(made[name], part, folder / f"only-{part}") for name, part in TIMED}
    measured = {subject.name: Figures() for subject in found}
    for subject in found:
        figures = measured[subject.name]
        for bundle in made.values():
            figures.version, lines = subject.check(bundle)
            figures.lines += lines
            figures.graphs += len({(line.part, line.variant) for line in lines})
    for turn in range(-1, rounds):  # the first one is warm-up
        for subject in found:
            picture.unlink(missing_ok=True)
            taken = subject.start(made["vae"], picture)
            spent = {part: subject.time(bundle, part) for part, bundle in alone.items()}
            if turn >= 0:
                measured[subject.name].starts.append(taken)
                for part, value in spent.items():
                    measured[subject.name].rows.setdefault(part, []).append(value)
            time.sleep(0.1)
    return measured


def only(bundle: Path, part: str, folder: Path) -> Path:
    """A bundle with the fp32 graph of a part and nothing else."""
    shutil.copytree(bundle, folder)
    whole = manifest.read(bundle)
    parts = {part: {"fp32": whole.parts[part]["fp32"]}}
    text = manifest.serialize(replace(whole, parts=parts))
    (folder / manifest.FILE_NAME).write_bytes(text)
    return folder


def table(found: Iterable[Subject], measured: dict[str, Figures]) -> str:
    """The figures as Markdown."""
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    rows += [row(subject, measured[subject.name]) for subject in found]
    return f"{describe()}\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + "\n"


def row(subject: Subject, figures: Figures) -> tuple[str, ...]:
    """The row of the table for one client; errors are those of float32 graphs with float images."""
    plain = [line for line in figures.lines if line.variant == "fp32" and line.output != "image"]
    right = sum(line.verdict == "ok" for line in figures.lines)
    share = max(line.error / line.tolerance for line in plain)
    return (
        subject.name,
        figures.version,
        f"{figures.graphs}, {right} of {len(figures.lines)} outputs right",
        f"{max(line.error for line in plain):.1e}",
        f"{share:.2f}",
        f"{1e3 * statistics.median(figures.starts):.0f}",
        *(f"{statistics.median(figures.rows[part]):.1f}" for _, part in TIMED),
        f"{subject.shipped() / 1e6:.1f}",
        subject.besides,
    )


if __name__ == "__main__":
    main()
