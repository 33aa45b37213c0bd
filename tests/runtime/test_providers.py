from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from click.testing import Result

import aeonnx
from aeonnx.errors import ProviderError, UnknownNameError
from aeonnx.runtime import providers
from aeonnx.runtime.threads import usable_cores

Maker = Callable[..., Path]

needs_no_gpu = pytest.mark.skipif(
    providers._cuda_problem() is None, reason="tells what happens without a GPU"
)


def test_short_and_full_names_are_the_same() -> None:
    assert providers.full_name("cuda") == "CUDAExecutionProvider"
    assert providers.full_name("CPUExecutionProvider") == "CPUExecutionProvider"
    with pytest.raises(UnknownNameError, match=r"unknown provider 'cudda'\. Did you mean 'cuda'"):
        providers.full_name("cudda")


@needs_no_gpu
@pytest.mark.parametrize("name", ["cuda", "CUDAExecutionProvider"])
def test_cuda_by_name_is_never_a_silent_cpu_run(bundle_of: Maker, name: str) -> None:
    bundle = aeonnx.load(bundle_of(), providers=[name])
    with pytest.raises(
        ProviderError, match=r"CUDAExecutionProvider was asked for and cannot run"
    ) as e:
        bundle.generate(1)
    assert "libcuda.so.1" in str(e.value) or "build without CUDA" in str(e.value)
    assert "--provider cpu" in str(e.value)


@needs_no_gpu
def test_command_exits_with_4_where_cuda_cannot_run(
    bundle_of: Maker, aeonnx: Callable[..., Result], tmp_path: Path
) -> None:
    result = aeonnx("generate", bundle_of(), "-o", "x.png", "--provider", "cuda")
    assert result.exit_code == 4
    assert "Error: CUDAExecutionProvider was asked for and cannot run here" in result.stderr
    assert not (tmp_path / "x.png").exists()


@needs_no_gpu
def test_default_is_the_cpu_without_a_gpu_and_says_so(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of())
    bundle.generate(1)
    assert bundle.provider == "CPUExecutionProvider"


class FakeSession:
    """What onnxruntime gives when CUDA cannot load: a session on the CPU, and no exception."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]

    def disable_fallback(self) -> None: ...


def test_a_provider_that_onnxruntime_quietly_drops_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(providers, "_cuda_problem", lambda: None)
    monkeypatch.setattr(ort, "InferenceSession", FakeSession)
    monkeypatch.setattr(ort, "preload_dlls", lambda: None, raising=False)
    with pytest.raises(ProviderError, match="onnxruntime could not load it"):
        providers.create_session(tmp_path / "g.onnx", ["cuda"])
    session = providers.create_session(tmp_path / "g.onnx", None)
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_a_build_without_cuda_names_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    problem = providers._cuda_problem()
    assert problem is not None
    assert "pip install 'aeonnx[gpu]'" in problem


def fresh(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_missing_onnxruntime_names_the_extra() -> None:
    code = """
import sys, importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "onnxruntime" else real(name, *rest)
from aeonnx.cli import main
sys.argv = ["aeonnx", "generate", "dist/vae", "-o", "grid.png"]
main()
"""
    done = fresh(code)
    assert done.returncode == 4
    assert (
        "running a bundle needs onnxruntime, which is not installed: pip install 'aeonnx[cpu]'"
        in done.stderr
    )


def test_both_wheels_are_named(tmp_path: Path) -> None:
    """Two real-looking installations side by side, found as pip leaves them."""
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime/__init__.py").touch()
    for name in ("onnxruntime-1.31.1", "onnxruntime_gpu-1.31.1"):
        (tmp_path / f"{name}.dist-info").mkdir()
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
sys.argv = ["aeonnx", "verify", "dist/vae"]
from aeonnx.cli import main
main()
"""
    done = fresh(code)
    assert done.returncode == 4
    assert "both onnxruntime and onnxruntime-gpu are installed" in done.stderr
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install" in done.stderr


@pytest.mark.parametrize(
    ("blocked", "command", "purpose"),
    [
        ("torch", ["train", "-m", "vae"], "building a model|training"),
        ("onnx", ["export", "-m", "vae"], "exporting"),
        ("onnx", ["inspect", "dist/vae", "--graph", "decoder"], "reading a graph"),
        ("onnx", ["inspect", "dist/vae", "--html", "vae.html"], "reading a graph"),
        ("safetensors", ["train", "-m", "vae"], "training|reading a checkpoint"),
    ],
)
def test_missing_extras_give_the_exact_pip_line(
    blocked: str, command: list[str], purpose: str
) -> None:
    code = f"""
import sys, importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == {blocked!r} else real(name, *rest)
sys.modules[{blocked!r}] = None
sys.argv = ["aeonnx", *{command!r}]
from aeonnx.cli import main
main()
"""
    done = fresh(code)
    assert done.returncode == 4, done.stderr
    import re

    expected = rf"Error: ({purpose}) needs {blocked}[\w.]*, which is not installed: pip install "
    assert re.search(expected + r"'aeonnx\[train\]'", done.stderr), done.stderr


def test_telemetry_is_off_before_onnxruntime_starts() -> None:
    code = "import os, aeonnx.runtime; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert fresh(code).stdout == "1\n"


def test_cores_are_those_of_this_process() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from aeonnx.runtime.threads import usable_cores; print(usable_cores())"
    )
    assert fresh(code).stdout == "1\n"
    assert usable_cores() >= 1


@pytest.mark.gpu
def test_cuda_gives_the_golden_vectors(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of(), providers=["cuda"])
    on_gpu = bundle.generate(64, seed=1)
    assert bundle.provider == "CUDAExecutionProvider"
    on_cpu = aeonnx.load(bundle_of(), providers=["cpu"]).generate(64, seed=1)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=2e-6)
