"""onnxruntime alone: a contender of aeonnx, and what the machine's peak is measured with."""

from __future__ import annotations

from typing import Any

import onnxruntime as ort

__all__ = ["DEVICES", "open_bare"]

DEVICES = {
    "CPUExecutionProvider": "cpu",
    "CUDAExecutionProvider": "cuda",
    "TensorrtExecutionProvider": "cuda",
}
"""By execution provider, the device of its tensors, as onnxruntime and torch call it."""

# aeonnx sets this too: TF32 is too inexact for parity with float32 torch.
_PROVIDER_OPTIONS: dict[str, dict[str, str]] = {"CUDAExecutionProvider": {"use_tf32": "0"}}


def open_bare(model: str | bytes, provider: str, threads: int) -> Any:
    """An `onnxruntime.InferenceSession` with onnxruntime's defaults, except the number of threads.

    Args:
        model: path or bytes of the graph.
        provider: full name of the execution provider.
        threads: number of threads within an operator (intra-op).
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    wanted = (provider, _PROVIDER_OPTIONS.get(provider, {}))
    return ort.InferenceSession(model, options, providers=[wanted])
