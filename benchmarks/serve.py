"""Measure `aeonnx serve`: throughput beside other servers, overhead, overload, a long run.

    .venv/bin/python benchmarks/serve.py [throughput] [overhead] [overload] [soak]
        [--bundle dist/vae] [--part decoder] [-o benchmarks/results/serve.md]

Needs the extra `serve`, wrk and taskset, two cores that do nothing else, and a package registry,
from which the other servers are installed in build/peers/. The servers run on one core, what loads
them on another. With -o, sections of an earlier run that this one does not measure stay.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from machine import describe
from serving.overhead import overhead
from serving.overload import overload
from serving.report import Settings
from serving.servers import CLIENT_CORE
from serving.soak import soak
from serving.target import Target, target_of
from serving.throughput import throughput

BLOCKS = {
    "throughput": ("Throughput and latency", throughput),
    "overhead": ("Overhead of a request", overhead),
    "overload": ("Overload", overload),
    "soak": ("A long run", soak),
}
PACKAGES = ("onnxruntime", "numpy", "uvicorn", "uvloop", "httptools", "starlette", "orjson")


def main() -> None:
    """Measure, print, and write the file of -o."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("blocks", nargs="*", metavar="BLOCK", help=f"{', '.join(BLOCKS)}; or all")
    parser.add_argument("--bundle", type=Path, default=Path("dist/vae"))
    parser.add_argument("--part", default="decoder")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--load", type=float, default=8, help="seconds of each load")
    parser.add_argument("--seconds", type=float, default=60, help="of the overload")
    parser.add_argument("--rows", type=int, default=1024, help="of each request of the overload")
    parser.add_argument("--soak", type=float, default=600, help="seconds of the long run")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.blocks if name not in BLOCKS]
    if unknown:
        parser.error(f"expected some of {', '.join(BLOCKS)}, got {', '.join(unknown)}")
    require_tools()
    machine = describe(*PACKAGES)
    os.sched_setaffinity(0, {CLIENT_CORE})
    target = target_of(arguments.bundle, arguments.part)
    sections = earlier(arguments.output)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            target=target,
            work=Path(folder),
            repetitions=arguments.repetitions,
            load=arguments.load,
            seconds=arguments.seconds,
            soak=arguments.soak,
            rows=arguments.rows,
        )
        for name in arguments.blocks or BLOCKS:
            title, measure = BLOCKS[name]
            text = f"{machine}. {what(target)} {measure(settings)}\n"
            print(f"## {title}\n\n{text}", flush=True)
            sections[title] = text
            if arguments.output:
                arguments.output.write_text(document(sections))


def require_tools() -> None:
    """Raise if the machine lacks something.

    Raises:
        SystemExit: a program is not installed, or there is one core.
    """
    missing = [name for name in ("wrk", "taskset") if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"{', '.join(missing)} not found: install the packages wrk and util-linux")
    if CLIENT_CORE < 0:
        raise SystemExit("expected two cores or more, one for the server and one for its clients")


def what(target: Target) -> str:
    """What the servers run, in a sentence."""
    row = "x".join(map(str, target.rows.shape[1:]))
    return f"{target.part.capitalize()} of {target.bundle.name}: {row} to {target.right.shape[1]}."


def earlier(path: Path | None) -> dict[str, str]:
    """The sections of an earlier run by title."""
    text = path.read_text() if path and path.exists() else ""
    parts = [part.partition("\n\n") for part in f"\n{text}".split("\n## ")[1:]]
    return {title: f"{body.strip()}\n" for title, _, body in parts}


def document(sections: dict[str, str]) -> str:
    """All sections, in one order."""
    titles = [title for title, _ in BLOCKS.values() if title in sections]
    return "\n".join(f"## {title}\n\n{sections[title]}" for title in titles)


if __name__ == "__main__":
    main()
