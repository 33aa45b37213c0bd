"""Describe the machine of a benchmark, as `aeonnx bench` does."""

from aeonnx.tools.bench.machine import describe

__all__ = ["describe"]
