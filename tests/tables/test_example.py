"""The program examples/sensors.py runs as its first lines say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.tables.conftest import SENSORS, sensors, wines, write_csv

Run = Callable[..., str]

EXAMPLE = Path(__file__).parents[2] / "examples" / "sensors.py"


def test_odd_rows_are_named_with_their_column(
    run_example: Run, rows_bundle: Path, tmp_path: Path
) -> None:
    x, _, names = wines()
    rows = x[:5].copy()
    rows[2, 3] *= 9
    rows[3, 0] = np.nan
    write_csv(tmp_path / "new.csv", names[::-1], rows[:, ::-1])
    lines = run_example("sensors", rows_bundle, "new.csv").splitlines()
    assert " of 5 are odd, above " in lines[0]
    assert any(line.startswith("row 2: ") and line.endswith(f" in {names[3]}") for line in lines)


def test_odd_windows_are_named_by_their_first_row(
    run_example: Run, windows_bundle: Path, tmp_path: Path
) -> None:
    x = sensors(64, seed=5)
    x[32:48, 1] += 4000
    write_csv(tmp_path / "new.csv", SENSORS, x)
    lines = run_example("sensors", windows_bundle, "new.csv").splitlines()
    assert " of 4 are odd, above " in lines[0]
    assert any(line.startswith("row 32: ") and line.endswith(" in pressure") for line in lines)


def test_a_table_without_a_column_is_refused(windows_bundle: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "new.csv", SENSORS[1:], sensors(64)[:, 1:])
    done = subprocess.run(
        [sys.executable, EXAMPLE, windows_bundle, tmp_path / "new.csv"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    expected = "new.csv: expected the column temperature, got pressure, vibration, humidity"
    assert done.stderr.rstrip().endswith(expected)
    assert "Traceback" not in done.stderr
