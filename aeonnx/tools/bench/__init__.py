"""Benchmark of a bundle against onnxruntime alone and torch.

Needs numpy and onnxruntime; torch only if a checkpoint is given, matplotlib only for a chart.
"""

from __future__ import annotations

from aeonnx.tools.bench.options import BenchOptions, Case
from aeonnx.tools.bench.results import Benchmark, Cell, Ratio, Timing
from aeonnx.tools.bench.run import Listener, bench

__all__ = ["BenchOptions", "Benchmark", "Case", "Cell", "Listener", "Ratio", "Timing", "bench"]
