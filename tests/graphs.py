"""Small modules as parts, and what graphs and torch make of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from aeonnx.bundle import TensorSpec
from aeonnx.exporting.capture.graph import build_graph
from aeonnx.exporting.capture.program import capture
from aeonnx.models import Part

__all__ = ["FEATURES", "Of", "eager", "op_types", "part_of", "rows", "run"]

FEATURES = 4


class Of(nn.Module):
    """A function as a module, with what it needs."""

    def __init__(self, function: Callable[..., object], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.inner = nn.ModuleDict(modules)

    def forward(self, x: Tensor) -> object:
        return self.function(x, *self.inner.values())


def part_of(module: nn.Module, *sizes: int, outputs: int = 1) -> Part:
    x = TensorSpec("x", ("batch", *(sizes or (FEATURES,))))
    result = module.eval()(torch.zeros(1, *x.shape[1:]))  # type: ignore[arg-type]
    first = result[0] if isinstance(result, tuple) else result
    shape = ("batch", *first.shape[1:])
    return Part(module, (x,), tuple(TensorSpec(f"y{i}", shape) for i in range(outputs)))


def run(part: Part, x: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        build_graph(part, 18, {}).data, providers=["CPUExecutionProvider"]
    )
    outputs: list[np.ndarray] = session.run(None, {"x": x})
    return outputs


def eager(part: Part, x: np.ndarray) -> list[np.ndarray]:
    with torch.no_grad():
        result = part.module.eval()(torch.from_numpy(x))
    return [y.numpy() for y in (result if isinstance(result, tuple) else (result,))]


def rows(*sizes: int, count: int = 3) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((count, *(sizes or (FEATURES,))))
    x[0] = 0.0  # where an epsilon is all there is
    return x.astype(np.float32)


def op_types(module: nn.Module, *sizes: int) -> list[str]:
    return [node.op_type for node in capture(part_of(module, *sizes), 18).graph.graph.node]
