"""Peak of the machine: FLOP/s of a matrix product and, on a GPU, bytes/s of its memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from aeonnx.runtime.providers import CPU
from aeonnx.runtime.session import Array
from aeonnx.tools.bench.bare import open_bare

__all__ = ["Peak", "graph", "measure_peak"]

_SIDES = {"cpu": 1024, "cuda": 4096}  # rows and columns of the square matrices
_FLOATS = 2**26  # to read and write: more than any cache holds
_SECONDS = 0.1  # of calls, the fastest of which counts
_CALLS = 3
_DEVICES = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "cuda"}
_ELEMENTS = {"float32": 1, "float16": 10}  # onnx.TensorProto's numbers
_IR_VERSION, _OPSET = 8, 18


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
    side = _SIDES[_DEVICES.get(provider, "cpu")]
    product = graph("MatMul", dtype, (("m", "k"), ("k", "n")), ("m", "n"))
    values = np.random.default_rng(0)
    factors = [values.random((side, side), np.float32).astype(dtype) for _ in "ab"]
    flops = 2 * side**3 / _fastest(product, provider, threads, factors)
    if provider == CPU:
        return Peak(flops, dtype, None)
    # Neg, because a plain copy would be optimised away.
    copy = graph("Neg", "float32", (("n",),), ("n",))
    zeros = np.zeros(_FLOATS, np.float32)
    return Peak(flops, dtype, 2 * zeros.nbytes / _fastest(copy, provider, threads, [zeros]))


def _fastest(model: bytes, provider: str, threads: int, inputs: Sequence[Array]) -> float:
    """Seconds of the fastest call, with inputs and output in the device's memory."""
    device = _DEVICES.get(provider, "cpu")
    session = open_bare(model, provider, threads)
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


def graph(op: str, dtype: str, inputs: Sequence[Sequence[str]], output: Sequence[str]) -> bytes:
    """An ONNX file with one node: inputs a, b and so on, output c, named axes.

    Encoded as protobuf by hand, because the onnx package is not installed where bundles run.
    """
    names = [chr(ord("a") + number) for number in range(len(inputs))]
    node = _message(*((1, name) for name in names), (2, "c"), (4, op))
    values = [
        (number, _value(name, dtype, axes))
        for number, name, axes in (
            *((11, name, axes) for name, axes in zip(names, inputs, strict=True)),
            (12, "c", output),
        )
    ]
    body = _message((1, node), (2, "peak"), *values)
    opset = _message((1, ""), (2, _OPSET))
    return _message((1, _IR_VERSION), (7, body), (8, opset))


def _value(name: str, dtype: str, axes: Sequence[str]) -> bytes:
    """An encoded ValueInfoProto."""
    shape = _message(*((1, _message((2, axis))) for axis in axes))
    tensor = _message((1, _ELEMENTS[dtype]), (2, shape))
    return _message((1, name), (2, _message((1, tensor))))


def _message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """An encoded protobuf message of (field number, integer, text or message)."""
    found = b""
    for number, value in fields:
        if isinstance(value, int):
            found += _varint(number << 3) + _varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            found += _varint(number << 3 | 2) + _varint(len(data)) + data
    return found


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
