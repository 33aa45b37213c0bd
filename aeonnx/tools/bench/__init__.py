"""How fast a bundle is here, beside onnxruntime alone and torch. numpy and onnxruntime.

torch is imported only where a checkpoint is given, matplotlib only for a chart.
"""

from __future__ import annotations

from aeonnx.tools.bench.options import BenchOptions, Case
from aeonnx.tools.bench.results import Benchmark, Cell, Ratio, Timing
from aeonnx.tools.bench.run import Listener, bench

__all__ = ["BenchOptions", "Benchmark", "Case", "Cell", "Listener", "Ratio", "Timing", "bench"]
