from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from click.testing import Result

import aeonnx
from aeonnx import runtime
from aeonnx._util.cuda_libraries import load_problem
from aeonnx._util.machine import usable_cores
from aeonnx.errors import IntegrityError, ProviderError, UnknownNameError, UsageError
from aeonnx.runtime import providers
from aeonnx.tools.graphs import SQUARE
from tests.support import graph_file

Maker = Callable[..., Path]

needs_no_gpu = pytest.mark.skipif(
    providers._build_problem(providers.CUDA) is None, reason="tells what happens without a GPU"
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
    """What onnxruntime gives when an EP cannot load: a session on the CPU, and no exception."""

    opened: ClassVar[list[list[tuple[str, dict[str, str]]]]] = []
    gets = "CPUExecutionProvider"

    def __init__(self, *_: object, providers: list[tuple[str, dict[str, str]]], **__: object):
        self.opened.append(providers)

    def get_providers(self) -> list[str]:
        return [self.gets]

    def disable_fallback(self) -> None: ...

    def get_modelmeta(self) -> Any:
        return SimpleNamespace(custom_metadata_map={})

    def get_inputs(self) -> list[Any]:
        return []

    get_outputs = get_inputs


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeSession]:
    """Sessions of an onnxruntime with CUDA and TensorRT, on a machine whose driver is well."""
    monkeypatch.setattr(FakeSession, "opened", [])
    monkeypatch.setattr(ort, "InferenceSession", FakeSession)
    monkeypatch.setattr(ort, "preload_dlls", lambda: None, raising=False)
    eps = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: eps)
    monkeypatch.setattr(providers, "driver_problem", lambda: None)
    monkeypatch.setattr(providers, "_load_problem", lambda _: None)
    return FakeSession


@pytest.mark.usefixtures("fake")
def test_a_provider_that_onnxruntime_quietly_drops_is_an_error() -> None:
    with pytest.raises(ProviderError, match="onnxruntime could not load it"):
        providers.create_session(Path("g.onnx"), ["cuda"])
    session = providers.create_session(Path("g.onnx"), None)
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_our_options_lie_under_the_users(
    fake: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "gets", "CUDAExecutionProvider")
    ours = {
        "use_tf32": "0",
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
    }
    providers.create_session(b"", None)
    providers.create_session(b"", ["cuda", "cpu"])
    providers.create_session(b"", [("cuda", {"use_tf32": "1", "device_id": "0"})])
    assert fake.opened == [
        [("CUDAExecutionProvider", ours)],
        [("CUDAExecutionProvider", ours), ("CPUExecutionProvider", {})],
        [("CUDAExecutionProvider", {**ours, "use_tf32": "1", "device_id": "0"})],
    ]


def test_what_tensorrt_leaves_goes_to_cuda(
    fake: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "gets", "TensorrtExecutionProvider")
    providers.create_session(b"", ["tensorrt"])
    providers.create_session(b"", ["tensorrt", "cpu"])
    assert [[name for name, _ in opened] for opened in fake.opened] == [
        ["TensorrtExecutionProvider", "CUDAExecutionProvider"],
        ["TensorrtExecutionProvider", "CPUExecutionProvider"],
    ]


SIGNATURE = "/src/cuda.cc:63 static Info onnxruntime::FromProviderOptions(const ProviderOptions&) "


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (
            f"{SIGNATURE}[ONNXRuntimeError] : 1 : FAIL : utils.h:182 Parse Unknown provider "
            'option: "tf23".\n',
            r"onnxruntime says: Unknown provider option: \"tf23\"\. \(options: {.*'tf23': '1'}\)",
        ),
        (
            f"{SIGNATURE}CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; expr=cudaMalloc()\n",
            r"onnxruntime says: CUDA failure 2: out of memory \(options: {",
        ),
        ("Something new.\n", r"onnxruntime says: Something new\. \(options: {"),
    ],
)
def test_what_onnxruntime_says_is_said_in_words(
    fake: type[FakeSession], monkeypatch: pytest.MonkeyPatch, said: str, text: str
) -> None:
    def opened(*_: object, providers: object, **__: object) -> None:
        if "CUDA" in str(providers):
            raise RuntimeError(said)

    monkeypatch.setattr(fake, "__init__", opened)
    with pytest.raises(ProviderError, match=text):
        providers.create_session(b"", [("cuda", {"tf23": "1"})])


def test_a_damaged_graph_is_no_fault_of_the_provider(
    fake: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise RuntimeError("no protobuf")

    monkeypatch.setattr(fake, "__init__", opened)
    for wanted in (["cuda"], ["cpu"], None):
        with pytest.raises(RuntimeError, match="no protobuf"):
            providers.create_session(b"", wanted)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("cuda", r"providers: expected a list such as \['cuda'\], got 'cuda'"),
        ([], r"expected a list such as \['cuda'\], got \[\]"),
        ([("cpu", {"use_tf32": "1"})], "CPUExecutionProvider takes no options, got {'use_tf32'"),
    ],
)
def test_providers_that_mean_nothing(wanted: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        providers.create_session(b"", wanted)


def test_a_build_without_a_provider_names_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(
        ProviderError,
        match=r"build without it, it has CPUExecutionProvider: pip uninstall -y onnxruntime && "
        r"pip install 'aeonnx\[gpu\]'\. To run without it: --provider cpu",
    ):
        providers.create_session(b"", ["cuda"])
    with pytest.raises(ProviderError, match="it has CPUExecutionProvider. To run without it"):
        providers.create_session(b"", ["openvino"])


@pytest.mark.parametrize(
    ("library", "mended_by"),
    [
        ("libcuda.so.1", "install the NVIDIA driver, which includes it"),
        ("libcublasLt.so.13", "pip install 'aeonnx[gpu]'"),
        ("libcudnn.so.9", "pip install 'aeonnx[gpu]'"),
        ("libnvinfer.so.10", "pip install 'tensorrt-cu13-libs==10.*', and add its folder "),
        ("libnvonnxparser.so.10", "pip install 'tensorrt-cu13-libs==10.*', and add its folder "),
        ("libopenvino.so", "install the system package that contains it"),
    ],
)
@pytest.mark.usefixtures("fake")
def test_a_missing_library_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, library: str, mended_by: str
) -> None:
    def loader(name: str, **_: int) -> None:
        if "shared" not in name:
            raise OSError(f"{library}: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(ctypes, "CDLL", loader)
    monkeypatch.setattr(
        providers, "_load_problem", lambda _: load_problem(Path("cuda.so"), Path("shared.so"))
    )
    with pytest.raises(ProviderError) as caught:
        providers.create_session(b"", ["cuda"])
    assert f"cannot run here: {library} is missing: {mended_by}" in str(caught.value)


def test_a_graph_as_bytes_reads_no_file_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights beside a graph that came as bytes are anyone's, not the bundle's."""
    (tmp_path / "w.bin").write_bytes(np.ones(4, np.float32).tobytes())
    weights = onnx.TensorProto(name="w", data_type=1, dims=[2, 2], data_location=1)
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    x, y = (onnx.helper.make_tensor_value_info(name, 1, [2, 2]) for name in "xy")
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [x], [y], [weights])
    opset = onnx.helper.make_opsetid("", 18)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    path = tmp_path / "g.onnx"
    path.write_bytes(model.SerializeToString())
    monkeypatch.chdir(tmp_path)
    assert providers.create_session(path, ["cpu"])
    with pytest.raises(Exception, match="External data path"):
        providers.create_session(path.read_bytes(), ["cpu"])


@pytest.mark.parametrize("text", [b"MatMul", b"note"])
def test_texts_of_a_graph_that_are_not_utf8_are_refused(tmp_path: Path, text: bytes) -> None:
    """onnxruntime's binding cannot decode its own message about the first."""
    model = onnx.load_model_from_string(SQUARE.data)
    model.metadata_props.add(key="key", value="note")
    graph = model.SerializeToString()
    (tmp_path / "g.onnx").write_bytes(graph)
    assert runtime.Session(tmp_path / "g.onnx", ["cpu"])
    damaged = graph.replace(text, b"\xff" * len(text))
    (tmp_path / "g.onnx").write_bytes(damaged)
    with pytest.raises(IntegrityError, match="a name or text in it is not UTF-8"):
        runtime.Session(tmp_path / "g.onnx", ["cpu"])


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
    blocked: str,
    command: list[str],
    purpose: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/vae").mkdir(parents=True)  # that there is none would be told first
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
        "from aeonnx._util.machine import usable_cores; print(usable_cores())"
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


@pytest.mark.gpu
def test_cuda_takes_options_and_names_those_it_does_not_know(bundle_of: Maker) -> None:
    path = graph_file(bundle_of(), "decoder")
    session = providers.create_session(path, [("cuda", {"use_tf32": "1"})])
    options = session.get_provider_options()["CUDAExecutionProvider"]
    assert options["use_tf32"] == "1"
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    with pytest.raises(ProviderError, match="tf23"):
        providers.create_session(path, [("cuda", {"tf23": "1"})])
