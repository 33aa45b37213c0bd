"""What a config.pbtxt says: of a part's model, and of the ensemble of an encoder and a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aeonnx.bundle import BATCH, TensorSpec, shape_at, solve_rows
from aeonnx.deploy.ensembles import Ensemble
from aeonnx.deploy.models import Model
from aeonnx.deploy.options import TritonOptions
from aeonnx.deploy.text_format import Message, Word

__all__ = ["GRAPH_FILE", "batch_limit", "config_of", "ensemble_config"]

GRAPH_FILE = "model.onnx"
"""Triton's name of a graph, in the folder of its version."""

_TYPES = {
    "float32": "TYPE_FP32",
    "float16": "TYPE_FP16",
    "float64": "TYPE_FP64",
    "uint8": "TYPE_UINT8",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "bool": "TYPE_BOOL",
}
_HEURISTIC = "1"
"""Of cuDNN's ways to choose an algorithm: others measure again for every new shape."""


def config_of(model: Model, options: TritonOptions) -> Message:
    """The configuration of a part's model."""
    entry, limit = model.interface, batch_limit(model, options)
    return {
        "name": model.name,
        "backend": "onnxruntime",
        "max_batch_size": limit,
        # Not all versions that are there: an earlier deployment may have left some.
        "version_policy": _versions(sorted(graph.version for graph in model.graphs)),
        "input": _tensors(entry.inputs, batches=model.batches),
        "output": _tensors(entry.outputs, batches=model.batches),
        "instance_group": [
            {"count": options.instances, "kind": Word("KIND_GPU" if options.gpu else "KIND_CPU")}
        ],
        "dynamic_batching": _queue(options, batches=model.batches),
        "model_warmup": _warm_up(model, limit),
        **_parameters(options),
    }


def ensemble_config(ensemble: Ensemble, options: TritonOptions) -> Message:
    """The configuration of an encoder whose outputs a decoder takes."""
    steps, batches = ensemble.steps, ensemble.steps[0].model.batches
    return {
        "name": ensemble.name,
        "platform": "ensemble",
        "max_batch_size": min(batch_limit(step.model, options) for step in steps),
        "version_policy": _versions([ensemble.version]),
        "input": _tensors(ensemble.inputs, batches=batches, reshapes=False),
        "output": _tensors(ensemble.outputs, batches=batches, reshapes=False),
        "ensemble_scheduling": {
            "step": [
                {
                    "model_name": step.model.name,
                    "model_version": ensemble.version,
                    "input_map": _map(step.inputs),
                    "output_map": _map(step.outputs),
                }
                for step in steps
            ]
        },
    }


def batch_limit(model: Model, options: TritonOptions) -> int:
    """Most rows that Triton runs together; 0 if it must not, and shapes have the axis of rows."""
    return (options.max_batch or model.measured_batch) if model.batches else 0


def _versions(versions: Sequence[int]) -> Message:
    return {"specific": {"versions": versions}}


def _tensors(specs: Sequence[TensorSpec], *, batches: bool, reshapes: bool = True) -> list[Message]:
    """Tensors, without the axis of rows if the model batches.

    Triton allows no empty dims: one value per row is [1] there, which the model reshapes. An
    ensemble does not: it passes on what its models take.
    """
    found: list[Message] = []
    for spec in specs:
        sizes = spec.shape[1:] if batches else spec.shape
        dims = [size if isinstance(size, int) else -1 for size in sizes]
        reshaped = reshapes and not dims
        found.append(
            {
                "name": spec.name,
                "data_type": Word(_TYPES[spec.dtype]),
                "dims": dims or [1],
                **({"reshape": {"shape": []}} if reshaped else {}),
            }
        )
    return found


def _queue(options: TritonOptions, *, batches: bool) -> Message:
    delay = {"max_queue_delay_microseconds": round(1e3 * options.max_delay)} if batches else {}
    return {
        **delay,
        "default_queue_policy": {
            "timeout_action": Word("REJECT"),
            "default_timeout_microseconds": max(1, round(1e6 * options.timeout)),  # 0 is none
            "allow_timeout_override": True,
            "max_queue_size": options.max_queue,
        },
    }


def _warm_up(model: Model, limit: int) -> list[Message]:
    """Zeros at the sizes of the golden vectors: the largest batch first, then one row.

    Triton says that it is ready after that, and memory is allocated for the largest batch once.
    """
    entry = model.interface
    stored = {name: tensor.shape for name, tensor in entry.golden[0].inputs.items()}
    sizes = {**solve_rows(entry, stored), BATCH: 1}
    inputs: list[Message] = [
        {
            "key": spec.name,
            "value": {
                "data_type": Word(_TYPES[spec.dtype]),
                "dims": shape_at(spec.shape, sizes)[int(model.batches) :] or [1],
                "zero_data": True,
            },
        }
        for spec in entry.inputs
    ]
    batches = sorted({max(limit, 1), 1}, reverse=True)
    return [{"name": f"{batch} rows", "batch_size": batch, "inputs": inputs} for batch in batches]


def _parameters(options: TritonOptions) -> dict[str, Any]:
    named = {}
    if options.gpu:
        named["cudnn_conv_algo_search"] = _HEURISTIC
    if options.threads is not None:
        named["intra_op_thread_count"] = str(options.threads)
    entries = [{"key": key, "value": {"string_value": text}} for key, text in named.items()]
    return {"parameters": entries} if entries else {}


def _map(names: dict[str, str]) -> list[Message]:
    return [{"key": own, "value": shared} for own, shared in names.items()]
