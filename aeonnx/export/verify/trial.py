"""A graph tried out in a process of its own, since onnxruntime may crash on opening or running it.

`python -m aeonnx.export.verify.trial GRAPH INPUTS`: an .onnx and a .npz file.
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

_MODULE = "aeonnx.export.verify.trial"
_PATIENCE = 300.0
"""Seconds to open a graph and to run one batch."""


def require_running(path: Path, inputs: Mapping[str, Array]) -> None:
    """Open a graph and run one batch, elsewhere.

    Args:
        path: the .onnx file, in a folder that may be written to.
        inputs: of the batch, by name.

    Raises:
        QualityError: it crashes, is not done in time, or cannot be opened or run; says which.
    """
    buffer, rows = io.BytesIO(), path.with_suffix(".npz")
    np.savez(buffer, **dict[str, Any](inputs))
    files.write(rows, buffer.getvalue())  # beside the graph, where there is room for it
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
    """What the child does."""
    with np.load(inputs) as rows:
        try:
            Session(Path(graph), [CPU]).run({name: rows[name] for name in rows.files})
        except AeonnxError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
