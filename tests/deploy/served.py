"""Reads a model repository as Triton does: its rules for configurations and shapes, in Python.

The rules are those of Triton's core and of its ONNX Runtime backend; benchmarks/triton_server.py
asks the real ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as proto
from tritonclient.utils import np_to_triton_dtype

__all__ = ["Repository", "config_in"]

_ONNX = {
    proto.TYPE_FP32: "tensor(float)",
    proto.TYPE_FP64: "tensor(double)",
    proto.TYPE_UINT8: "tensor(uint8)",
    proto.TYPE_INT32: "tensor(int32)",
    proto.TYPE_INT64: "tensor(int64)",
    proto.TYPE_BOOL: "tensor(bool)",
}


def config_in(model: Path) -> Any:
    """The configuration of a model, checked against Triton's own protobuf."""
    return text_format.Parse((model / "config.pbtxt").read_text(), proto.ModelConfig())


class Repository:
    """A folder of models, all of which are loaded.

    Args:
        folder: of the repository.
    """

    def __init__(self, folder: Path) -> None:
        self.configs = {path.parent.name: config_in(path.parent) for path in folder.glob("*/c*")}
        self._sessions: dict[tuple[str, int], ort.InferenceSession] = {}
        for name, config in self.configs.items():
            assert config.name == name
            for version in config.version_policy.specific.versions:
                place = folder / name / str(version)
                assert place.is_dir()
                if config.platform == "ensemble":
                    assert not config.backend
                    assert not config.instance_group
                    assert not config.model_warmup
                else:
                    self._sessions[name, version] = _opened(place / "model.onnx", config)
        for config in self.configs.values():
            self._check_steps(config)
            for sample in config.model_warmup:
                self._warm_up(config, sample)

    def infer(
        self, model: str, version: int, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """What Triton answers."""
        config = self.configs[model]
        assert version in config.version_policy.specific.versions
        rows = _checked(config, inputs)
        if config.platform == "ensemble":
            known = dict(inputs)
            for step in config.ensemble_scheduling.step:
                given = {own: known[shared] for own, shared in step.input_map.items()}
                made = self.infer(step.model_name, step.model_version, given)
                known |= {shared: made[own] for own, shared in step.output_map.items()}
            return {item.name: known[item.name] for item in config.output}
        session = self._sessions[model, version]
        given = {
            item.name: _reshaped(inputs[item.name], rows, item, item.reshape.shape)
            for item in config.input
        }
        names = [item.name for item in config.output]
        answers = session.run(names, given)
        return {
            item.name: _reshaped(answer, rows, item, item.dims)
            for item, answer in zip(config.output, answers, strict=True)
        }

    def _check_steps(self, config: Any) -> None:
        """The rules of an ensemble: every tensor has one dtype and shape wherever it is used."""
        known: dict[str, tuple[int, list[int]]] = {
            item.name: (item.data_type, _inner(item)) for item in (*config.input, *config.output)
        }
        assert len(known) == len(config.input) + len(config.output) or not config.output
        for step in config.ensemble_scheduling.step:
            inner = self.configs[step.model_name]
            assert step.model_version in inner.version_policy.specific.versions
            assert bool(inner.max_batch_size) == bool(config.max_batch_size)
            assert inner.max_batch_size >= config.max_batch_size
            assert {item.name for item in inner.input} == set(step.input_map)
            tensors = {item.name: item for item in (*inner.input, *inner.output)}
            for own, shared in (*step.input_map.items(), *step.output_map.items()):
                dtype, dims = tensors[own].data_type, list(tensors[own].dims)
                before = known.setdefault(shared, (dtype, dims))
                assert before[0] == dtype
                assert _fit(before[1], dims)

    def _warm_up(self, config: Any, sample: Any) -> None:
        """The request of a warm-up, of zeros."""
        types = {item.name: item.data_type for item in config.input}
        assert sample.inputs.keys() == types.keys()
        assert 1 <= sample.batch_size <= max(config.max_batch_size, 1)
        rows = [sample.batch_size] if config.max_batch_size else []
        zeros = {}
        for name, item in sample.inputs.items():
            assert item.zero_data
            assert item.data_type == types[name]
            assert min(item.dims) > 0
            zeros[name] = np.zeros([*rows, *item.dims], _numpy(item.data_type))
        (version, *_) = config.version_policy.specific.versions
        self.infer(config.name, version, zeros)


def _opened(path: Path, config: Any) -> ort.InferenceSession:
    """A graph, whose inputs and outputs are those of the configuration."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for items, nodes in (
        (config.input, session.get_inputs()),
        (config.output, session.get_outputs()),
    ):
        assert {item.name for item in items} == {node.name for node in nodes}
        found = {node.name: node for node in nodes}
        for item in items:
            node = found[item.name]
            assert _ONNX[item.data_type] == node.type
            shape = [size if isinstance(size, int) else -1 for size in node.shape]
            inner = _inner(item)
            assert item.dims, "no dims are not allowed"
            assert np.prod(item.dims) == np.prod(inner), "a reshape keeps the number of values"
            assert shape == ([-1, *inner] if config.max_batch_size else inner), (shape, item)
    return session


def _checked(config: Any, inputs: Mapping[str, np.ndarray]) -> int | None:
    """The number of rows of inputs that fit the configuration; None if it does not batch."""
    assert inputs.keys() == {item.name for item in config.input}
    batches = config.max_batch_size > 0
    rows = {len(value) for value in inputs.values()}
    if batches:
        (count,) = rows
        assert 1 <= count <= config.max_batch_size
    for item in config.input:
        value = inputs[item.name]
        assert proto.DataType.Name(item.data_type) == f"TYPE_{np_to_triton_dtype(value.dtype)}"
        assert _fit(list(item.dims), list(value.shape[int(batches) :])), (value.shape, item)
    return count if batches else None


def _reshaped(value: np.ndarray, rows: int | None, item: Any, shape: Sequence[int]) -> np.ndarray:
    """A tensor as the graph has it, or as the configuration says."""
    return value.reshape([rows, *shape]) if item.HasField("reshape") else value


def _inner(item: Any) -> list[int]:
    """The dims that a graph, or a model of an ensemble, has for a tensor."""
    return list(item.reshape.shape) if item.HasField("reshape") else list(item.dims)


def _fit(one: Sequence[int], other: Sequence[int]) -> bool:
    return len(one) == len(other) and all(
        -1 in (a, b) or a == b for a, b in zip(one, other, strict=True)
    )


def _numpy(data_type: int) -> type:
    names = {"FP32": np.float32, "FP64": np.float64, "UINT8": np.uint8, "INT32": np.int32}
    names |= {"INT64": np.int64, "BOOL": np.bool_}
    return names[proto.DataType.Name(data_type).removeprefix("TYPE_")]
