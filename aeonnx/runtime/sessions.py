"""The open graphs of a bundle: each is opened once, by the first thread that uses it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aeonnx._util import files
from aeonnx.bundle import GoldenTensor, Manifest, Variant, golden, manifest
from aeonnx.bundle.graph_bytes import check_graph
from aeonnx.errors import (
    BundleError,
    IntegrityError,
    ManifestError,
    UnknownNameError,
)
from aeonnx.runtime.export_advice import missing_part
from aeonnx.runtime.forks import after_fork
from aeonnx.runtime.session import Array, Session
from aeonnx.runtime.settings import Settings, graph_providers

__all__ = ["SessionPool"]

_LOG = logging.getLogger(__name__)


class SessionPool:
    """The graphs and stored arrays of the bundle in `folder`.

    Args:
        folder: the bundle's folder.
        manifest: the manifest in it.
        settings: providers, threads and other options of the sessions.

    Attributes:
        lock: guards the sessions, and what is built on them.
    """

    def __init__(self, folder: Path, manifest: Manifest, settings: Settings) -> None:
        self.folder, self.manifest, self.settings = folder, manifest, settings
        self._sessions: dict[tuple[str, str], Session] = {}
        self.lock = threading.RLock()
        self._closed = False
        after_fork(self)

    def forked(self) -> None:
        """Replace the lock in a forked child: a thread of the parent may have held it."""
        self.lock = threading.RLock()

    @property
    def provider(self) -> str | None:
        """The execution provider of the open graphs; None before the first is opened."""
        return next((session.providers[0] for session in self._sessions.values()), None)

    def variant(self, part: str, name: str) -> Variant:
        """The manifest's entry of a part's variant.

        Raises:
            BundleError: the bundle has no such part.
            UnknownNameError: the part has no such variant.
        """
        if part not in self.manifest.parts:
            has = ", ".join(sorted(self.manifest.parts)) or "none"
            advice = missing_part(self.folder, self.manifest, part)
            raise BundleError(f"this bundle has no part {part!r}, it has: {has}. {advice}")
        variants = self.manifest.parts[part]
        if name not in variants:
            raise UnknownNameError(f"variant of {part}", name, variants)
        return variants[name]

    def session(self, part: str, name: str) -> Session:
        """The session of a variant, whose graph is checked against the manifest when it is opened.

        Raises:
            BundleError: the bundle has no such part, or was closed.
            UnknownNameError: the part has no such variant.
            IntegrityError: the file is missing or does not match the manifest, or onnxruntime
                refuses the graph.
            OldRuntimeError: the graph needs a newer onnxruntime.
            GraphError: the graph has content that a bundle must not have, see `check_graph`.
            ProviderError: a provider requested by name cannot run here.
        """
        with self.lock:
            self._require_open()
            key = (part, name)
            if key not in self._sessions:
                self._sessions[key] = self._open(part, name)
            return self._sessions[key]

    def recording_session(self, part: str, name: str) -> Session:
        """A second session of a variant, for recording and replaying CUDA graphs only.

        Raises:
            BundleError, IntegrityError, GraphError, ProviderError: see `session`.
        """
        with self.lock:
            self._require_open()
            session = self._open(part, name, cuda_graph=True)
            self._sessions[part, f"{name} recorded"] = session
            return session

    def read_golden(self, tensor: GoldenTensor) -> Array:
        """Read an array that the manifest names.

        Raises:
            IntegrityError: the file is missing or does not match the manifest.
        """
        with self._reporting_replacement():
            return golden.read(self.folder, tensor)

    def close(self) -> None:
        """Close all graphs; runs in progress finish first. Idempotent."""
        with self.lock:
            self._closed = True
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()

    def _require_open(self) -> None:
        if self._closed:
            raise BundleError(f"{self.folder} was closed: open it again with aeonnx.load")

    def _open(self, part: str, name: str, *, cuda_graph: bool = False) -> Session:
        variant = self.variant(part, name)
        path = self.folder / variant.file
        providers = graph_providers(self.settings) if cuda_graph else self.settings.providers
        with self._reporting_replacement():
            data = files.read_verified(path, variant.sha256, variant.bytes)
        check_graph(data, str(path))
        session = Session(
            path,
            providers,
            threads=self.settings.threads,
            session_options=self.settings.session_options,
            data=data,
            variant=variant,
        )
        mismatches = session.interface_mismatches(variant.inputs, variant.outputs)
        if session.metadata.get("aeonnx.checkpoint_id") != self.manifest.checkpoint_id:
            mismatches.append("it comes from another checkpoint than the bundle's other parts")
        if mismatches:
            raise IntegrityError(
                f"{session.path} does not match its manifest: {'; '.join(mismatches)}. "
                "Export the bundle again."
            )
        _LOG.info("opened %s (%s) on %s", part, name, session.providers[0])
        return session

    @contextmanager
    def _reporting_replacement(self) -> Iterator[None]:
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
        except BundleError:  # the bundle was removed
            return False
