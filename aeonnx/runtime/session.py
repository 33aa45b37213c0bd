"""One open graph: the only place that calls onnxruntime's `run` and maps its errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from aeonnx.errors import BundleError, IntegrityError
from aeonnx.manifest import TensorSpec
from aeonnx.runtime.providers import create_session

__all__ = ["Array", "Session"]

Array = npt.NDArray[Any]

# onnxruntime's exceptions have no common base but Exception.
_ORT_ERRORS = tuple(
    value
    for value in vars(ort_state).values()
    if isinstance(value, type) and issubclass(value, Exception)
)
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int64)": "int64",
}


class Session:
    """A graph ready to run, at the optimisation level that ships (onnxruntime's highest).

    Args:
        path: the .onnx file.
        providers: see `aeonnx.load`.

    Raises:
        ProviderError: a provider asked for by name cannot run here.
        IntegrityError: onnxruntime refuses the file.
    """

    def __init__(self, path: Path, providers: Sequence[str] | None = None) -> None:
        self.path = path
        try:
            self._session: ort.InferenceSession = create_session(path, providers)
        except _ORT_ERRORS as error:
            raise IntegrityError(
                f"onnxruntime {ort.__version__} refuses {path}: {error}. "
                "Export the part again, or upgrade onnxruntime."
            ) from error
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._outputs = [node.name for node in self._session.get_outputs()]

    def interface_mismatches(
        self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
    ) -> list[str]:
        """How the graph's names, dtypes and axes differ from what they should be: one line each."""
        found = []
        for kind, specs, nodes in (
            ("input", inputs, self._session.get_inputs()),
            ("output", outputs, self._session.get_outputs()),
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
        """Every output of the graph by name, for inputs of the right names, dtypes and shapes.

        Raises:
            BundleError: onnxruntime could not run the graph on these inputs.
        """
        try:
            values: list[Array] = self._session.run(self._outputs, dict(inputs))
        except _ORT_ERRORS as error:
            shapes = {name: list(np.shape(value)) for name, value in inputs.items()}
            raise BundleError(f"{self.path.name} failed on inputs {shapes}: {error}") from error
        return dict(zip(self._outputs, values, strict=True))
