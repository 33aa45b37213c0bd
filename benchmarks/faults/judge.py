"""Judge a graph with aeonnx's gate: the only module that calls the gate."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto

from aeonnx.errors import AeonnxError
from aeonnx.exporting.capture.program import program_of
from aeonnx.exporting.verify.compare import compare
from aeonnx.exporting.verify.inputs import rows_of
from aeonnx.exporting.verify.probes import Rows
from aeonnx.runtime import Session
from aeonnx.runtime.session import Array
from faults.networks import Subject

__all__ = ["judged", "outputs_differ", "refusals"]


def judged(graph: ModelProto, subject: Subject) -> bool:
    """Whether the gate accepts `graph` as the part of `subject`, on the rows of an export."""
    return not refusals(graph, subject)


def refusals(graph: ModelProto, subject: Subject) -> tuple[str, ...]:
    """The reasons for a refusal; empty if the gate accepts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        onnx.save(graph, path)
        try:
            session = Session(path, ["cpu"])
            return compare(subject.network, subject.part, session, _rows(subject)).failures
        except AeonnxError as error:
            return (str(error),)  # the export does not write a graph that fails to run, either


@lru_cache(maxsize=16)
def _rows(subject: Subject) -> Rows:
    rows, _ = rows_of(subject.part, program_of(subject.part), subject.real)
    return rows


def outputs_differ(wrong: ModelProto, subject: Subject) -> bool:
    """Whether outputs differ in any bit from those of the correct graph on any input that is tried.

    onnxruntime's optimisations are off, so that only the fault can change a bit. A graph that does
    not run counts as different.
    """
    right, inputs = _right(subject)
    try:
        outputs = _run(wrong, inputs)
    except Exception:  # onnxruntime has no base class for its errors
        return True
    pairs = zip(right, outputs, strict=True)
    return any(not np.array_equal(value, other, equal_nan=True) for value, other in pairs)


@lru_cache(maxsize=16)
def _right(subject: Subject) -> tuple[list[Array], dict[str, Array]]:
    """Outputs of the correct graph, and the inputs: the gate's rows, constants and random rows."""
    (spec,) = subject.part.inputs
    rows = _rows(subject).values[spec.name]
    low, high = spec.range or (-3.0, 3.0)
    shape = (1, *rows.shape[1:])
    constant = [np.full(shape, low + (high - low) * share) for share in np.linspace(0, 1, 9)]
    drawn = np.random.default_rng(1).uniform(low, high, (64, *shape[1:]))
    inputs = {spec.name: np.concatenate([rows, *constant, drawn]).astype(np.float32)}
    return _run(subject.graph, inputs), inputs


def _run(graph: ModelProto, inputs: dict[str, Array]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [np.asarray(value) for value in session.run(None, inputs)]
