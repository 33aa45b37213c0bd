"""Runs a graph with preallocated input and output buffers on its device."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnxruntime as ort

from aeonnx.bundle import BATCH, TensorSpec, Variant, shape_at
from aeonnx.errors import InputError
from aeonnx.runtime.batching import pad_rows
from aeonnx.runtime.forks import keep_in_children
from aeonnx.runtime.interface import has_rows, rows_in, shape_of_rows, sizes_of
from aeonnx.runtime.providers import CUDA
from aeonnx.runtime.session import ORT_ERRORS, Array, Session

__all__ = ["CudaGraphRunner", "IOBinding"]


class IOBinding:
    """Input and output buffers bound to a graph: a run neither allocates nor copies them.

    If the session has CUDA graphs enabled, the first run records one and later runs replay it. Not
    thread-safe.

    Args:
        session: the open graph.
        variant: its entry in the manifest.
        rows: the batch size.
        sizes: of the other dynamic axes.
    """

    def __init__(
        self,
        session: Session,
        variant: Variant,
        rows: int,
        sizes: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._session, self._variant = session, variant
        self._sizes = {**sizes, BATCH: rows}
        device = "cuda" if session.providers[0] == CUDA else "cpu"
        self._inputs = {
            spec.name: ort.OrtValue.ortvalue_from_numpy(np.zeros(*self._like(spec)), device, 0)
            for spec in variant.inputs
        }
        self._outputs = {
            spec.name: ort.OrtValue.ortvalue_from_shape_and_type(*self._like(spec), device, 0)
            for spec in variant.outputs
        }
        self._binding = session.opened().io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)
        keep_in_children(
            getattr(self._binding, "_iobinding", self._binding),
            *(
                getattr(value, "_ortvalue", value)
                for value in (*self._inputs.values(), *self._outputs.values())
            ),
        )
        self._options = ort.RunOptions()
        # One CUDA graph for each choice of sizes.
        self._options.add_run_config_entry("gpu_graph_id", _id_of(self._sizes))

    def _like(self, spec: TensorSpec) -> tuple[list[int], np.dtype[np.generic]]:
        shape = shape_at(shape_of_rows(self._variant, spec), self._sizes)
        return [*shape], np.dtype(spec.dtype)

    def set_inputs(self, inputs: Mapping[str, Array]) -> None:
        """Copy inputs into the buffers.

        Args:
            inputs: C-contiguous arrays by name, with the dtypes and the bound shapes of the graph.

        Raises:
            InputError: an array has another shape.
        """
        for name, value in inputs.items():
            buffer = self._inputs[name]
            if list(value.shape) != list(buffer.shape()):
                raise InputError(
                    f"{name}: expected {list(buffer.shape())}, as bound, got {list(value.shape)}"
                )
            buffer.update_inplace(value)

    def run(self) -> None:
        """Run the graph on the buffers; on a GPU, wait until the run has finished.

        Raises:
            RunError, DeviceMemoryError, BundleError: see `Session.run`.
        """
        session = self._session.opened()
        try:
            session.run_with_iobinding(self._binding, self._options)
            self._binding.synchronize_outputs()
        except ORT_ERRORS as error:
            inputs = {name: value.numpy() for name, value in self._inputs.items()}
            raise self._session.bound_error(inputs, list(self._outputs), error) from error

    def output(self, name: str) -> Array:
        """A copy of an output in host memory."""
        value: Array = self._outputs[name].numpy()
        return value

    @property
    def outputs(self) -> Mapping[str, ort.OrtValue]:
        """The output buffers on the device; `OrtValue.data_ptr()` is for other libraries there."""
        return self._outputs


def _id_of(sizes: Mapping[str, int]) -> str:
    """A number for a choice of sizes, as onnxruntime names its CUDA graphs; never -1 or 0."""
    text = ",".join(f"{name}={size}" for name, size in sorted(sizes.items()))
    return str(1 + zlib.crc32(text.encode()) % (2**31 - 2))


class CudaGraphRunner:
    """Runs a graph by replaying CUDA graphs, one per power of two of rows; other sizes are padded.

    Experimental: not yet run on a device.

    Args:
        session: a session with CUDA graphs enabled.
        variant: its entry in the manifest.
    """

    def __init__(self, session: Session, variant: Variant) -> None:
        self._session, self._variant = session, variant
        self._bound: dict[tuple[int, ...], IOBinding] = {}
        self._lock = threading.Lock()

    def values(self, inputs: Mapping[str, Array], outputs: list[str]) -> list[Array]:
        """As `Session.values`."""
        self._session.opened()  # raises in a forked child, where the lock may stay held forever
        rows = rows_in(self._variant, inputs)
        size = 1 << (rows - 1).bit_length()
        filled = {
            spec.name: pad_rows(inputs[spec.name], size)
            if has_rows(self._variant, spec)
            else inputs[spec.name]
            for spec in self._variant.inputs
        }
        sizes = sizes_of(self._variant, filled)
        key = tuple(sizes.values())
        with self._lock:
            bound = self._bound.get(key)
            if bound is None:
                bound = self._bound[key] = IOBinding(self._session, self._variant, size, sizes)
            bound.set_inputs(filled)
            bound.run()
            return [bound.output(name)[:rows] for name in outputs]

    def run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """As `Session.run_into`."""
        found = self.values(inputs, list(outputs))
        for buffer, value in zip(outputs.values(), found, strict=True):
            buffer[...] = value
