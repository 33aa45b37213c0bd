"""`aeonnx doctor` on this machine, and on others that are made up."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from aeonnx import __version__
from aeonnx._util.subprocesses import run_module
from aeonnx.errors import SetupError
from aeonnx.tools.doctor import Diagnosis, ProviderCheck, _ask, _examine, _libraries
from aeonnx.tools.doctor._cpu import examine_cpu

Cli = Callable[..., Result]

ROOT = Path(__file__).parent.parent

FAKE = """
import os, time
from types import SimpleNamespace
import numpy as np

def get_available_providers():
    return ["OpenVINOExecutionProvider", "CPUExecutionProvider"]

def get_all_providers():
    return ["OpenVINOExecutionProvider", "CPUExecutionProvider", "XnnpackExecutionProvider"]

class SessionOptions:
    def add_session_config_entry(self, *_): ...

class InferenceSession:
    def __init__(self, graph, options, providers, **_):
        self.name = providers[0][0]
    def get_providers(self):
        return [self.name]
    def disable_fallback(self): ...
    def get_modelmeta(self):
        return SimpleNamespace(custom_metadata_map={{}})
    def get_inputs(self):
        return []
    get_outputs = get_inputs
    def run(self, *_):
        if self.name == "OpenVINOExecutionProvider":
            {broken}
        return [np.array([[7, 10], [15, 22]], np.float32)]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a made-up onnxruntime before the real one, for the processes that the doctor starts."""

    def make(broken: str, wheels: tuple[str, ...] = ("onnxruntime-1.31.1",)) -> None:
        site = tmp_path / "site"
        package = site / "onnxruntime"
        (package / "capi").mkdir(parents=True)
        (package / "__init__.py").write_text(FAKE.format(broken=broken))
        (package / "capi/__init__.py").touch()
        errors = "class InvalidProtobuf(Exception): ..."
        (package / "capi/onnxruntime_pybind11_state.py").write_text(errors)
        for wheel in wheels:
            (site / f"{wheel}.dist-info").mkdir()
            name, _, version = wheel.partition("-")
            text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            (site / f"{wheel}.dist-info/METADATA").write_text(text)
        monkeypatch.syspath_prepend(site)

    return make


def said(result: Result) -> str:
    """What was printed, whatever the width it was wrapped to."""
    return re.sub(r"\s+", " ", result.stdout)


def test_this_machine(aeonnx: Cli) -> None:
    result = aeonnx("doctor")
    assert result.exit_code == 0, result.output
    for text in (
        f"aeonnx {__version__}, python 3.",
        "onnxruntime",
        "✓ CPUExecutionProvider runs",
        "telemetry off: aeonnx runs onnxruntime with ORT_DISABLE_TELEMETRY=1",
        "per session; the machine has",
    ):
        assert text in said(result)


def test_json_has_everything(aeonnx: Cli) -> None:
    result = aeonnx("doctor", "--json", "--provider", "cpu")
    document = json.loads(result.stdout)
    assert list(document) == [field.name for field in dataclasses.fields(Diagnosis)]
    assert document["requested"] == {"name": "CPUExecutionProvider", "reason": None}
    assert document["requested"] in document["providers"]
    assert document["versions"].keys() >= {"aeonnx", "python", "numpy", "torch", "onnx"}
    for library in ("diffusers", "transformers", "pythae"):
        installed = importlib.util.find_spec(library) is not None
        version = importlib.metadata.version(library) if installed else None
        assert document["versions"].get(library) == version
    assert document["cpu"]["cores"] >= document["cpu"]["usable"] >= 1
    assert document["driver"].keys() == {"version", "cuda", "problem"}


@pytest.mark.shortened(1)
@pytest.mark.parametrize("name", ["xnnpack", "XnnpackExecutionProvider"])
def test_a_provider_that_cannot_run_exits_with_4(aeonnx: Cli, name: str) -> None:
    result = aeonnx("doctor", "--json", "--provider", name)
    assert result.exit_code == 4
    expected = "XnnpackExecutionProvider was asked for and cannot run here: this onnxruntime is"
    assert f"Error: {expected} a build without it, it has " in result.stderr
    assert "a build without it" in json.loads(result.stdout)["requested"]["reason"]


def test_an_unknown_provider_is_a_typo(aeonnx: Cli) -> None:
    result = aeonnx("doctor", "--provider", "cudda")
    assert result.exit_code == 2
    assert "unknown provider 'cudda'. Did you mean 'cuda'?" in result.stderr


@pytest.mark.shortened(1)
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("os.abort()", "OpenVINOExecutionProvider crashed the interpreter (SIGABRT)"),
        ("raise OSError('no device')", "OpenVINOExecutionProvider failed: OSError: no device"),
        ("print('bye'); os._exit(0)", "OpenVINOExecutionProvider failed"),
        (
            "return [np.zeros((2, 2))]",
            "it outputs [[0.0, 0.0], [0.0, 0.0]] for a product that is [[7, 10], [15, 22]]",
        ),
    ],
)
def test_a_broken_provider_breaks_its_own_process_alone(
    aeonnx: Cli, install: Callable[..., None], broken: str, reason: str
) -> None:
    install(broken)
    result = aeonnx("doctor")
    assert result.exit_code == 0, result.output
    assert f"✗ OpenVINOExecutionProvider {reason}" in said(result)
    assert "✓ CPUExecutionProvider runs" in said(result)
    assert re.search(rf"Problems: ✗ (\w+: )?{re.escape(reason)}", said(result))
    result = aeonnx("doctor", "--provider", "openvino")
    assert result.exit_code == 4
    assert f"OpenVINOExecutionProvider was asked for and cannot run here: {reason}" in result.stderr


def test_a_provider_that_hangs_is_stopped(
    install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("time.sleep(600)")
    monkeypatch.setattr(_ask, "LIMIT_S", 2.0)
    broken: list[ProviderCheck] = []
    tried = _examine._checked("OpenVINOExecutionProvider", broken)
    assert tried.reason == "OpenVINOExecutionProvider did not answer within 2 s and was stopped"
    assert broken == [tried]


def test_both_wheels(aeonnx: Cli, install: Callable[..., None]) -> None:
    install("pass", ("onnxruntime-1.31.1", "onnxruntime_gpu-1.31.1"))
    for words in ((), ("--provider", "cpu")):
        result = aeonnx("doctor", *words)
        assert result.exit_code == 4
        problem = (
            "both onnxruntime and onnxruntime-gpu are installed, and each breaks the other: pip "
            "uninstall -y onnxruntime onnxruntime-gpu && pip install 'aeonnx[gpu]'"
        )
        assert f"Problems: ✗ {problem}" in said(result)
        assert f"Error: no bundle can run here: {problem}" in result.stderr
        assert "onnxruntime 1.31.1, onnxruntime-gpu 1.31.1" in said(result)


def test_no_onnxruntime(aeonnx: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("""
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "onnxruntime" else real(name, *rest)
""")
    monkeypatch.syspath_prepend(tmp_path)
    result = aeonnx("doctor", "--json")
    assert result.exit_code == 4
    problem = (
        "running a bundle needs onnxruntime, which is not installed: pip install 'aeonnx[cpu]'"
    )
    document = json.loads(result.stdout)
    assert document["problems"] == [problem]
    assert document["providers"] == []
    assert result.stderr == f"Error: no bundle can run here: {problem}\n"


def test_an_onnxruntime_that_cannot_be_imported(
    aeonnx: Cli, install: Callable[..., None], tmp_path: Path
) -> None:
    install("pass")
    (tmp_path / "site/onnxruntime/__init__.py").write_text("raise ImportError('libfoo.so.1')")
    result = aeonnx("doctor")
    assert result.exit_code == 4
    assert (
        "onnxruntime cannot be imported (libfoo.so.1), install it again: "
        "pip install --force-reinstall 'aeonnx[cpu]'" in result.stderr
    )


def test_telemetry_that_was_switched_on(aeonnx: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    telemetry = json.loads(aeonnx("doctor", "--json").stdout)["telemetry"]
    assert telemetry == "on: ORT_DISABLE_TELEMETRY=0 is set, and only 1 turns it off"


ONLY_HERE = """
import pathlib, sys
from importlib.machinery import PathFinder
class OnlyHere:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "onnxruntime":
            return PathFinder.find_spec(name, [str(pathlib.Path(__file__).parent)])
sys.meta_path.insert(0, OnlyHere)
"""


def alone(site: Path, *words: object, before: str = "") -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, and its children, with the onnxruntime in `site`."""
    (site / "sitecustomize.py").write_text(ONLY_HERE)
    code = f"{before}\nfrom aeonnx.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "left", ["capi/libonnxruntime.so.1.31.1", "__pycache__/__init__.cpython-311.pyc"]
)
def test_an_onnxruntime_that_was_uninstalled_in_part(
    bundle_of: Callable[..., Path], tmp_path: Path, left: str
) -> None:
    """Python takes a folder without a module for a module without anything."""
    path = tmp_path / "onnxruntime" / left
    path.parent.mkdir(parents=True)
    path.touch()
    words = (
        f"running a bundle needs onnxruntime, of which only the folder {tmp_path / 'onnxruntime'} "
        "is left: pip install --force-reinstall 'aeonnx[cpu]'\n"
    )
    done = alone(tmp_path, "verify", bundle_of())
    assert (done.returncode, done.stderr) == (4, f"Error: {words}")
    done = alone(tmp_path, "doctor")
    assert (done.returncode, done.stderr) == (4, f"Error: no bundle can run here: {words}")


def test_an_onnxruntime_without_its_library(bundle_of: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime/__init__.py").write_text("from onnxruntime import capi")
    for words in (("verify", bundle_of()), ("doctor",)):
        done = alone(tmp_path, *words)
        assert done.returncode == 4
        assert "onnxruntime cannot be imported (cannot import name 'capi'" in done.stderr
        assert "install it again: pip install --force-reinstall 'aeonnx[cpu]'" in done.stderr
        assert "Traceback" not in done.stderr


FROZEN = """
import sys
sys.frozen, sys.executable = True, "/nowhere/program"
"""


def test_a_frozen_program_does_not_start_itself(tmp_path: Path) -> None:
    done = alone(tmp_path, "doctor", "--json", before=f"{FROZEN}sys.meta_path.pop(0)")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"name": "CPUExecutionProvider", "reason": None} in found["providers"]
    assert found["problems"] == []
    done = alone(tmp_path, "doctor", "--provider", "cudda", before=f"{FROZEN}sys.meta_path.pop(0)")
    assert done.returncode == 2
    assert "unknown provider 'cudda'. Did you mean 'cuda'?" in done.stderr


@pytest.mark.shortened(1)
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("os.abort()", "crashed the interpreter (SIGABRT)"),
        ("raise OSError('no device')", "failed: OSError: no device"),
        ("os._exit(0)", "failed"),
        ("time.sleep(600)", "did not answer within 2 s and was stopped"),
    ],
)
def test_a_broken_provider_does_not_break_a_frozen_program(
    install: Callable[..., None], tmp_path: Path, broken: str, reason: str
) -> None:
    install(broken)
    limit = "import aeonnx.tools.doctor._ask as asking; asking.LIMIT_S = 2.0"
    done = alone(tmp_path / "site", "doctor", "--json", before=FROZEN + limit)
    assert done.returncode == 0, done.stderr
    tried = {ep["name"]: ep["reason"] for ep in json.loads(done.stdout)["providers"]}
    assert tried["CPUExecutionProvider"] is None
    assert tried["OpenVINOExecutionProvider"] == f"OpenVINOExecutionProvider {reason}"


def test_a_frozen_program_starts_no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/program/program")
    with pytest.raises(SetupError, match="and program is a frozen program, which cannot start"):
        run_module("aeonnx.tools.demo.drawing")


def machine(
    cuda: str | None, driver_cuda: str, reason: str | None, *, gpu: bool = True
) -> Callable[..., Any]:
    """What the processes answer on a machine with a GPU, or without one."""

    def ask(question: str, *arguments: str) -> Any:
        if question == "driver":
            driver = {"version": "580.65.06", "cuda": driver_cuda, "problem": None}
            h100 = {"name": "NVIDIA H100", "memory_bytes": 80 * 2**30, "compute_capability": "9.0"}
            return {"driver": driver, "gpus": [h100] * gpu}
        if question == "onnxruntime":
            eps = ["CUDAExecutionProvider"] if cuda else []
            return {"eps": [*eps, "CPUExecutionProvider"], "cuda": cuda}
        (name,) = arguments
        return {"name": name, "reason": reason if name.startswith("CUDA") else None}

    return ask


@pytest.mark.parametrize(
    ("cuda", "driver", "reason", "problem"),
    [
        ("13.0", "13.1", None, None),
        (
            None,
            "13.0",
            None,
            "there is a GPU, and onnxruntime is a build without CUDA: pip uninstall -y onnxruntime "
            "&& pip install 'aeonnx[gpu]'",
        ),
        (
            "13.0",
            "12.4",
            "initialization failed",
            "the NVIDIA driver is made for CUDA 12.4 and onnxruntime for CUDA 13.0: install a "
            "driver for CUDA 13 or newer",
        ),
        (
            "13.0",
            "13.0",
            "libcublasLt.so.13 is missing: pip install 'aeonnx[gpu]'",
            "CUDAExecutionProvider: libcublasLt.so.13 is missing: pip install 'aeonnx[gpu]'",
        ),
    ],
)
def test_a_gpu_that_is_not_used_is_a_problem(
    aeonnx: Cli,
    monkeypatch: pytest.MonkeyPatch,
    cuda: str | None,
    driver: str,
    reason: str | None,
    problem: str | None,
) -> None:
    monkeypatch.setattr(_examine, "ask", machine(cuda, driver, reason))
    result = aeonnx("doctor")
    assert result.exit_code == 0
    assert (f"Problems: ✗ {problem}" if problem else "No problems.") in said(result)
    if reason:
        assert f"✗ CUDAExecutionProvider {reason}" in said(result)
    assert f"driver 580.65.06, for CUDA {driver}" in said(result)
    assert "gpu 0 NVIDIA H100, 80 GiB, compute capability 9.0" in said(result)


def test_what_is_not_installed_is_no_problem(aeonnx: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "libcuda.so.1 was not found: install the NVIDIA driver"
    monkeypatch.setattr(_examine, "ask", machine("13.0", "13.0", reason, gpu=False))
    result = aeonnx("doctor")
    assert result.exit_code == 0
    assert f"- CUDAExecutionProvider {reason}" in said(result)
    assert "✗" not in result.stdout
    assert "-: not available here; no problem unless you need it. No problems." in said(result)
    result = aeonnx("doctor", "--provider", "cuda")
    assert result.exit_code == 4
    assert f"✗ CUDAExecutionProvider {reason}" in said(result)
    assert f"Problems: ✗ CUDAExecutionProvider: {reason}" in said(result)


LDD = """
\tlinux-vdso.so.1 (0x00007ffadd577000)
\tlibcudart.so.13 => /env/nvidia/cu13/lib/libcudart.so.13 (0x00007ffadd577000)
\tlibcudnn.so.9 => not found
\tlibc.so.6 => /lib/libc.so.6 (0x00007ffadd577000)
"""


def test_libraries_are_found_or_missing(
    aeonnx: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "onnxruntime"
    (package / "capi").mkdir(parents=True)
    for name in ("shared", "tensorrt"):
        (package / f"capi/libonnxruntime_providers_{name}.so").touch()
    (tmp_path / "nvidia/cu13/lib").mkdir(parents=True)

    class Spec:
        submodule_search_locations = (str(package),)

    def ldd(file: Path, folders: list[str]) -> str:
        assert folders == [str(tmp_path / "nvidia/cu13/lib")]
        return LDD if "tensorrt" in file.name else ""

    monkeypatch.setattr(_libraries, "find_spec", lambda _: Spec)
    monkeypatch.setattr(_libraries, "_ldd", ldd)
    monkeypatch.setattr(_examine, "ask", machine("13.0", "13.0", None))
    result = aeonnx("doctor")
    assert "✓ libcudart.so.13 tensorrt /env/nvidia/cu13/lib/libcudart.so.13" in said(result)
    assert "✗ libcudnn.so.9 cuda, tensorrt missing: pip install 'aeonnx[gpu]'" in said(result)
    needed = "libcudnn.so.9 is missing, needed by cuda, tensorrt: pip install 'aeonnx[gpu]'"
    assert f"Problems: ✗ {needed}" in said(result)
    assert "libc.so.6" not in said(result)
    monkeypatch.setattr(_examine, "ask", machine("13.0", "13.0", "no driver", gpu=False))
    result = aeonnx("doctor")
    assert "- libcudnn.so.9 cuda, tensorrt not installed: pip install" in said(result)
    assert "✗" not in result.stdout
    assert "No problems." in said(result)


@pytest.mark.parametrize(
    ("text", "model", "features"),
    [
        (
            "model name\t: AMD EPYC\nflags\t\t: fpu avx2 f16c avx512f avx512_vnni amx_int8\n"
            "\nmodel name\t: another\nflags\t: sve\n",
            "AMD EPYC",
            ("avx2", "f16c", "avx512f", "avx512_vnni", "amx_int8"),
        ),
        ("Features\t: fp asimd asimddp i8mm\n", None, ("asimd", "asimddp", "i8mm")),
        (None, None, ()),
    ],
)
def test_what_the_kernel_says_of_the_cpu(
    tmp_path: Path, text: str | None, model: str | None, features: tuple[str, ...]
) -> None:
    if text is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cpuinfo").write_text(text)
    found = examine_cpu(tmp_path)
    assert found.features == features
    assert found.model == model if model else found.model


@pytest.mark.gpu
def test_the_gpu_of_this_machine(aeonnx: Cli) -> None:
    result = aeonnx("doctor", "--json", "--provider", "cuda")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["gpus"][0]["memory_bytes"] > 2**30
    assert document["driver"]["problem"] is None
    assert document["problems"] == []
    missing = {library["name"] for library in document["libraries"] if not library["path"]}
    assert all(name.startswith("libnv") for name in missing)  # TensorRT's
