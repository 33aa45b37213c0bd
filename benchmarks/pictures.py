"""Compare how every language reads each picture of the corpus, for 1 to 4 channels.

    python benchmarks/pictures.py -o benchmarks/results/pictures.md

Each picture must be read as expected, or refused where that is expected. Pictures are read through
denoisers that return their input (`clients.proof.same`). Clients that are not built on this machine
are left out, and the table lists them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from machine import describe

import aeonnx
from aeonnx.cli import cli
from clients.proof import languages, same
from clients.proof.program import Program
from tests import pictures
from tests.clients.test_pictures import difference

Judge = Callable[[Path, Path, pictures.Picture, int], str | None]


def python(bundles: Path, folder: Path, picture: pictures.Picture, channels: int) -> str | None:
    """How `aeonnx denoise` deviates from what is expected for a picture; None if it does not."""
    target, expected = folder / "out.npy", picture.wanted[channels]
    target.unlink(missing_ok=True)
    words = ["denoise", str(bundles / str(channels)), str(folder / picture.name), "--pixels"]
    done = CliRunner().invoke(cli, [*words, "--provider", "cpu", "-o", str(target)])
    what = f"{picture.name}, {channels} channels"
    if isinstance(expected, str):
        good = done.exit_code == 1 and expected in done.stderr and not target.exists()
        return None if good else f"{what}: {done.stderr or 'accepted'}"
    if done.exit_code:
        return f"{what}: {done.stderr}"
    off = int(np.abs(np.load(target)[0].astype(int) - expected).max())
    return None if off <= picture.levels else f"{what}: {off} levels off"


def main() -> int:
    """Read, compare, and write the table; returns 1 if a language deviates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    judges: dict[str, Judge] = {"python": python}
    for name, language in languages.PROGRAMS.items():
        if languages.is_fetched(name):
            program = Program(name, language)
            judges[name] = lambda *where, program=program: difference(program, *where)
    head = "| language | pictures x channels | same | refused as expected | otherwise |"
    rows, wrong = [head, "| --- | --- | --- | --- | --- |"], []
    with tempfile.TemporaryDirectory() as name:
        folder, bundles = Path(name), Path(name) / "bundles"
        same.make(bundles)
        corpus = pictures.make(folder)
        for language, judge in judges.items():
            found: Counter[str] = Counter()
            for picture in corpus.values():
                if language != "python" and not picture.everywhere:
                    continue
                for channels, expected in picture.wanted.items():
                    said = judge(bundles, folder, picture, channels)
                    kind = "refused" if isinstance(expected, str) else "same"
                    found["wrong" if said else kind] += 1
                    wrong += [f"{language}: {said}"] if said else []
            counts = (found.total(), found["same"], found["refused"], found["wrong"])
            rows.append(f"| {language} | {' | '.join(map(str, counts))} |")
            print(rows[-1], flush=True)
    missing = sorted(set(languages.PROGRAMS) - set(judges))
    note = [f"Not built here: {', '.join(missing)}.", ""] if missing else []
    text = "\n".join((f"{describe()}, aeonnx {aeonnx.__version__}", "", *rows, "", *note))
    print(text)
    print("\n".join(wrong), file=sys.stderr)
    if arguments.output:
        arguments.output.write_text(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
