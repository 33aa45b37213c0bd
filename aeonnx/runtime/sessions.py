"""The open graphs of a bundle: each opened once, at first use, by whichever thread comes first."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aeonnx._util import files
from aeonnx._util.threads import usable_cores
from aeonnx.bundle import GoldenTensor, Manifest, Variant, golden, manifest
from aeonnx.bundle.graph_bytes import check_graph
from aeonnx.errors import (
    BundleError,
    GraphError,
    IntegrityError,
    ManifestError,
    OldRuntimeError,
    RunError,
    UnknownNameError,
)
from aeonnx.runtime.forks import after_fork
from aeonnx.runtime.runner import PartRunner, Runner
from aeonnx.runtime.session import Array, Session
from aeonnx.runtime.settings import Settings, graph_providers

if TYPE_CHECKING:
    from aeonnx.runtime.tuning import Speed

__all__ = ["SessionPool"]


class SessionPool:
    """The parts of the bundle in `folder`.

    Args:
        folder: of the bundle.
        manifest: what is in it.
        settings: how its graphs are to run.
    """

    def __init__(self, folder: Path, manifest: Manifest, settings: Settings) -> None:
        self.folder, self.manifest, self.settings = folder, manifest, settings
        self._sessions: dict[tuple[str, str], Session] = {}
        self._calls: dict[tuple[str, str], PartRunner] = {}
        self._chosen: dict[str, str] = {}
        self._lock = threading.RLock()
        self._closed = False
        after_fork(self)

    def forked(self) -> None:
        """In a child, a thread that is not there may hold the lock."""
        self._lock = threading.RLock()

    @property
    def provider(self) -> str | None:
        """The execution provider of the graphs that are open; None before the first."""
        return next((session.providers[0] for session in self._sessions.values()), None)

    @property
    def chosen(self) -> Mapping[str, str]:
        """The variant that verbs use, by part, of those that were used."""
        return self._chosen

    def variant(self, part: str, name: str) -> Variant:
        """The manifest's entry of a part's variant.

        Raises:
            BundleError: the bundle has no such part.
            UnknownNameError: the part has no such variant.
        """
        if part not in self.manifest.parts:
            has = ", ".join(sorted(self.manifest.parts)) or "none"
            model = self.manifest.model
            raise BundleError(
                f"this bundle has no part {part!r}, it has: {has}. If a {model} has "
                f"one, add it with: aeonnx export --model {model} --part {part}"
            )
        variants = self.manifest.parts[part]
        if name not in variants:
            raise UnknownNameError(f"variant of {part}", name, variants)
        return variants[name]

    def session(self, part: str, name: str) -> Session:
        """The open graph of a variant: checked against the manifest when it is opened.

        Raises:
            BundleError: there is none, or the bundle was closed.
            IntegrityError: the file is missing or is not what the manifest says.
            GraphError: the graph holds what a bundle never does.
            ProviderError: a provider asked for by name cannot run here.
        """
        with self._lock:
            self._require_open()
            key = (part, name)
            if key not in self._sessions:
                self._sessions[key] = self._open(part, name)
            return self._sessions[key]

    def call(self, part: str, name: str | None = None) -> PartRunner:
        """A variant as a function of arrays; None for the one that `Settings.precision` asks for.

        Raises: as `session`.
        """
        with self._lock:
            name = name or self.choice(part)
            key = (part, name)
            if key not in self._calls:
                variant, runner = self.variant(part, name), self._runner(part, name)
                self._calls[key] = PartRunner(
                    part, variant, runner, lambda: self._max_batch(part, name)
                )
            return self._calls[key]

    def choice(self, part: str) -> str:
        """The variant of a part that `Settings.precision` asks for.

        Raises: as `session`.
        """
        with self._lock:
            if part not in self._chosen:
                asked = self.settings.precision
                self.require(part)
                self._chosen[part] = self._fastest(part) if asked == "auto" else asked
            return self._chosen[part]

    def require(self, part: str) -> None:
        """Refuse a part that is not there, or not in the precision asked for.

        Raises:
            BundleError: says what is there, and how to export it.
        """
        self.variant(part, "fp32")
        name = self.settings.precision
        if name != "auto" and name not in self.manifest.parts[part]:
            has, model = ", ".join(self.manifest.parts[part]), self.manifest.model
            raise BundleError(
                f"{part} is not in this bundle in {name}, but in {has}: export it with: "
                f"aeonnx export --model {model} --part {part} --precision {name}; "
                "or open the bundle with precision='auto'"
            )

    def ready(self) -> list[str]:
        """The parts that are there in the precision asked for."""
        asked = self.settings.precision
        return [
            part for part, found in self.manifest.parts.items() if asked == "auto" or asked in found
        ]

    def read_golden(self, tensor: GoldenTensor) -> Array:
        """A golden array of the manifest.

        Raises:
            IntegrityError: the file is missing or is not the one that the manifest names.
        """
        with self._told_if_replaced():
            return golden.read(self.folder, tensor)

    def close(self) -> None:
        """Close all graphs; what is under way ends first. Again is no harm."""
        with self._lock:
            self._closed = True
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()
            self._calls.clear()

    def _require_open(self) -> None:
        if self._closed:
            raise BundleError(f"{self.folder} was closed: open it again with aeonnx.load")

    def _runner(self, part: str, name: str) -> Runner:
        if not self.settings.cuda_graph:
            return self.session(part, name)
        from aeonnx.runtime.io_binding import CudaGraphRunner

        self._require_open()
        # A session that records graphs runs nothing else: it is not the one that `session` gives.
        session = self._open(part, name, cuda_graph=True)
        self._sessions[part, f"{name} replayed"] = session
        return CudaGraphRunner(session, self.variant(part, name))

    def _open(self, part: str, name: str, *, cuda_graph: bool = False) -> Session:
        variant = self.variant(part, name)
        path = self.folder / variant.file
        providers = graph_providers(self.settings) if cuda_graph else self.settings.providers
        with self._told_if_replaced():
            data = files.read_verified(path, variant.sha256, variant.bytes)
        check_graph(data, str(path))
        session = Session(
            path, providers, threads=self.settings.threads, data=data, variant=variant
        )
        mismatches = session.interface_mismatches(variant.inputs, variant.outputs)
        if session.metadata.get("aeonnx.checkpoint_id") != self.manifest.checkpoint_id:
            mismatches.append("it comes from another checkpoint than the bundle's other parts")
        if mismatches:
            raise IntegrityError(
                f"{session.path} does not match its manifest: {'; '.join(mismatches)}. "
                "Export the bundle again."
            )
        return session

    @contextmanager
    def _told_if_replaced(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            if not self._is_replaced():
                raise
            raise IntegrityError(
                f"{self.folder}: the bundle was replaced since it was loaded: "
                "call aeonnx.load again"
            ) from error

    def _is_replaced(self) -> bool:
        try:
            return manifest.read(self.folder) != self.manifest
        except ManifestError:
            return True
        except BundleError:  # it is gone
            return False

    def _max_batch(self, part: str, name: str) -> int:
        return self.settings.max_batch or self._speed(part, name).max_batch

    def _fastest(self, part: str) -> str:
        """The fastest variant that can run and gives its golden vectors here; "fp32" if none."""
        from aeonnx.runtime.replay import verify_variant
        from aeonnx.runtime.tuning import by_speed

        floats = [name for name in self.manifest.parts[part] if not name.endswith("-uint8")]
        if len(floats) == 1:
            return floats[0]
        speeds = {}
        for name in floats:
            with suppress(BundleError, GraphError, RunError, OldRuntimeError):
                speeds[name] = self._speed(part, name)
        for name in by_speed(speeds):
            with suppress(BundleError, OldRuntimeError):
                # A record of another day may choose the order, and no more.
                if verify_variant(self, part, name).passed:
                    return name
        return "fp32"

    def _speed(self, part: str, name: str) -> Speed:
        from aeonnx.runtime.tuning import known_speed, measure_speed

        variant, session = self.variant(part, name), self.session(part, name)
        threads = self.settings.threads or usable_cores()
        known = known_speed(variant, session, threads)
        if known is not None:
            return known
        inputs = {key: self.read_golden(item) for key, item in variant.golden.inputs.items()}
        return measure_speed(variant, session, threads, inputs)
