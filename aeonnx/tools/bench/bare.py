"""onnxruntime alone: what aeonnx is held against, and what the machine's peak is measured with."""

from __future__ import annotations

from typing import Any

import onnxruntime as ort

__all__ = ["open_bare"]

# What aeonnx sets too, for the sake of parity with float32.
_PROVIDER_OPTIONS: dict[str, dict[str, str]] = {"CUDAExecutionProvider": {"use_tf32": "0"}}


def open_bare(model: str | bytes, provider: str, threads: int) -> Any:
    """An `onnxruntime.InferenceSession` with onnxruntime's defaults, but for the threads.

    Args:
        model: path or bytes of the graph.
        provider: full name of the execution provider.
        threads: to compute with.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    wanted = (provider, _PROVIDER_OPTIONS.get(provider, {}))
    return ort.InferenceSession(model, options, providers=[wanted])
