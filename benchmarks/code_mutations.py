"""How many faults in our own source the tests find.

    python benchmarks/code_mutations.py --work FOLDER [--count 300] [--workers 2] [--tree SOURCES]
        [--again TEST ...] [-o benchmarks/results/code_mutations.md]

Draws places of the source at random, puts one fault of cosmic-ray's (or a deleted call or raise) in
each, and runs the tests that run these lines, the fastest first, until one fails. Lines and tests
are measured once, with coverage; outcomes are kept in FOLDER as they come, so that a run which was
stopped goes on. `--tree` is a checkout of another version, which then is judged with its own tests.
`--again` puts what survived into this checkout, and runs tests that were written since.
Needs `pip install --group mutation`. Hours: a fault that no test finds has run them all.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from mutants.making import Mutant, Place, choose, places, put_again
from mutants.trying import Tests, fails, read, run_tests, temporary

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (
    "aeonnx/exporting",
    "aeonnx/bundle",
    "aeonnx/_util/files",
    "aeonnx/runtime/compare.py",
    "aeonnx/runtime/prior.py",
    # Where earlier versions had them.
    *("aeonnx/export", "aeonnx/manifest", "aeonnx/files", "aeonnx/files.py", "aeonnx/parity.py"),
)
TESTS = (
    *(
        "tests/exporting",
        "tests/export",
        "tests/runtime",
        "tests/hostile",
        "tests/models",
        "tests/manifest",
    ),
    *(f"tests/test_{name}.py" for name in ("manifest", "files", "outputs", "checkpoint", "cli")),
    *(f"tests/test_{name}.py" for name in ("hostile_checkpoints", "public", "extending")),
    *(f"tests/test_{name}.py" for name in ("images", "pixels")),
    "tests/inspection",
)
COPIED = (
    *("aeonnx", "tests", "benchmarks", "clients", "docs", "pyproject.toml"),
    *("README.md", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md", "LICENSE", "Makefile"),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant.

    Args:
        file: relative to the root of the sources.
        line: from 1.
        operator: what was changed.
        diff: lines that differ.
        result: "killed", "timeout", "survived", "no test" where none runs the line; of what
            survived, "killed since" by a test that was written later, or "gone" with its lines.
        tests: how many could have seen it.
    """

    file: str
    line: int
    operator: str
    diff: str
    result: str
    tests: int


def copy_of(tree: Path, folder: Path) -> Path:
    """Sources and tests to change, once."""
    if not folder.exists():
        folder.mkdir(parents=True)
        for name in COPIED:
            source = tree / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("node_modules", "__pycache__", "target", "build")
                shutil.copytree(source, folder / name, ignore=ignored, symlinks=True)
            elif source.exists():
                shutil.copy2(source, folder / name)
    return folder


def measured(work: Path, root: Path) -> Tests:
    """Which tests run which lines; measured once.

    Raises:
        SystemExit: a test fails without any change.
    """
    coverage, timings, runs = work / "coverage", work / "timings.json", work / "runs"
    if not runs.exists():
        os.environ.update(MUTANTS_COVERAGE=str(coverage), MUTANTS_TIMINGS=str(timings))
        chosen = [name for name in TESTS if (root / name).exists()]
        process = multiprocessing.get_context("spawn").Process(
            target=run_tests, args=(root, chosen, None, work / "tests.log")
        )
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f"a test fails without any change, see {work / 'tests.log'}")
        shared = temporary(root) / "shared"
        names = [path for path in shared.iterdir() if path.name.startswith("run-")]
        (work / "runs.part").mkdir(exist_ok=True)
        for path in names:
            shutil.move(path, work / "runs.part" / path.name)
        (work / "runs.part").rename(runs)
        del os.environ["MUTANTS_COVERAGE"], os.environ["MUTANTS_TIMINGS"]
    return read(coverage, timings, root)


def require_survival(place: Place, root: Path, tests: Tests, runs: Path) -> None:
    """Check that a mutant without a change survives: else every one would seem to be found.

    Raises:
        SystemExit: the tests fail without any change.
    """
    same = Mutant(place, "none", (root / place.file).read_text(), "")
    fastest = sorted(tests.seconds, key=lambda test: tests.seconds[test])[:3]
    if fails(same, root, fastest, 120, runs) != "survived":
        sys.exit(f"these tests fail without any change: {', '.join(fastest)}")


def judge(mutant: Mutant, root: Path, tests: Tests, runs: Path) -> Outcome:
    """Try one."""
    chosen = tests.of(mutant.place)
    usual = sum(tests.seconds.get(test, 0.0) for test in chosen)
    result = "no test"
    if chosen:
        result = fails(mutant, root, chosen, 3 * usual + 120, runs)
    place = mutant.place
    return Outcome(place.file, place.line, mutant.operator, mutant.diff, result, len(chosen))


def judge_again(item: Outcome, root: Path, tests: list[str]) -> Outcome:
    """Whether these tests find in a later version what survived in an earlier one."""
    moved = sorted(path.relative_to(root).as_posix() for path in (root / "aeonnx").rglob("*.py"))
    for file in (item.file, *moved):
        source = root / file
        text = put_again(item.diff, item.line, source.read_text()) if source.exists() else None
        if text is not None:
            mutant = Mutant(Place(file, 1, 1, 0, ()), item.operator, text, item.diff)
            found = fails(mutant, root, tests, 600, None)
            return item if found == "survived" else replace(item, result="killed since")
    return replace(item, result="gone")


def report(outcomes: list[Outcome], all_places: int) -> str:
    """The page: shares by file, and each mutant that survived."""
    # Not at the top: processes of tests import this file, and must import aeonnx as it was changed.
    from machine import describe

    total, before, left = Counter[str](), Counter[str](), Counter[str]()
    for item in outcomes:
        total[item.file] += 1
        before[item.file] += item.result in ("survived", "no test", "killed since", "gone")
        left[item.file] += item.result in ("survived", "no test")
    count, first, survived = total.total(), before.total(), left.total()
    share = f"{first} faults were not found by the tests ({first / max(count, 1):.1%})"
    if first > survived:
        share += (
            f"; {survived} are not by those written since ({survived / max(count, 1):.1%}), and "
            f"{sum(item.result == 'gone' for item in outcomes)} were in lines that are gone"
        )
    lines = [
        f"{describe('cosmic-ray', 'pytest', 'coverage')}. {count} places drawn from {all_places:,};"
        f" {share}.",
        "",
        "| file | faults | not found at first | not found |",
        "|---|---|---|---|",
        *(f"| {file} | {total[file]} | {before[file]} | {left[file]} |" for file in sorted(total)),
    ]
    for item in outcomes:
        if item.result in ("survived", "no test", "killed since", "gone"):
            title = f"{item.file}:{item.line}, {item.operator}: {item.result}"
            lines += ["", f"{title} ({item.tests} tests)", "```diff", item.diff, "```"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Try what the log does not hold yet, print what survives, and write the page."""
    parser = argparse.ArgumentParser(description="How many faults in our source the tests find.")
    parser.add_argument("--work", type=Path, required=True, help="folder for copies and outcomes")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the version to judge")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--again", nargs="+", default=[], metavar="TEST", help="of this checkout")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    roots = [copy_of(arguments.tree, work / f"copy{i}") for i in range(arguments.workers)]
    tests = measured(work, roots[0])
    files = sorted(
        path.relative_to(roots[0]).as_posix()
        for name in SOURCES
        for path in [roots[0] / name, *(roots[0] / name).rglob("*.py")]
        if path.is_file()
    )
    log = work / "outcomes.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    known = [Outcome(**json.loads(line)) for line in lines]
    done = {(item.file, item.line, item.operator, item.diff): item for item in known}
    free: SimpleQueue[Path] = SimpleQueue()
    for root in roots:
        free.put(root)

    def one(mutant: Mutant) -> Outcome:
        key = (mutant.place.file, mutant.place.line, mutant.operator, mutant.diff)
        if key in done:
            return done[key]
        root = free.get()
        try:
            item = judge(mutant, root, tests, work / "runs")
        finally:
            free.put(root)
        with log.open("a") as file:
            file.write(json.dumps(asdict(item)) + "\n")
        if item.result != "killed":
            print(f"{item.file}:{item.line}: {item.result}\n{item.diff}", flush=True)
        return item

    everywhere = places(roots[0], files)
    require_survival(everywhere[0], roots[0], tests, work / "runs")
    mutants = list(choose(roots[0], everywhere, arguments.count, arguments.seed))
    with ThreadPoolExecutor(arguments.workers) as pool:
        outcomes = list(pool.map(one, mutants))
    if arguments.again:
        now = copy_of(ROOT, work / "now")
        outcomes = [
            judge_again(item, now, arguments.again) if item.result == "survived" else item
            for item in outcomes
        ]
    text = report(outcomes, len(everywhere))
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
