"""The process that `ask` starts; it answers one question with one line of JSON."""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable
from typing import Any

from aeonnx._util.cuda_libraries import driver_problem
from aeonnx.errors import AeonnxError, ProviderError, SetupError, UsageError
from aeonnx.tools.graphs import SQUARE

__all__: list[str] = []


def onnxruntime() -> dict[str, Any]:
    """The EPs of the installed onnxruntime, and the CUDA version that it is built for."""
    from aeonnx import runtime

    runtime.require_one_onnxruntime()  # importing aeonnx.runtime may have done so already
    import onnxruntime as ort

    return {"eps": ort.get_available_providers(), "cuda": getattr(ort, "cuda_version", "") or None}


def provider(name: str) -> dict[str, Any]:
    """An EP's full name, and the reason why it cannot run here; None if it runs.

    Raises:
        SetupError: it runs and outputs wrong numbers.
    """
    import numpy as np

    from aeonnx.runtime.providers import create_session, full_name

    full = full_name(name)
    try:
        session = create_session(SQUARE.data, [full])
    except ProviderError as error:
        return {"name": full, "reason": error.reason}
    x = np.array([[1, 2], [3, 4]], np.float32)
    (y,) = session.run(["y"], {"x": x})
    found, expected = y.tolist(), [[7, 10], [15, 22]]
    if found != expected:
        raise SetupError(f"it outputs {found} for a product that is {expected}")
    return {"name": full, "reason": None}


def driver() -> dict[str, Any]:
    """The NVIDIA driver and the GPUs that it lists."""
    problem = driver_problem()
    version, cuda, found = _driver_version(), None, []
    if problem is None:
        cuda_driver = ctypes.CDLL("libcuda.so.1")
        number = ctypes.c_int(0)
        cuda_driver.cuDriverGetVersion(ctypes.byref(number))
        cuda = f"{number.value // 1000}.{number.value % 1000 // 10}"
        cuda_driver.cuDeviceGetCount(ctypes.byref(number))
        found = [_gpu(cuda_driver, index) for index in range(number.value)]
    return {"driver": {"version": version, "cuda": cuda, "problem": problem}, "gpus": found}


def _gpu(driver: ctypes.CDLL, index: int) -> dict[str, Any]:
    device, major, minor = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t(0)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, len(name), device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    for number, attribute in ((major, 75), (minor, 76)):  # COMPUTE_CAPABILITY_MAJOR, _MINOR
        driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
    return {
        "name": name.value.decode(errors="replace"),
        "memory_bytes": memory.value,
        "compute_capability": f"{major.value}.{minor.value}",
    }


def _driver_version() -> str | None:
    """The driver's version, which only its management library returns."""
    try:
        management = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    version = ctypes.create_string_buffer(96)
    if management.nvmlInit_v2() or management.nvmlSystemGetDriverVersion(version, len(version)):
        return None
    return version.value.decode(errors="replace")


def answer(question: str, *arguments: str) -> str:
    """The answer to a question as JSON."""
    questions: dict[str, Callable[..., dict[str, Any]]] = {
        "onnxruntime": onnxruntime,
        "provider": provider,
        "driver": driver,
    }
    try:
        reply: dict[str, Any] = {"answer": questions[question](*arguments)}
    except AeonnxError as error:
        reply = {"error": str(error), "usage": isinstance(error, UsageError)}
    return json.dumps(reply)


if __name__ == "__main__":
    print(answer(*sys.argv[1:]), flush=True)
