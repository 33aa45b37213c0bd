"""ONNX opset versions that graphs may have. Standard library only."""

from __future__ import annotations

from aeonnx.errors import UsageError

__all__ = ["DEFAULT_OPSET", "MIN_ONNXRUNTIME", "SAMPLER_OPSET", "check_opset"]

DEFAULT_OPSET = 18
SAMPLER_OPSET = 18  # the first with bitwise operators

MIN_ONNXRUNTIME = {
    13: "1.6",
    14: "1.8",
    15: "1.10",
    16: "1.11",
    17: "1.12",
    18: "1.14",
    19: "1.15",
    20: "1.17",
    21: "1.18",
    22: "1.21",
}
"""First release of onnxruntime that implements each opset (from its compatibility table)."""


def check_opset(opset: int) -> None:
    """Raise `UsageError` unless `opset` is a key of `MIN_ONNXRUNTIME`: 13 to 22."""
    lowest, highest = min(MIN_ONNXRUNTIME), max(MIN_ONNXRUNTIME)
    if opset not in MIN_ONNXRUNTIME:
        raise UsageError(f"--opset: expected {lowest} to {highest}, got {opset}")
