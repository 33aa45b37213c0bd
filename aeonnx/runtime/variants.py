"""Chooses the variant and batch size that each part runs with: as requested or as measured."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from aeonnx.errors import BundleError, GraphError, OldRuntimeError, RunError
from aeonnx.runtime.export_advice import export_command
from aeonnx.runtime.runner import PartRunner, Runner
from aeonnx.runtime.sessions import SessionPool
from aeonnx.runtime.tiling import tiling_of

if TYPE_CHECKING:
    from aeonnx.runtime.autotune import Speed

__all__ = ["Variants"]

_LOG = logging.getLogger(__name__)


class Variants:
    """The runners of a bundle's parts, each for the variant that the settings select.

    Args:
        pool: the open graphs.
    """

    def __init__(self, pool: SessionPool) -> None:
        self._pool, self._settings, self._parts = pool, pool.settings, pool.manifest.parts
        self._runners: dict[tuple[str, str], PartRunner] = {}
        self._chosen: dict[str, str] = {}

    @property
    def chosen(self) -> Mapping[str, str]:
        """The selected variant by part, for the parts used so far."""
        return self._chosen

    def runner(self, part: str, name: str | None = None) -> PartRunner:
        """The runner of a part's variant.

        Args:
            part: name of the part.
            name: name of the variant; None for the one that `Settings.precision` selects.

        Raises:
            BundleError, IntegrityError, GraphError, ProviderError: see `SessionPool.session`.
        """
        with self._pool.lock:
            name = name or self.choice(part)
            key = (part, name)
            if key not in self._runners:
                variant, graph = self._pool.variant(part, name), self._graph(part, name)
                tiling = tiling_of(part, variant, self._settings.tile, self._settings.overlap)
                classes = self._pool.manifest.classes
                self._runners[key] = PartRunner(
                    part, variant, graph, lambda: self._max_batch(part, name), tiling, classes
                )
            return self._runners[key]

    def choice(self, part: str) -> str:
        """Name of the variant of a part that `Settings.precision` selects.

        Raises:
            BundleError, IntegrityError, GraphError, ProviderError: see `SessionPool.session`.
        """
        with self._pool.lock:
            if part not in self._chosen:
                asked = self._settings.precision
                self.require(part)
                self._chosen[part] = self._fastest(part) if asked == "auto" else asked
                if asked == "auto":
                    _LOG.info("%s: precision auto chose %s", part, self._chosen[part])
            return self._chosen[part]

    def require(self, part: str) -> None:
        """Check that the bundle has a part in the requested precision.

        Raises:
            BundleError: it does not; the message lists what it has and how to export the rest.
        """
        self._pool.variant(part, "fp32")
        name = self._settings.precision
        if name != "auto" and name not in self._parts[part]:
            has, pool = ", ".join(self._parts[part]), self._pool
            words = (f"--part {part}", f"--precision {name}")
            raise BundleError(
                f"{part} is not in this bundle in {name}, but in {has}: open the bundle with "
                "precision='auto' (--precision auto), or export it with: "
                + export_command(pool.folder, pool.manifest, *words, measured=True)
            )

    @property
    def blended(self) -> tuple[str, ...]:
        """Parts of which a result was put together from blended tiles, since they were opened."""
        with self._pool.lock:
            return tuple(sorted({key[0] for key, made in self._runners.items() if made.blended}))

    def ready(self) -> list[str]:
        """The parts that the bundle has in the requested precision."""
        asked = self._settings.precision
        return [part for part, found in self._parts.items() if asked == "auto" or asked in found]

    def close(self) -> None:
        """Close all graphs; runs in progress finish first. Idempotent."""
        with self._pool.lock:
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
        """The fastest variant that reproduces its golden vectors here; "fp32" if none does."""
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
                # A cached measurement decides the order only: verify again on this run.
                if verify_variant(self._pool, part, name).passed:
                    return name
        return "fp32"

    def _speed(self, part: str, name: str) -> Speed:
        from aeonnx.runtime import autotune

        pool = self._pool
        variant, session = pool.variant(part, name), pool.session(part, name)
        speed = autotune.known_speed(variant, session, self._settings)
        source = "cached"
        if speed is None:
            inputs = {key: pool.read_golden(item) for key, item in variant.golden[0].inputs.items()}
            speed = autotune.measure_speed(variant, session, self._settings, inputs)
            source = "measured"
        _LOG.info("%s (%s): best at %d rows per run (%s)", part, name, speed.max_batch, source)
        return speed
