"""Uses bundles in a limited process: `python -m tests.hostile.child WORK NAME...`.

Each name is printed before its bundle is used, so that a crash or hang tells whose it is. What goes
wrong without one ends the process with a text that says what.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

import aeonnx
from aeonnx import runtime
from aeonnx.cli import cli
from aeonnx.errors import AeonnxError
from tests.hostile.kinds import SECRET
from tests.hostile.sound import IMAGE, LATENT

MEMORY = 4 * 2**30
COMPUTING, WAITING = 10, 60
"""Seconds of a command: of the processor, and in all, since the machine may be busy."""
_EXITS = (0, 1, 2, 3, 4)


def main(work: Path, names: Iterable[str]) -> None:
    """Use the bundles `work/bundles/NAME`, from the folder `work/outside`."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(work / "outside")
    for name in names:
        print(name, flush=True)
        use(work / "bundles" / name, work / "results")
        limit(0, 0)


def limit(computing: int, waiting: int) -> None:
    """From now on; the process is killed after it."""
    signal.setitimer(signal.ITIMER_PROF, computing)
    signal.alarm(waiting)


def use(bundle: Path, results: Path) -> None:
    """Everything that there is to do with a bundle, from the command line and from Python."""
    images, latents, target = (str(results / name) for name in ("x.npy", "z.npy", "out"))
    for arguments in (
        ["inspect"],
        ["verify"],
        ["encode", images, "-o", f"{target}.npy"],
        ["decode", latents, "-o", f"{target}.png"],
        ["decode", latents, "-o", f"{target}.npy"],
        ["reconstruct", images, "-o", f"{target}.npy"],
        ["denoise", images, "-o", f"{target}.png"],
        ["classify", images],
        ["generate", "-n", "5", "-o", f"{target}.png"],
        ["inspect", "--graph", "decoder"],
        ["inspect", "--html", f"{target}.html"],
    ):
        limit(COMPUTING, WAITING)
        command, *rest = arguments
        force = ["--force"] if "-o" in rest or "--html" in rest else []
        judge(arguments, CliRunner().invoke(cli, [command, str(bundle), *rest, *force]))
    limit(COMPUTING, WAITING)
    call(bundle)


def judge(arguments: list[str], result: Result) -> None:
    """End the process if a command did not end in words."""
    said = result.output
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code not in _EXITS or "Traceback" in said or SECRET.decode() in said:
        raise SystemExit(f"{arguments} ended with {result.exit_code}: {said}")
    odd = [char for char in said if char != "\n" and not char.isprintable()]
    if odd:
        raise SystemExit(f"{arguments} printed {odd}: {said!r}")
    if result.exit_code and not result.stderr.strip().startswith(("Error: ", "Usage: ")):
        raise SystemExit(f"{arguments} ended with {result.exit_code} and said: {said}")


def call(folder: Path) -> None:
    """The same from Python, into given buffers and with many rows."""
    try:
        bundle = aeonnx.load(folder, ["cpu"], max_batch=7, threads=1)
    except AeonnxError:
        return
    x, z = np.ones((9, *IMAGE), np.float32), np.ones((9, LATENT), np.float32)
    into = np.empty((2000, *IMAGE), np.float32)
    for verb in (
        lambda: bundle.encode(x, out=np.empty((9, LATENT), np.float32)),
        lambda: bundle.decode(np.ones((2000, LATENT), np.float32), out=into),
        lambda: bundle.decode(z, pixels=True),
        lambda: bundle.denoise(x.astype(np.uint8)),
        lambda: bundle.generate(3, seed=5),
        lambda: bundle.warmup([1, 3]),
        lambda: runtime.verify(bundle),
    ):
        try:
            verb()
        except AeonnxError:
            continue


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
