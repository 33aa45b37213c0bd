"""Judge the same graphs with other tools, at their defaults, where they are installed.

torch: `torch.onnx.export(verify=True)`, on its own example inputs and with its limits, an absolute
difference of 5e-3 or a relative one of 0.1. optimum: `optimum.exporters.onnx`, whose limit is 1e-5,
and 3e-4 for its VAEs. polygraphy: `Comparator`, whose limits are 1e-5, absolute or relative.
Each draws one batch of inputs.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from onnx import ModelProto
from torch import Tensor, nn

from aeonnx.bundle import TensorSpec
from aeonnx.models import Part
from faults.networks import Subject

__all__ = ["TOOLS", "Tool"]

Tool = Callable[[ModelProto, Subject], bool]
"""(graph, subject) -> whether the tool accepts the graph."""

_TORCH_ABSOLUTE, _TORCH_RELATIVE = 5e-3, 1e-1  # torch/onnx/_internal/exporter/_core.py
_VAE_LIMIT = 3e-4  # VaeEncoderOnnxConfig.ATOL_FOR_VALIDATION, and that of the decoder
_BATCH = 2  # optimum's default; torch's documentation takes one of 2 too


def _torch(graph: ModelProto, subject: Subject) -> bool:
    import onnx_ir
    from torch.onnx import ONNXProgram
    from torch.onnx._internal.exporter._verification import verify_onnx_program

    if subject.network not in _PROGRAMS:
        _PROGRAMS[subject.network] = _program(subject.part)
    model = onnx_ir.serde.deserialize_model(graph)
    program = ONNXProgram(model, _PROGRAMS[subject.network])
    try:
        program.initialize_inference_session(_on_cpu)
        infos = verify_onnx_program(program)
    except Exception:  # sessions raise errors of various classes for a graph that cannot run
        return False
    return not any(
        info.max_abs_diff >= _TORCH_ABSOLUTE or info.max_rel_diff >= _TORCH_RELATIVE
        for info in infos
    )


def _on_cpu(path: str | bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


_PROGRAMS: dict[str, torch.export.ExportedProgram] = {}
"""By network: the program that `torch.onnx.export` verifies against, with example inputs."""


def _program(part: Part) -> torch.export.ExportedProgram:
    torch.manual_seed(0)
    inputs = tuple(_uniform(spec) for spec in part.inputs)
    batches = tuple({0: torch.export.Dim("batch")} for _ in inputs)
    module = copy.deepcopy(part.module)
    return torch.export.export(module, inputs, dynamic_shapes=batches, strict=False)


def _uniform(spec: TensorSpec) -> Tensor:
    low, high = spec.range or (-2.0, 2.0)
    return torch.empty(_BATCH, *spec.shape[1:]).uniform_(low, high)


class _Named(nn.Module):
    """A part with the interface of optimum's models: inputs and outputs by name."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.module = subject.part.module
        self.inputs = [spec.name for spec in subject.part.inputs]
        self.outputs = [spec.name for spec in subject.part.outputs]

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        values = self.module(*(inputs[name] for name in self.inputs))
        values = values if isinstance(values, tuple) else (values,)
        return dict(zip(self.outputs, values, strict=True))


def _optimum(graph: ModelProto, subject: Subject, limit: float | None = None) -> bool:
    from optimum.exporters.onnx.base import OnnxConfig
    from optimum.exporters.onnx.convert import _run_validation

    part = subject.part

    class Config(OnnxConfig):
        """The parts of a model's configuration that optimum needs."""

        inputs = {spec.name: {0: "batch"} for spec in part.inputs}  # noqa: RUF012
        outputs = {spec.name: {0: "batch"} for spec in part.outputs}  # noqa: RUF012

        def __init__(self) -> None:  # without a transformers configuration
            pass

        def generate_dummy_inputs(self, framework: str = "pt", **_: Any) -> dict[str, Tensor]:
            assert framework == "pt"
            torch.manual_seed(0)
            # As optimum's generators of images draw them: floats in [0, 1).
            return {
                spec.name: torch.empty(_BATCH, *spec.shape[1:]).uniform_(0, 1)
                for spec in part.inputs
            }

        def patch_model_for_export(self, *_: Any, **__: Any) -> Any:
            return contextlib.nullcontext()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        onnx.save(graph, path)
        names = [value.name for value in graph.graph.output]
        try:
            _run_validation(Config(), _Named(subject), path, names, limit)
        except Exception:  # errors of optimum about values, shapes and names, or of its session
            return False
    return True


def _optimum_vae(graph: ModelProto, subject: Subject) -> bool:
    return _optimum(graph, subject, _VAE_LIMIT)


def _polygraphy(graph: ModelProto, subject: Subject) -> bool:
    from polygraphy.backend.base import BaseRunner
    from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
    from polygraphy.common import TensorMetadata
    from polygraphy.comparator import Comparator
    from polygraphy.exception import PolygraphyException
    from polygraphy.logger import G_LOGGER

    G_LOGGER.module_severity = G_LOGGER.CRITICAL
    part = subject.part

    class Torch(BaseRunner):
        """polygraphy's runner for torch, which needs a GPU, on the CPU."""

        def get_input_metadata_impl(self) -> Any:
            metadata = TensorMetadata()
            for spec in part.inputs:
                metadata.add(spec.name, spec.dtype, (-1, *spec.shape[1:]))
            return metadata

        @torch.no_grad()
        def infer_impl(self, feed_dict: Any) -> Any:
            self.inference_time = 0.0  # required, but not compared
            named = _Named(subject)
            inputs = {name: torch.as_tensor(value) for name, value in feed_dict.items()}
            return {name: value.numpy() for name, value in named(**inputs).items()}

        def activate_impl(self) -> None: ...

        def deactivate_impl(self) -> None: ...

    runners = [Torch(), OnnxrtRunner(SessionFromOnnx(graph.SerializeToString(), ["cpu"]))]
    try:
        return bool(Comparator.compare_accuracy(Comparator.run(runners)))
    except (PolygraphyException, Exception):  # a session raises onnxruntime's own errors
        return False


_MODULES = {
    "torch": "torch",
    "optimum": "optimum.exporters.onnx.convert",
    "polygraphy": "polygraphy",
}
_ALL: dict[str, tuple[str, Tool]] = {
    "torch": ("torch", _torch),
    "optimum": ("optimum", _optimum),
    "optimum, VAE": ("optimum", _optimum_vae),
    "polygraphy": ("polygraphy", _polygraphy),
}


def _installed(name: str) -> bool:
    try:
        importlib.import_module(_MODULES[name])
    except ImportError:
        return False
    return True


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _quiet(tool: Tool) -> Tool:
    def ask(graph: ModelProto, subject: Subject) -> bool:
        with _silent():
            return tool(graph, subject)

    return ask


TOOLS: dict[str, Tool] = {
    name: _quiet(tool) for name, (package, tool) in _ALL.items() if _installed(package)
}
"""The tools that are installed."""
