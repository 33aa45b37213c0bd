"""Compare training runs: their options, metrics and curves. Needs no torch."""

from __future__ import annotations

from aeonnx.tools.runs.compare import Comparison, compare
from aeonnx.tools.runs.plot import plot

__all__ = ["Comparison", "compare", "plot"]
