"""Run a graph in a separate process, since onnxruntime may crash on opening or running it.

Usage: `python -m aeonnx.exporting.verify.trial GRAPH INPUTS`, an .onnx and a .npz file.
"""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from aeonnx._util import files
from aeonnx._util.subprocesses import run_module
from aeonnx.errors import AeonnxError, QualityError
from aeonnx.runtime.providers import CPU
from aeonnx.runtime.session import Array, Session

__all__ = ["require_running"]

_MODULE = "aeonnx.exporting.verify.trial"
_PATIENCE = 300.0
"""Seconds to open a graph and to run one batch."""


def require_running(path: Path, inputs: Mapping[str, Array]) -> None:
    """Open a graph and run one batch in a separate process.

    Args:
        path: the .onnx file, in a folder that may be written to.
        inputs: the inputs of one batch, by name.

    Raises:
        QualityError: it crashes, does not finish within 300 s, or cannot be opened or run.
    """
    buffer, rows = io.BytesIO(), path.with_suffix(".npz")
    np.savez(buffer, **dict[str, Any](inputs))
    files.write(rows, buffer.getvalue())  # in the graph's folder, which has space
    try:
        done = run_module(_MODULE, str(path), str(rows), timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise QualityError(
            f"onnxruntime {onnxruntime.__version__} does not run it in {_PATIENCE:g} s"
        ) from None
    finally:
        rows.unlink()
    if done.returncode < 0:
        raise QualityError(
            f"onnxruntime {onnxruntime.__version__} crashes on it ({_signal(-done.returncode)})"
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise QualityError(f"it does not run: {lines[-1]}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def main(graph: str, inputs: str) -> None:
    """Open and run the graph, in the child process."""
    with np.load(inputs) as rows:
        try:
            Session(Path(graph), [CPU]).run({name: rows[name] for name in rows.files})
        except AeonnxError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
