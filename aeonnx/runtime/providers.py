"""Which execution providers (EPs) a session gets, and never another than was asked for.

onnxruntime lists providers that cannot load and falls back to the CPU with a line on stderr. Here
the default takes CUDA only where it really loads, and a provider asked for by name is an error if
the session did not get it.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from aeonnx.errors import ProviderError, UnknownNameError
from aeonnx.runtime.threads import usable_cores

__all__ = ["CPU", "CUDA", "create_session", "full_name"]

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

_OPTIONS: dict[str, dict[str, str]] = {
    # TF32 keeps 10 bits of each factor: too few for parity with float32.
    CUDA: {"use_tf32": "0"},
}


def full_name(name: str) -> str:
    """onnxruntime's name of a provider: "cuda" -> "CUDAExecutionProvider".

    Raises:
        UnknownNameError: onnxruntime knows no such provider.
    """
    known = {
        full.removesuffix("ExecutionProvider").lower(): full for full in ort.get_all_providers()
    }
    short = name.lower().removesuffix("executionprovider")
    if short not in known:
        raise UnknownNameError("provider", name, ["auto", *known])
    return str(known[short])


def create_session(path: Path, providers: Sequence[str] | None) -> ort.InferenceSession:
    """Open a graph.

    Args:
        path: the .onnx file.
        providers: EP names in order of preference, the first of which the session must get; None
            for CUDA where it loads, else the CPU.

    Raises:
        ProviderError: the first provider cannot run here.
    """
    if providers is None:
        if _cuda_problem() is None:
            session = _open(path, [CUDA, CPU])
            if session.get_providers()[0] == CUDA:
                return session
        return _open(path, [CPU])
    names = [full_name(name) for name in providers]
    problem = _cuda_problem() if names[0] == CUDA else None
    if problem is None:
        session = _open(path, names)
        if session.get_providers()[0] == names[0]:
            return session
        problem = "onnxruntime could not load it (its own message on stderr names the library)"
    raise ProviderError(
        f"{names[0]} was asked for and cannot run here: {problem}. "
        "To run without it: --provider cpu, or providers=['CPUExecutionProvider']"
    )


def _open(path: Path, names: Sequence[str]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 3
    if CUDA in names:
        # Finds the CUDA libraries of the nvidia wheels; it prints what it cannot find.
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()
    wanted: list[Any] = [(name, _OPTIONS.get(name, {})) for name in names]
    session = ort.InferenceSession(str(path), options, providers=wanted)
    # Otherwise a failure at run time is answered by a silent retry on the CPU.
    session.disable_fallback()
    return session


def _cuda_problem() -> str | None:
    """Why CUDA cannot run here, or None if nothing speaks against trying."""
    if CUDA not in ort.get_available_providers():
        return (
            "this onnxruntime is a build without CUDA: "
            "pip uninstall -y onnxruntime && pip install 'aeonnx[gpu]'"
        )
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "libcuda.so.1, a part of the NVIDIA driver, was not found: install the driver"
    count = ctypes.c_int(0)
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status or not count.value:
        return f"the NVIDIA driver sees no GPU (status {status})"
    return None
