"""How many source files one export visits, and how often a call leads upwards among them.

    python benchmarks/way_of_export.py [RUN] [--model vae] [--part decoder] [--tree SOURCES]

Exports a part of a trained run and follows every call of a function of aeonnx. A step is a pair of
files of which one calls the other. It leads upwards if the file that is called imports, directly or
through others, the one that calls: a reader has to know the upper file to follow the lower one.
`--tree` is a checkout of another version.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

import grimp

ROOT = Path(__file__).resolve().parents[1]


def follow(
    run: Path, model: str, part: str, output: Path
) -> tuple[list[str], set[tuple[str, str]]]:
    """Export; the modules in the order of their first call, and the steps between them."""
    import aeonnx
    from aeonnx.exporting import ExportOptions, export

    package = Path(aeonnx.__file__).parent
    prefix = f"{package}{os.sep}"
    visited: dict[str, None] = {}
    steps: set[tuple[str, str]] = set()

    def module_of(file: str) -> str:
        path = Path(file).relative_to(package.parent).with_suffix("")
        return ".".join(path.parts).removesuffix(".__init__")

    def entered(frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(prefix) or frame.f_code.co_name == "<module>":
            return
        caller = frame.f_back.f_code.co_filename if frame.f_back else ""
        visited.setdefault(module_of(name))
        if caller.startswith(prefix) and caller != name:
            steps.add((module_of(caller), module_of(name)))

    options = ExportOptions(model, output, run, (part,))
    sys.setprofile(entered)
    try:
        export(options)
    finally:
        sys.setprofile(None)
    return list(visited), steps


def main() -> None:
    """Print the counts and the files."""
    parser = argparse.ArgumentParser(description="How many source files one export visits.")
    parser.add_argument("run", type=Path, nargs="?", help="folder of a run; trained if left out")
    parser.add_argument("--model", default="vae")
    parser.add_argument("--part", default="decoder")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the version to follow")
    arguments = parser.parse_args()
    if os.environ.get("PYTHONPATH") != str(arguments.tree):  # begin again with those sources
        environment = {**os.environ, "PYTHONPATH": str(arguments.tree)}
        sys.exit(
            subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode
        )
    with tempfile.TemporaryDirectory() as folder:
        run = arguments.run
        if run is None:
            from aeonnx.training import TrainOptions, train

            run = train(TrainOptions(arguments.model, Path(folder) / "run", epochs=1)).output
        files, steps = follow(run, arguments.model, arguments.part, Path(folder) / "bundle")
    graph = grimp.build_graph("aeonnx", exclude_type_checking_imports=True, cache_dir=None)
    upwards = sorted(
        (caller, called)
        for caller, called in steps
        if graph.chain_exists(importer=called, imported=caller)
    )
    print(f"{len(files)} files, {len(steps)} steps, {len(upwards)} upwards")
    print("\n".join(files))
    print("upwards:", *(f"  {caller} -> {called}" for caller, called in upwards), sep="\n")


if __name__ == "__main__":
    main()
