"""Profiles of inference engines: opset, batch and operators. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aeonnx.errors import GraphError, UnknownNameError
from aeonnx.exporting.opsets import DEFAULT_OPSET

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["TARGETS", "Target", "check_operators", "target_of"]

_BITWISE = frozenset({"BitShift", "BitwiseAnd", "BitwiseXor"})
_DYNAMIC_INT8 = frozenset({"DynamicQuantizeLinear", "MatMulInteger"})


@dataclass(frozen=True)
class Target:
    """Profile of an inference engine.

    Args:
        opset: the newest that the engine supports well, at most `DEFAULT_OPSET`.
        batch: fixed batch size that the engine needs; None for a dynamic batch.
        lacking: operators that the engine does not support.
    """

    opset: int
    batch: int | None = None
    lacking: frozenset[str] = frozenset()


TARGETS = {
    "onnxruntime": Target(DEFAULT_OPSET),
    "onnxruntime-web": Target(DEFAULT_OPSET),
    "jetson-jp5": Target(16, lacking=_BITWISE),
    "tensorrt-8": Target(17, lacking=_BITWISE | _DYNAMIC_INT8),
    "openvino": Target(DEFAULT_OPSET, lacking=_DYNAMIC_INT8),
    "opencv": Target(13, batch=1, lacking=_BITWISE | _DYNAMIC_INT8),
}


def target_of(name: str) -> Target:
    """The profile called `name`.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in TARGETS:
        raise UnknownNameError("target", name, TARGETS)
    return TARGETS[name]


def check_operators(graph: ModelProto, name: str, what: str) -> None:
    """Raise `GraphError` if the target `name` lacks an operator of the graph.

    Args:
        graph: to check.
        name: of the target.
        what: names the graph in the message, such as "decoder (int8)".
    """
    lacking = sorted({node.op_type for node in graph.graph.node} & target_of(name).lacking)
    if lacking:
        raise GraphError(
            f"{what} needs {', '.join(lacking)}, which {name} does not run: leave it out with "
            "--part or --precision, or choose another --target"
        )
