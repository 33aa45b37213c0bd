"""What other engines read: opset, batch and operators, chosen together. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aeonnx.errors import GraphError, UnknownNameError
from aeonnx.export.opsets import DEFAULT_OPSET

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["TARGETS", "Target", "check_operators", "target_of"]

_BITWISE = frozenset({"BitShift", "BitwiseAnd", "BitwiseXor"})
_DYNAMIC_INT8 = frozenset({"DynamicQuantizeLinear", "MatMulInteger"})


@dataclass(frozen=True)
class Target:
    """A profile.

    Args:
        opset: the newest that the engine reads well, at most our default.
        batch: rows that graphs are fixed to; None for any number.
        lacking: operators that the engine does not run.
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
    """The profile of a name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in TARGETS:
        raise UnknownNameError("target", name, TARGETS)
    return TARGETS[name]


def check_operators(graph: ModelProto, name: str, what: str) -> None:
    """Raise `GraphError` if the target `name` lacks an operator of the graph."""
    lacking = sorted({node.op_type for node in graph.graph.node} & target_of(name).lacking)
    if lacking:
        raise GraphError(
            f"{what} needs {', '.join(lacking)}, which {name} does not run: leave it out with "
            "--part or --precision, or choose another --target"
        )
