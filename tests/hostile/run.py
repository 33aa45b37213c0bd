"""Makes hostile bundles from seeds, has them used in limited children, and looks for harm."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tests.hostile.kinds import KINDS, SECRET
from tests.hostile.sound import IMAGE, LATENT, sound

__all__ = ["harm_of", "make"]

_TOGETHER = 40
"""Bundles that one child uses: those of one that dies are tried again without the guilty."""
_SOUND = sound(Path(), Path())
_LONGEST = 3600  # seconds of a child, which has alarms of its own

_COLOURS = re.compile("\x1b\\[[0-9;]*m")  # of onnxruntime's own log, in which no bundle has a say


def harm_of(work: Path, seeds: Sequence[int], kinds: Sequence[str] = ()) -> list[str]:
    """A line for each hostile bundle that did harm; none if all is well.

    Args:
        work: an empty folder.
        seeds: one bundle each.
        kinds: names in `KINDS`, which take turns; all if there are none.
    """
    outside = _outside(work)
    found = []
    for start in range(0, len(seeds), _TOGETHER):
        names = [
            make(work, seed, kinds or sorted(KINDS)) for seed in seeds[start : start + _TOGETHER]
        ]
        before = _digest(outside)
        found += list(_used(work, names))
        if _digest(outside) != before:
            found.append(f"one of {names} changed what is outside of it")
        shutil.rmtree(work / "bundles")
    return found


def make(work: Path, seed: int, kinds: Sequence[str]) -> str:
    """Write the hostile bundle of a seed; gives its name, which says its kind."""
    rng = random.Random(seed)
    chosen = kinds[seed % len(kinds)]
    name = f"{chosen}-{seed}"
    KINDS[chosen](rng, _SOUND.copy(work / "bundles" / name, work / "outside"))
    return name


def _outside(work: Path) -> Path:
    """What a user has beside the bundles, and results to write over."""
    outside, results = work / "outside", work / "results"
    outside.mkdir(parents=True)
    results.mkdir()
    (outside / "secret.bin").write_bytes(SECRET * 100)
    (outside / "thesis.tex").write_text("years of work")
    np.save(results / "x.npy", np.random.default_rng(0).random((6, *IMAGE), dtype=np.float32))
    np.save(results / "z.npy", np.zeros((6, LATENT), np.float32))
    return outside


def _used(work: Path, names: list[str]) -> Iterator[str]:
    while names:
        done = _child(work, names)
        tried = done.stdout.split()
        if done.returncode == 0 and len(tried) == len(names):
            if "Traceback" in done.stderr or not _is_plain(done.stderr):
                yield f"one of {names} printed: {done.stderr[-2000:]!r}"
            return
        end = signal.Signals(-done.returncode).name if done.returncode < 0 else done.returncode
        said = _COLOURS.sub("", done.stderr)[-2000:]
        yield f"{tried[-1] if tried else 'the child'} ended with {end}: {said}"
        names = names[len(tried) or len(names) :]


def _child(work: Path, names: list[str]) -> subprocess.CompletedProcess[str]:
    home = work / "home"
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "tests.hostile.child", str(work), *names],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "HOME": str(home),
            "AEONNX_CACHE": str(home / "cache"),
            "OMP_NUM_THREADS": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_LONGEST,
        check=False,
    )


def _is_plain(text: str) -> bool:
    text = _COLOURS.sub("", text)
    return all(char.isprintable() or char == "\n" for char in text)


def _digest(folder: Path) -> str:
    """Of all names, kinds, modes, times and contents below a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found.update(f"{path} {status.st_mode} {status.st_mtime_ns} {status.st_size}".encode())
        if path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()
