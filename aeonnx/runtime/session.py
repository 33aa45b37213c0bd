"""One open graph: the only place that calls onnxruntime's `run` and maps its errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from aeonnx.errors import BundleError, DeviceMemoryError, IntegrityError, RunError
from aeonnx.manifest import TensorSpec
from aeonnx.runtime.providers import Provider, create_session

__all__ = ["ORT_ERRORS", "Array", "Session"]

Array = npt.NDArray[Any]

# onnxruntime's exceptions have no common base but Exception; one whose message is not UTF-8, as the
# names in a damaged graph may be, becomes the last.
ORT_ERRORS: tuple[type[Exception], ...] = (
    *(
        value
        for value in vars(ort_state).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ),
    UnicodeDecodeError,
)
_OUT_OF_MEMORY = ("failed to allocate memory", "out of memory", "bad_alloc", "bad allocation")
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int64)": "int64",
}

_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class Session:
    """A graph ready to run, at the optimisation level that ships (onnxruntime's highest).

    Any number of threads may run it. A forked child may not: threads and devices of its parent are
    not there any more.

    Args:
        path: the .onnx file.
        providers, threads: see `aeonnx.load`.
        data: what is in the file, if it was read already.

    Raises:
        ProviderError: a provider asked for by name cannot run here.
        IntegrityError: onnxruntime refuses the file.
    """

    def __init__(
        self,
        path: Path,
        providers: Sequence[Provider] | None = None,
        *,
        threads: int | None = None,
        data: bytes | None = None,
    ) -> None:
        self.path = path
        self._fork = _forks
        try:
            session: ort.InferenceSession = create_session(
                path if data is None else data, providers, threads
            )
        except ORT_ERRORS as error:
            raise IntegrityError(
                f"onnxruntime {ort.__version__} refuses {path}: {error}. "
                "Export the part again, or upgrade onnxruntime."
            ) from error
        self._session: ort.InferenceSession | None = session
        # What `session.run` calls: it would look at the names once more, and try an error again on
        # another provider.
        self._run: Callable[..., Any] | None = getattr(session, "_sess", session).run
        self.providers: tuple[str, ...] = tuple(session.get_providers())
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self._outputs = [node.name for node in session.get_outputs()]

    def interface_mismatches(
        self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
    ) -> list[str]:
        """How the graph's names, dtypes and axes differ from what they should be: one line each."""
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
        """Every output of the graph by name.

        Args:
            inputs: C-contiguous arrays of the right names, dtypes and shapes.

        Raises:
            RunError: onnxruntime could not run the graph on these inputs.
            DeviceMemoryError: for want of memory.
            BundleError: it was closed, or belongs to the process that forked this one.
        """
        return dict(zip(self._outputs, self.values(inputs, self._outputs), strict=True))

    def values(self, inputs: Mapping[str, Array], outputs: list[str]) -> list[Array]:
        """As `run`, of the outputs named."""
        # The check of `opened`, in the one place where microseconds count.
        run = self._run
        if run is None or self._fork != _forks:
            run = self.opened().run
        try:
            values: list[Array] = run(outputs, inputs, None)
        except ORT_ERRORS as error:
            raise self.run_error(inputs, error) from error
        return values

    def run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Run the graph and leave outputs in given C-contiguous arrays; others are not computed.

        Raises: as `run`.
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
            raise self.run_error(inputs, error) from error

    def opened(self) -> ort.InferenceSession:
        """onnxruntime's session.

        Raises:
            BundleError: it was closed, or belongs to the process that forked this one.
        """
        if self._fork != _forks:
            raise BundleError(
                f"{self.path} was opened before this process was forked, and a fork has none of "
                "its threads: call aeonnx.load in the child, or start it with "
                "multiprocessing.get_context('spawn')"
            )
        if self._session is None:
            raise BundleError(f"{self.path} was closed: open the bundle again with aeonnx.load")
        return self._session

    def close(self) -> None:
        """Let go of the graph, once the runs that are under way have ended; again is no harm."""
        self._session = self._run = None

    def run_error(self, inputs: Mapping[str, Array], error: Exception) -> RunError:
        """What to raise for an error of onnxruntime during a run."""
        shapes = {name: list(np.shape(value)) for name, value in inputs.items()}
        text = f"{self.path.name} on {self.providers[0]} failed on inputs {shapes}: {error}"
        if any(words in str(error).lower() for words in _OUT_OF_MEMORY):
            return DeviceMemoryError(f"{text}. Give fewer rows at once, or free some memory.")
        if self.providers[0] != "CPUExecutionProvider":
            # After an error of the device, nothing that is on it can be relied on.
            text += ". If other runs fail from now on too, open the bundle in a new process"
        return RunError(text)
