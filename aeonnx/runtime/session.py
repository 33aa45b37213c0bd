"""One open graph: runs it with onnxruntime and maps onnxruntime's errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from aeonnx._util.text import printable
from aeonnx.bundle import Shape, TensorSpec, Variant, has_rows, shape_at
from aeonnx.errors import (
    BundleError,
    DeviceMemoryError,
    OldRuntimeError,
    RefusedGraphError,
    RunError,
)
from aeonnx.runtime.by_shapes import ByShapes
from aeonnx.runtime.forks import forks, keep_in_children, opening
from aeonnx.runtime.interface import Array, is_sized, several_rows, sizes_of
from aeonnx.runtime.providers import Provider, create_session
from aeonnx.runtime.session_options import SessionOptions

__all__ = ["ORT_ERRORS", "Array", "Session"]

# onnxruntime's exceptions have no common base but Exception. Its other C++ exceptions become a
# RuntimeError, out of memory a MemoryError, and one whose message is not UTF-8, such as one with a
# name from a damaged graph, a UnicodeDecodeError.
ORT_ERRORS: tuple[type[Exception], ...] = (
    *(
        value
        for value in vars(ort_state).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ),
    RuntimeError,
    MemoryError,
    UnicodeDecodeError,
)
_OUT_OF_MEMORY = ("failed to allocate memory", "out of memory", "bad_alloc", "bad allocation")
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


class Session:
    """An open graph, at the default optimisation level of onnxruntime, its highest.

    Thread-safe, but unusable in a forked child, which lacks the parent's threads and devices.

    Args:
        path: the .onnx file.
        providers: see `aeonnx.load`.
        threads: see `aeonnx.load`.
        session_options: see `aeonnx.load`.
        data: content of the file, if already read.
        variant: its entry in the manifest; every run checks dtypes and shapes of outputs with it.

    Raises:
        ProviderError: a provider requested by name cannot run here.
        OldRuntimeError: onnxruntime refuses the file and is older than `variant.min_onnxruntime`.
        RefusedGraphError: onnxruntime refuses the file for another reason.
        DeviceMemoryError: there is not enough memory to open it.
    """

    def __init__(
        self,
        path: Path,
        providers: Sequence[Provider] | None = None,
        *,
        threads: int | None = None,
        session_options: SessionOptions | None = None,
        data: bytes | None = None,
        variant: Variant | None = None,
    ) -> None:
        self.path = path
        self._file = variant.file if variant else path.name
        self._lowest = variant.min_onnxruntime if variant else None
        self._fork = forks()
        try:
            with opening:
                session: ort.InferenceSession = create_session(
                    path if data is None else data, providers, threads, session_options
                )
                native = getattr(session, "_sess", session)
                keep_in_children(session, native)
        except ORT_ERRORS as error:
            if _is_memory(error):
                raise DeviceMemoryError(
                    f"there is not enough memory to open {path}: free some ({_text(error)})"
                ) from error
            self._require_new_enough(error)
            raise RefusedGraphError(
                f"onnxruntime {ort.__version__} refuses {path}: {_text(error)}. "
                f"{'Leave out session_options' if session_options else 'Export the part again'}, "
                "or upgrade onnxruntime."
            ) from error
        self._session: ort.InferenceSession | None = session
        # Not `session.run`, which checks the names again and, after an error, retries on another
        # provider.
        self._run: Callable[..., Any] | None = native.run
        self.providers: tuple[str, ...] = tuple(session.get_providers())
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self._outputs = [node.name for node in session.get_outputs()]
        self._rows, self._expected = _expected(variant) if variant else ("", {})
        self._shapes: ByShapes[dict[str, tuple[int, ...]]] | None = None
        if variant and is_sized(variant):
            names = [spec.name for spec in variant.inputs]
            self._shapes = ByShapes(names, partial(_row_shapes, variant))

    def interface_mismatches(
        self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
    ) -> list[str]:
        """Differences of the graph's names, dtypes and axes from the specs: one line each."""
        session, found = self.opened(), []
        for kind, specs, nodes in (
            ("input", inputs, session.get_inputs()),
            ("output", outputs, session.get_outputs()),
        ):
            names = [node.name for node in nodes]
            expected = [spec.name for spec in specs]
            if names != expected:
                found.append(f"{kind}s: expected {expected}, the graph has {names}")
                continue
            for spec, node in zip(specs, nodes, strict=True):
                dtype = _DTYPES.get(node.type, node.type)
                if dtype != spec.dtype:
                    found.append(f"{kind} {spec.name}: expected {spec.dtype}, got {dtype}")
                if list(node.shape) != list(spec.shape):
                    found.append(
                        f"{kind} {spec.name}: expected axes {list(spec.shape)}, got {node.shape}"
                    )
        return found

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph and return every output by name.

        Args:
            inputs: C-contiguous arrays by name, of the graph's dtypes and shapes.

        Raises:
            RunError: the run failed, or an output does not match the manifest.
            OldRuntimeError: the run failed, and onnxruntime is older than the graph needs.
            DeviceMemoryError: out of memory.
            BundleError: the session was closed, or was opened before this process was forked.
        """
        return dict(zip(self._outputs, self.values(inputs, self._outputs), strict=True))

    def values(self, inputs: Mapping[str, Array], outputs: list[str]) -> list[Array]:
        """As `run`, for the named outputs only, as a list in their order."""
        # Repeats the check of `opened`, since a call costs microseconds that matter here.
        run = self._run
        if run is None or self._fork != forks():
            run = self.opened().run
        try:
            values: list[Array] = run(outputs, inputs, None)
        except ORT_ERRORS as error:
            raise self.run_error(inputs, error) from error
        if self._expected:
            rows = len(inputs[self._rows])
            shapes = self._shapes(inputs) if self._shapes else None
            for name, value in zip(outputs, values, strict=True):
                dtype, row = self._expected[name]
                if shapes is not None:
                    row = shapes[name]
                if (
                    type(value) is not np.ndarray
                    or value.shape != (rows, *row)
                    or value.dtype != dtype
                ):
                    raise self._wrong_output(name, value, f"{dtype} {[rows, *row]}")
        return values

    def _wrong_output(self, name: str, value: Any, expected: str) -> RunError:
        got = f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else "no array"
        return RunError(
            f"{self._file} gave {name} {got}, expected {expected}: export the bundle again"
        )

    def run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Run the graph and write the named outputs to C-contiguous arrays.

        Raises:
            RunError, OldRuntimeError, DeviceMemoryError, BundleError: see `run`.
        """
        session = self.opened()
        try:
            binding = session.io_binding()
            for name, value in inputs.items():
                binding.bind_cpu_input(name, value)
            for name, value in outputs.items():
                binding.bind_output(name, "cpu", 0, value.dtype, value.shape, value.ctypes.data)
            session.run_with_iobinding(binding)
        except ORT_ERRORS as error:
            raise self.bound_error(inputs, list(outputs), error) from error

    def opened(self) -> ort.InferenceSession:
        """onnxruntime's session.

        Raises:
            BundleError: it was closed, or was opened before this process was forked.
        """
        if self._fork != forks():
            raise BundleError(
                f"{self.path} was opened before this process was forked, and a fork has none of "
                "its threads: call aeonnx.load in the child, or start it with "
                "multiprocessing.get_context('spawn')"
            )
        if self._session is None:
            raise BundleError(f"{self.path} was closed: open the bundle again with aeonnx.load")
        return self._session

    def close(self) -> None:
        """Close the graph; runs in progress finish first. Idempotent."""
        self._session = self._run = None

    def bound_error(
        self, inputs: Mapping[str, Array], outputs: list[str], error: Exception
    ) -> RunError:
        """The error to raise when a run with bound buffers failed.

        onnxruntime does not say which output failed to fit its buffer: a second run without buffers
        finds out.
        """
        found = self.run_error(inputs, error)
        if not isinstance(found, DeviceMemoryError):
            try:
                self.values(inputs, outputs)
            except RunError as explained:
                return explained
        return found

    def _require_new_enough(self, error: Exception) -> None:
        """Raise `OldRuntimeError` if onnxruntime's age explains an error."""
        if self._lowest and _release(ort.__version__) < _release(self._lowest):
            raise OldRuntimeError(
                f"{self._file} needs onnxruntime {self._lowest} or newer, and this is "
                f"{ort.__version__}: pip install --upgrade onnxruntime ({_text(error)})"
            ) from error

    def run_error(self, inputs: Mapping[str, Array], error: Exception) -> RunError:
        """The error to raise when a run failed."""
        shapes = {name: list(np.shape(value)) for name, value in inputs.items()}
        where = f"{self._file} on {self.providers[0]}"
        if _is_memory(error):
            fewer = "give fewer rows at once, or " if several_rows(inputs.values()) else ""
            return DeviceMemoryError(
                f"{where} needs more memory than is free for inputs {shapes} ({_wanted(error)}): "
                f"{fewer}free some memory."
            )
        text = f"{where} failed on inputs {shapes}: {_text(error)}"
        self._require_new_enough(error)
        if self.providers[0] != "CPUExecutionProvider":
            # After a device error, nothing in its memory can be relied on.
            text += ". If other runs fail from now on too, open the bundle in a new process"
        return RunError(text)


def _release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "1.18.0.dev1" -> (1, 18, 0)."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()


def _expected(variant: Variant) -> tuple[str, dict[str, tuple[np.dtype[Any], Shape]]]:
    """Name of an input with a batch axis; dtype and shape of one row of each output."""
    rows = next(spec.name for spec in variant.inputs if has_rows(variant, spec))
    return rows, {spec.name: (np.dtype(spec.dtype), spec.shape[1:]) for spec in variant.outputs}


def _row_shapes(variant: Variant, inputs: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    sizes = sizes_of(variant, inputs)
    return {spec.name: shape_at(spec.shape[1:], sizes) for spec in variant.outputs}


def _text(error: Exception) -> str:
    """onnxruntime's message, made printable: it may quote names from the graph."""
    return printable(str(error), keep="\n")


def _wanted(error: Exception) -> str:
    """How much could not be allocated, or what else onnxruntime says."""
    size = re.search(r"requested buffer of size (\d+)", str(error))
    return f"{int(size[1]) / 1e9:.2g} GB in one piece" if size else _text(error)


def _is_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY)
