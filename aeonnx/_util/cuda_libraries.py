"""Finds missing CUDA libraries and how to install them. Standard library only."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

__all__ = ["GPU_WHEEL", "driver_problem", "load_problem", "remedy"]

GPU_WHEEL = "pip uninstall -y onnxruntime && pip install 'aeonnx[gpu]'"
"""Command that replaces the CPU wheel of onnxruntime by the CUDA one."""

_DRIVER = "libcuda.so.1"
_TENSORRT = re.compile(r"libnv(?:infer|onnxparser)\w*\.so\.(\d+)")


def remedy(library: str) -> str:
    """What to do when a library, such as "libcudnn.so.9", is missing."""
    if library == _DRIVER:
        return "install the NVIDIA driver, which includes it"
    if tensorrt := _TENSORRT.fullmatch(library):
        return (
            f"pip install 'tensorrt-cu13-libs=={tensorrt[1]}.*', and add its folder "
            "tensorrt_libs to LD_LIBRARY_PATH"
        )
    if library.startswith(("libcu", "libnv")):
        return "pip install 'aeonnx[gpu]'"
    return "install the system package that contains it"


def driver_problem() -> str | None:
    """Why the NVIDIA driver provides no GPU; None if it does."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return f"{_DRIVER} was not found: {remedy(_DRIVER)}"
    count, name = ctypes.c_int(0), ctypes.c_char_p()
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status:
        driver.cuGetErrorName(status, ctypes.byref(name))
        return (
            f"the NVIDIA driver does not start ({(name.value or b'?').decode()}, {status}): "
            "nvidia-smi must list a GPU first"
        )
    return None if count.value else "the NVIDIA driver sees no GPU: nvidia-smi must list one first"


def load_problem(library: Path, *before: Path) -> str | None:
    """Why the dynamic loader cannot load a library; None if it can.

    Args:
        library: path of the library.
        before: libraries to load first, whose symbols it uses without linking to them.
    """
    try:
        for path in before:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(library))
    except OSError as error:
        missing = re.match(r"([^/\s]+): cannot open shared object file", str(error))
        return f"{missing[1]} is missing: {remedy(missing[1])}" if missing else str(error)
    return None
