"""Running the tests that a change of some lines could fail, in a process of their own."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from mutants.making import Mutant, Place

PRELOADED = ("torch", "torchvision", "onnx", "onnxscript", "onnxruntime")
"""What a process of tests finds imported; aeonnx itself it must import from the changed sources."""


@dataclass(frozen=True)
class Tests:
    """Which tests run which lines, and for how long.

    Args:
        by_line: (file, line) -> tests as pytest names them.
        by_file: file -> tests, of any of its lines.
        seconds: test -> its time, with what it set up.
        modules: file of tests -> its tests.
    """

    by_line: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    by_file: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    seconds: dict[str, float] = field(default_factory=dict)
    modules: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def of(self, place: Place) -> list[str]:
        """Tests that could see a change there, the fastest first.

        What no test runs by itself, such as a constant of a module, is run by all tests of the
        module. If one test of a file alone runs the line, a fixture may have run it, which the
        others use too: then all tests of that file are taken.
        """
        lines = range(place.line, place.last + 1)
        found = set().union(*(self.by_line.get((place.file, line), set()) for line in lines))
        found = found or self.by_file.get(place.file, set())
        files = Counter(test.partition("::")[0] for test in found)
        for file in [file for file, count in files.items() if count == 1]:
            found = found | self.modules[file]
        return sorted(found, key=lambda test: (self.seconds.get(test, 0.0), test))


def read(coverage: Path, timings: Path, root: Path) -> Tests:
    """What the plugin measured."""
    tests = Tests(seconds=json.loads(timings.read_text()))
    for test in tests.seconds:
        tests.modules[test.partition("::")[0]].add(test)
    with sqlite3.connect(coverage) as data:
        rows = data.execute(
            "select path, context, numbits from line_bits"
            " join file on file.id = file_id join context on context.id = context_id"
        ).fetchall()
    for path, context, bits in rows:
        if not context:  # while modules were imported
            continue
        file = Path(path).resolve().relative_to(root.resolve()).as_posix()
        tests.by_file[file].add(context)
        for line in _numbers(bits):
            tests.by_line[file, line].add(context)
    return tests


def _numbers(bits: bytes) -> list[int]:
    """Lines of a set of bits, as coverage stores them."""
    return [8 * i + j for i, byte in enumerate(bits) for j in range(8) if byte >> j & 1]


def fails(mutant: Mutant, root: Path, tests: list[str], seconds: float, runs: Path | None) -> str:
    """Put a mutant into the sources in `root`, and run tests until one fails.

    Returns:
        "killed", "timeout", or "survived".
    """
    target = root / mutant.place.file
    right = target.read_text()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    try:
        target.write_text(mutant.text)
        process = context.Process(target=run_tests, args=(root, tests, runs, Path(os.devnull)))
        process.start()
        process.join(seconds)
        if process.is_alive():
            os.killpg(process.pid or 0, signal.SIGKILL)
            process.join()
            return "timeout"
        return "killed" if process.exitcode else "survived"
    finally:
        target.write_text(right)
        shutil.rmtree(temporary(root), ignore_errors=True)


def run_tests(root: Path, tests: list[str], runs: Path | None, log: Path) -> None:
    """Run pytest on the sources in `root`; the exit code is pytest's."""
    if "aeonnx" in sys.modules:
        raise RuntimeError("aeonnx was imported before the changed sources could be")
    os.setsid()
    # A shell's background ignores them, and tests send them to programs that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.chdir(root)
    sys.path[:0] = [str(root), str(root / "benchmarks")]
    here = str(Path(__file__).resolve().parents[1])
    sys.path.append(here)
    os.environ.update(PYTHONPATH=f"{root}:{here}", PYTHONDONTWRITEBYTECODE="1")
    sys.dont_write_bytecode = True
    if runs is not None:
        os.environ["MUTANTS_RUNS"] = str(runs)
    with log.open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    import pytest

    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-p", "mutants.plugin"]
    options += [f"--basetemp={temporary(root)}", "--hypothesis-seed=0"]
    code = pytest.main([*options, *tests])
    os._exit(int(code))  # threads of a test that failed are no reason to wait


def temporary(root: Path) -> Path:
    """The folder of the tests' files."""
    return root.parent / f"{root.name}.tmp"
