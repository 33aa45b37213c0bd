"""`python -m tests.hostile COUNT SEED [KIND...]`: as many hostile bundles, from a first seed."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.hostile.run import harm_of

_STEP = 200


def main(count: int, first: int, kinds: list[str]) -> None:
    """Print what did harm, and how many bundles were used."""
    began, harm = time.monotonic(), []
    for start in range(first, first + count, _STEP):
        with tempfile.TemporaryDirectory() as work:
            seeds = range(start, min(start + _STEP, first + count))
            found = harm_of(Path(work), seeds, kinds)
        print(*found, sep="\n", end="\n" * bool(found), flush=True)
        harm += found
        done = seeds.stop - first
        print(
            f"{done} of {count}, {len(harm)} did harm, {time.monotonic() - began:.0f} s", flush=True
        )
    sys.exit(bool(harm))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
