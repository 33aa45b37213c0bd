"""What the dynamic loader and the NVIDIA driver say, in words."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from aeonnx._util.cuda_libraries import driver_problem, load_problem


def test_what_the_loader_says_otherwise_is_said_as_it_is(tmp_path: Path) -> None:
    damaged = tmp_path / "libdamaged.so"
    damaged.write_bytes(b"nothing" * 100)
    assert "libdamaged.so: invalid ELF header" in str(load_problem(damaged))
    present = next(Path(ort.__file__).parent.glob("capi/onnxruntime_pybind11_state*.so"))
    assert load_problem(present) is None


class FakeDriver:
    """libcuda.so.1, as far as it is asked."""

    def __init__(self, status: int, gpus: int) -> None:
        self.status, self.gpus = status, gpus

    def cuInit(self, _: int) -> int:  # noqa: N802
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.gpus
        return 0

    def cuGetErrorName(self, _: int, name: Any) -> int:  # noqa: N802
        name._obj.value = b"CUDA_ERROR_NO_DEVICE"
        return 0


@pytest.mark.parametrize(
    ("driver", "text"),
    [
        (FakeDriver(0, 1), None),
        (FakeDriver(0, 0), "the NVIDIA driver sees no GPU: nvidia-smi must list one first"),
        (FakeDriver(100, 0), "the NVIDIA driver does not start (CUDA_ERROR_NO_DEVICE, 100): "),
    ],
)
def test_what_the_driver_says(
    monkeypatch: pytest.MonkeyPatch, driver: FakeDriver, text: str | None
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    problem = driver_problem()
    assert problem is None if text is None else str(problem).startswith(text)
