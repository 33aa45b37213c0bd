"""Find odd readings of sensors, and say which sensor it was.

    python examples/sensors.py dist/ae readings.csv

`readings.csv`: a row per reading, and a first row with the names of the columns; an empty value is
a missing one. The model was trained on such a table (`aeonnx train -m ae --data sensors.csv`), on
its rows or, with `--window`, on windows of a time series.
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

import numpy as np

import aeonnx

UNIT = re.compile(r"(?<=\S)\s*[\[(][^\])]*[\])]$")  # temperature [°C], vibration (mm/s)


def read(path: Path, names: tuple[str, ...]) -> np.ndarray:
    """The columns of these names, float32 [rows, columns]; NaN where a value is missing."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        head, *lines = csv.reader(file)
    known = [UNIT.sub("", text.strip()) for text in head]
    if absent := [name for name in names if name not in known]:
        raise SystemExit(f"{path}: expected the column {absent[0]}, got {', '.join(known)}")
    places = [known.index(name) for name in names]
    rows = [[line[place] or "nan" for place in places] for line in lines]
    return np.array(rows, np.float32)


def main() -> None:
    """Print each odd row or window, its score and its worst column."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("readings", type=Path)
    arguments = parser.parse_args()

    bundle = aeonnx.load(arguments.bundle)
    x = bundle.inputs("scorer")[0]
    rows = read(arguments.readings, x.names)
    step = 1
    if x.kind == "signal":  # windows [n, columns, steps], one after the other
        step = x.shape[2]
        rows = np.lib.stride_tricks.sliding_window_view(rows, step, 0)[::step]
    found = bundle.score(rows, threshold="p99")
    print(f"{found.odd.sum()} of {len(found)} are odd, above {found.threshold:.4g}")
    for i in np.flatnonzero(found.odd):
        print(f"row {i * step}: {found.scores[i]:.4g}, most in {found.column(i)}")


if __name__ == "__main__":
    main()
