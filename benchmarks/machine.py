"""What a benchmark ran on: as `aeonnx bench` says it."""

from aeonnx.tools.bench.machine import describe

__all__ = ["describe"]
