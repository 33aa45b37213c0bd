"""Run malicious bundles in Python and in every client that is built on this machine.

    python benchmarks/hostile.py --count 10000 -o benchmarks/results/hostile.md

Harm is a crash, a traceback, a hang of over 10 s, output on stderr that is no error message, a
changed file outside the bundle, or a bundle that must be refused and is not. Each client also reads
up to 1,000 damaged manifests, where it is harm to refuse one that Python accepts. Python has
additional kinds of bundles, and runs every verb on each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from machine import describe

from clients.proof import bundles, languages
from clients.proof.hostile import judged, misjudged
from clients.proof.program import Program
from tests.clients.manifests import damage
from tests.hostile.run import harm_of

_STEP = 500


def main() -> int:
    """Run the bundles, and write the table; returns 1 if there was harm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="bundles for each language")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=["python", *languages.PROGRAMS])
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    rows = ["| language | bundles | refused | run | harm |", "| --- | --- | --- | --- | --- |"]
    harm: list[str] = []
    made = bundles.kept()
    for language in arguments.only or ["python", *languages.PROGRAMS]:
        if language != "python" and not languages.is_fetched(language):
            rows.append(f"| {language} | not built here | | | |")
            continue
        if language != "python":
            harm += (lines := _manifests(language, made, min(arguments.count, 1000)))
            print("\n".join(lines), end="\n" * bool(lines), file=sys.stderr, flush=True)
        counts = [0, 0, 0, 0]
        for start in range(0, arguments.count, _STEP):
            count, seed = min(_STEP, arguments.count - start), arguments.seed + start
            found = _try(language, made, count, seed)
            harm += (lines := [f"{language}: {line}" for line in found[3]])
            print("\n".join(lines), end="\n" * bool(lines), file=sys.stderr, flush=True)
            numbers = (*found[:3], len(found[3]))
            counts = [before + more for before, more in zip(counts, numbers, strict=True)]
        texts = [f"{number:,}" for number in counts]
        if language == "python":  # each of its verbs may refuse or run
            texts[1:3] = "-", "-"
        rows.append(f"| {language} | {' | '.join(texts)} |")
        print(rows[-1], flush=True)
    text = "\n".join((describe(), "", *rows, ""))
    print(text)
    if arguments.output:
        arguments.output.write_text(text)
    return 1 if harm else 0


def _manifests(language: str, made: Path, count: int) -> list[str]:
    """The harm of damaged manifests."""
    with tempfile.TemporaryDirectory() as work:
        damage(made / "vae", Path(work), count)
        program = Program(language, languages.PROGRAMS[language])
        return [f"{language}: manifest {line}" for line in misjudged(program, Path(work))]


def _try(language: str, made: Path, count: int, seed: int) -> tuple[int, int, int, list[str]]:
    """Counts of bundles, refused and run, and the harm of one step."""
    with tempfile.TemporaryDirectory() as work:
        if language == "python":
            return count, 0, 0, harm_of(Path(work), range(seed, seed + count), [])
        program = Program(language, languages.PROGRAMS[language])
        found = judged(
            program, made / "vae", made / "noisy.png", Path(work), count=count, seed=seed
        )
        return found.bundles, found.refused, found.run, list(found.harm)


if __name__ == "__main__":
    sys.exit(main())
