"""Which variant of a part runs here, and in batches of which size: as asked for, or as measured."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from aeonnx._util.threads import usable_cores
from aeonnx.errors import BundleError, GraphError, OldRuntimeError, RunError
from aeonnx.runtime.forks import after_fork
from aeonnx.runtime.runner import PartRunner, Runner
from aeonnx.runtime.sessions import SessionPool

if TYPE_CHECKING:
    from aeonnx.runtime.autotune import Speed

__all__ = ["Variants"]


class Variants:
    """The parts of a bundle as functions of arrays, each in the variant that the settings ask for.

    Args:
        pool: the open graphs.
    """

    def __init__(self, pool: SessionPool) -> None:
        self._pool, self._settings, self._parts = pool, pool.settings, pool.manifest.parts
        self._runners: dict[tuple[str, str], PartRunner] = {}
        self._chosen: dict[str, str] = {}
        self._lock = threading.RLock()
        after_fork(self)

    def forked(self) -> None:
        """In a child, a thread that is not there may hold the lock."""
        self._lock = threading.RLock()

    @property
    def chosen(self) -> Mapping[str, str]:
        """The variant that verbs use, by part, of those that were used."""
        return self._chosen

    def runner(self, part: str, name: str | None = None) -> PartRunner:
        """A variant as a function of arrays; None for the one that `Settings.precision` asks for.

        Raises:
            BundleError, IntegrityError, GraphError, ProviderError: see `SessionPool.session`.
        """
        with self._lock:
            name = name or self.choice(part)
            key = (part, name)
            if key not in self._runners:
                variant, graph = self._pool.variant(part, name), self._graph(part, name)
                self._runners[key] = PartRunner(
                    part, variant, graph, lambda: self._max_batch(part, name)
                )
            return self._runners[key]

    def choice(self, part: str) -> str:
        """The variant of a part that `Settings.precision` asks for.

        Raises:
            BundleError, IntegrityError, GraphError, ProviderError: see `SessionPool.session`.
        """
        with self._lock:
            if part not in self._chosen:
                asked = self._settings.precision
                self.require(part)
                self._chosen[part] = self._fastest(part) if asked == "auto" else asked
            return self._chosen[part]

    def require(self, part: str) -> None:
        """Refuse a part that is not there, or not in the precision asked for.

        Raises:
            BundleError: says what is there, and how to export it.
        """
        self._pool.variant(part, "fp32")
        name = self._settings.precision
        if name != "auto" and name not in self._parts[part]:
            has, model = ", ".join(self._parts[part]), self._pool.manifest.model
            raise BundleError(
                f"{part} is not in this bundle in {name}, but in {has}: export it with: "
                f"aeonnx export --model {model} --part {part} --precision {name}; "
                "or open the bundle with precision='auto'"
            )

    def ready(self) -> list[str]:
        """The parts that are there in the precision asked for."""
        asked = self._settings.precision
        return [part for part, found in self._parts.items() if asked == "auto" or asked in found]

    def close(self) -> None:
        """Close all graphs; runs that have begun end first. Idempotent."""
        with self._lock:
            self._pool.close()
            self._runners.clear()

    def _graph(self, part: str, name: str) -> Runner:
        if not self._settings.cuda_graph:
            return self._pool.session(part, name)
        from aeonnx.runtime.io_binding import CudaGraphRunner

        session = self._pool.recording_session(part, name)
        return CudaGraphRunner(session, self._pool.variant(part, name))

    def _max_batch(self, part: str, name: str) -> int:
        return self._settings.max_batch or self._speed(part, name).max_batch

    def _fastest(self, part: str) -> str:
        """The fastest variant that can run and gives its golden vectors here; "fp32" if none."""
        # What measures is not needed for most calls, and milliseconds count at the start.
        from aeonnx.runtime import autotune
        from aeonnx.runtime.verification import verify_variant

        floats = [name for name in self._parts[part] if not name.endswith("-uint8")]
        if len(floats) == 1:
            return floats[0]
        speeds = {}
        for name in floats:
            with suppress(BundleError, GraphError, RunError, OldRuntimeError):
                speeds[name] = self._speed(part, name)
        for name in autotune.by_speed(speeds):
            with suppress(BundleError, OldRuntimeError):
                # A record of another day may choose the order, and no more.
                if verify_variant(self._pool, part, name).passed:
                    return name
        return "fp32"

    def _speed(self, part: str, name: str) -> Speed:
        from aeonnx.runtime import autotune

        pool = self._pool
        variant, session = pool.variant(part, name), pool.session(part, name)
        threads = self._settings.threads or usable_cores()
        known = autotune.known_speed(variant, session, threads)
        if known is not None:
            return known
        inputs = {key: pool.read_golden(item) for key, item in variant.golden.inputs.items()}
        return autotune.measure_speed(variant, session, threads, inputs)
