"""`load` checks providers and session options at once, and passes the options through."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import aeonnx
from aeonnx.errors import IntegrityError, ProviderError, UnknownNameError, UsageError

Maker = Callable[..., Path]


def test_options_reach_onnxruntime(bundle_of: Maker) -> None:
    options = {
        "inter_op_num_threads": 2,
        "graph_optimization_level": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
        "session.intra_op.allow_spinning": False,
        "session.dynamic_block_base": 4,
        "session.set_denormal_as_zero": "1",
    }
    bundle = aeonnx.load(bundle_of(), threads=2, session_options=options)
    for opened in (bundle, copy.copy(bundle)):
        found = opened.session("decoder").opened().get_session_options()
        assert found.inter_op_num_threads == 2
        assert found.intra_op_num_threads == 2
        assert found.graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        assert found.get_session_config_entry("session.intra_op.allow_spinning") == "0"
        assert found.get_session_config_entry("session.dynamic_block_base") == "4"
        assert found.get_session_config_entry("session.set_denormal_as_zero") == "1"
    z = np.zeros((1, 20), np.float32)
    np.testing.assert_allclose(bundle.decode(z), aeonnx.load(bundle_of()).decode(z), atol=1e-6)


@pytest.mark.parametrize("name", ["intra_op_num_threads", "use_per_session_threads"])
def test_threads_have_one_argument(bundle_of: Maker, name: str) -> None:
    text = f"session_options: {name} is set by aeonnx: .*threads="
    with pytest.raises(UsageError, match=text):
        aeonnx.load(bundle_of(), session_options={name: 1})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"session.load_model_format": "ORT"}, "is set by aeonnx: a bundle has graphs in ONNX's"),
        (
            {"session.model_external_initializers_file_folder_path": "/"},
            "is set by aeonnx: a bundle has no weights in other files",
        ),
        ({"enable_profiling": "yes"}, "enable_profiling: expected bool, got 'yes'"),
        ({"execution_mode": 1}, "execution_mode: expected ExecutionMode, got 1"),
        ({"inter_op_num_threads": 1.5}, "inter_op_num_threads: expected int, got 1.5"),
        ({"session.x": None}, "session.x: expected a string, number or bool, .*, got 'None'"),
        ({"session." + "x" * 2000: "1"}, "name and value of up to 1000 characters, got '1'"),
        ({"session.x": "y" * 1001}, "name and value of up to 1000 characters, got 'yyy"),
        ([("session.x", "1")], "session_options: expected a dict such as .*, got "),
        (ort.SessionOptions(), "session_options: expected a dict such as .*, got <onnxruntime"),
    ],
)
def test_wrong_options_are_refused_at_once(bundle_of: Maker, options: object, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        aeonnx.load(bundle_of(), session_options=options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["inter_op_threads", "add_provider", "logger"])
def test_unknown_options_name_the_known(bundle_of: Maker, name: str) -> None:
    text = f"unknown session option '{name}'.*Known: enable_cpu_mem_arena, .*inter_op_num_threads"
    with pytest.raises(UnknownNameError, match=text) as caught:
        aeonnx.load(bundle_of(), session_options={name: 2})
    assert "intra_op_num_threads" not in str(caught.value)


def test_an_option_that_onnxruntime_refuses_is_named(bundle_of: Maker) -> None:
    options = {"session.intra_op_thread_affinities": "nonsense"}
    bundle = aeonnx.load(bundle_of(), ["cpu"], threads=2, session_options=options)
    with pytest.raises(IntegrityError, match="Leave out session_options, or upgrade onnxruntime"):
        bundle.generate(1)


def test_measured_speeds_are_those_of_the_options(
    bundle_of: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEONNX_CACHE", str(tmp_path))
    for options in ({}, {"enable_mem_pattern": False}, {"enable_mem_pattern": False}):
        bundle = aeonnx.load(bundle_of(), ["cpu"], session_options=options)
        bundle.decode(np.zeros((2000, 20), np.float32))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("provider", ["cudda", ("cudda", {"device_id": "1"})])
def test_unknown_providers_are_refused_at_once(bundle_of: Maker, provider: object) -> None:
    text = r"unknown provider 'cudda'\. Did you mean 'cuda'\?.* This onnxruntime has: .*cpu\."
    for providers in ([provider], ["cpu", provider]):
        with pytest.raises(UnknownNameError, match=text):
            aeonnx.load(bundle_of(), providers=providers)  # type: ignore[arg-type]


@pytest.mark.parametrize("provider", ["openvino", ("OpenVINOExecutionProvider", {"a": "b"})])
def test_providers_of_other_builds_are_refused_at_once(
    bundle_of: Maker, provider: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    text = "OpenVINOExecutionProvider was asked for and cannot run here: this onnxruntime is"
    with pytest.raises(ProviderError, match=text):
        aeonnx.load(bundle_of(), providers=[provider])  # type: ignore[list-item]
