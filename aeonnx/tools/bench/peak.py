"""Peak of the machine: FLOP/s of a matrix product and, on a GPU, bytes/s of its memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from aeonnx.runtime.providers import CPU
from aeonnx.runtime.session import Array
from aeonnx.tools.bench.bare import DEVICES, open_bare
from aeonnx.tools.graphs import MATMUL, MATMUL_FLOAT16, NEG, StoredGraph

__all__ = ["Peak", "measure_peak"]

_SIDES = {"cpu": 1024, "cuda": 4096}  # rows and columns of the square matrices
_FLOATS = 2**26  # to read and write: more than any cache holds
_SECONDS = 0.1  # of calls, the fastest of which counts
_CALLS = 3
_PRODUCTS = {"float32": MATMUL, "float16": MATMUL_FLOAT16}


@dataclass(frozen=True)
class Peak:
    """The best speed that was measured.

    Args:
        flops: floating-point operations per second of a large matrix product, two for each
            multiply-add.
        dtype: element type of the matrices.
        bytes_per_s: bytes read and written per second in the device's memory; None on the CPU.
    """

    flops: float
    dtype: str
    bytes_per_s: float | None

    def or_better(self, other: Peak | None) -> Peak:
        """The larger of each figure of the two."""
        if other is None:
            return self
        speeds = (self.bytes_per_s, other.bytes_per_s)
        memory = max((speed for speed in speeds if speed is not None), default=None)
        return Peak(max(self.flops, other.flops), self.dtype, memory)


def measure_peak(provider: str, threads: int, dtype: str) -> Peak:
    """Measure a provider: one large matrix product and, on a GPU, one pass over the memory.

    Args:
        provider: full name.
        threads: threads of the session.
        dtype: "float32" or "float16".
    """
    side = _SIDES[DEVICES.get(provider, "cpu")]
    values = np.random.default_rng(0)
    factors = [values.random((side, side), np.float32).astype(dtype) for _ in "ab"]
    flops = 2 * side**3 / _fastest(_PRODUCTS[dtype], provider, threads, factors)
    if provider == CPU:
        return Peak(flops, dtype, None)
    # NEG, because a plain copy would be optimised away.
    zeros = np.zeros(_FLOATS, np.float32)
    return Peak(flops, dtype, 2 * zeros.nbytes / _fastest(NEG, provider, threads, [zeros]))


def _fastest(graph: StoredGraph, provider: str, threads: int, inputs: Sequence[Array]) -> float:
    """Seconds of the fastest call, with inputs and output in the device's memory."""
    device = DEVICES.get(provider, "cpu")
    session = open_bare(graph.data, provider, threads)
    binding = session.io_binding()
    for name, value in zip("ab", inputs, strict=False):
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(value, device, 0))
    like = inputs[0]
    out = ort.OrtValue.ortvalue_from_shape_and_type(like.shape, like.dtype.type, device, 0)
    binding.bind_ortvalue_output("c", out)
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < _CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        times.append(time.perf_counter() - start)
    return min(times)
