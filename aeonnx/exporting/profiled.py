"""Shapes of a graph's tensors, as a run has them: also those that follow from values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import onnxruntime as ort
from onnx import ModelProto

from aeonnx.exporting.temporary import temporary_folder
from aeonnx.runtime.providers import create_session
from aeonnx.runtime.session import Array

__all__ = ["shapes_of_run"]


def shapes_of_run(
    model: ModelProto, path: Path, inputs: Mapping[str, Array]
) -> dict[str, list[int]]:
    """The shapes of all tensors that nodes compute, from onnxruntime's profile of a run.

    A profile needs the memory of a usual run, where outputs for all tensors would keep them all.

    Args:
        model: a graph, whose nodes have names.
        path: its file.
        inputs: what it is run on.

    Returns:
        Shapes by tensor name; those in the bodies of loops and conditions are left out.
    """
    with temporary_folder() as folder:
        session = create_session(
            path,
            ["cpu"],
            session_options={
                "enable_profiling": True,
                "profile_file_prefix": str(folder / "run"),
                # Otherwise nodes are merged and renamed.
                "graph_optimization_level": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
            },
        )
        session.run(None, dict(inputs))
        events = json.loads(Path(session.end_profiling()).read_bytes())
    outputs = {node.name: node.output for node in model.graph.node}
    found: dict[str, list[int]] = {}
    for event in events:
        name = event["name"].removesuffix("_kernel_time")
        shapes = event.get("args", {}).get("output_type_shape")
        if shapes and name in outputs:
            made = (next(iter(item.values())) for item in shapes)
            found.update(zip(outputs[name], map(list, made), strict=False))
    return found
