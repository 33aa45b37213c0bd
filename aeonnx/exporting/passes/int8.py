"""Quantise graphs to int8 by onnxruntime's quantizers; inputs and outputs stay float32.

Weights have 7 bits. x86 CPUs without VNNI add two products of a uint8 and an int8 in int16, which
8 bits overflow: the same graph then gives other numbers than on a newer CPU (15 dB instead of 32).
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import onnx
import onnx.shape_inference
from onnx import ModelProto
from onnxruntime.quantization import (
    CalibrationDataReader,
    QDQQuantizer,
    QuantType,
    create_calibrator,
    quantize_dynamic,
)

from aeonnx.exporting.passes.layers import WEIGHTED, weighted
from aeonnx.exporting.passes.tensors import Batches
from aeonnx.exporting.passes.weights import with_weights_per_axis
from aeonnx.exporting.quiet import quiet
from aeonnx.exporting.temporary import temporary_folder
from aeonnx.runtime.session import Array

__all__ = ["Quantise", "dynamic_int8", "static_int8"]

Quantise = Callable[[Sequence[str]], ModelProto]
"""Names of layers that stay in float32 -> the quantised graph."""


def dynamic_int8(graph: ModelProto) -> Quantise:
    """Weights in 7 bits per channel; activations in uint8, with ranges found at run time."""
    graph = with_weights_per_axis(graph)
    others = _without_weights(graph)

    def quantise(kept: Sequence[str]) -> ModelProto:
        with temporary_folder() as folder, quiet():
            # Pass paths: if given a graph, the quantizer moves its weights to external files.
            source, path = folder / "fp32.onnx", folder / "int8.onnx"
            onnx.save(graph, source)
            quantize_dynamic(
                source,
                path,
                op_types_to_quantize=list(WEIGHTED),
                # The quantizer splits a Gemm, and matches nodes by the name of its MatMul.
                nodes_to_exclude=[*others, *kept, *(f"{name}_MatMul" for name in kept)],
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
            )
            return onnx.load(path)

    return quantise


def static_int8(graph: ModelProto, batches: Batches) -> Quantise:
    """Weights in 7 bits per channel; activations in uint8, ranges found on calibration inputs.

    The ranges are found once, for all graphs that are made. Products of two activations, as in
    attention, stay in float32.
    """
    graph = with_weights_per_axis(graph)
    with temporary_folder() as folder, quiet():
        source = folder / "fp32.onnx"
        onnx.save(graph, source)
        calibrator = create_calibrator(
            source, list(WEIGHTED), augmented_model_path=str(folder / "augmented.onnx")
        )
        calibrator.collect_data(_Rows(batches()))
        ranges = calibrator.compute_data()
        del calibrator

    others = _without_weights(graph)

    def quantise(kept: Sequence[str]) -> ModelProto:
        with quiet():
            quantizer = QDQQuantizer(
                onnx.shape_inference.infer_shapes(graph),
                per_channel=True,
                reduce_range=True,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=ranges,
                nodes_to_quantize=[],
                nodes_to_exclude=[*others, *kept],
                op_types_to_quantize=list(WEIGHTED),
                extra_options={},
            )
            quantizer.quantize_model()
        made: ModelProto = quantizer.model.model
        return made

    return quantise


def _without_weights(graph: ModelProto) -> list[str]:
    layers = {*weighted(graph)}
    return [node.name for node in graph.graph.node if node.name not in layers]


class _Rows(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Batches of calibration inputs, for onnxruntime's quantizer."""

    def __init__(self, batches: Iterable[Mapping[str, Array]]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Mapping[str, Array] | None:
        return next(self._batches, None)
