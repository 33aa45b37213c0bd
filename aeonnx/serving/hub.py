"""All models of a server: opened, warmed up and verified before it says that it is ready."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from aeonnx.errors import BundleError, GoldenMismatchError, OldRuntimeError, RequestError
from aeonnx.runtime import Bundle
from aeonnx.runtime.verification import verify_variant
from aeonnx.serving.access_log import AccessLog
from aeonnx.serving.bodies import Budget, read_body
from aeonnx.serving.guard import State
from aeonnx.serving.inference import Service
from aeonnx.serving.metrics import Metrics
from aeonnx.serving.models import Model, models_of
from aeonnx.serving.options import ServeOptions
from aeonnx.serving.threads import LARGE

__all__ = ["Hub"]

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

_BODIES = 8
"""So many bodies of the largest size may be held at once."""
_PICTURES = 4
"""So many pictures of the largest size may be held at once."""


class Hub:
    """The models of bundles, and what they share.

    Args:
        bundles: open bundles of different folder names.
        options: of the server.

    Raises:
        UsageError: two bundles have one name, or a name cannot be part of a URL.
        BundleError: no part of a bundle is there in the precision that it was opened with.
    """

    def __init__(self, bundles: Sequence[Bundle], options: ServeOptions) -> None:
        self.bundles = {bundle.folder.name: bundle for bundle in bundles}
        self.models: Mapping[str, Mapping[str, Model]] = models_of(bundles)
        self.options, self.state, self.metrics = options, State(), Metrics()
        self.access_log = AccessLog() if options.access_log else None
        self.budget = Budget(_BODIES * options.max_body)
        self.pixels = Budget(_PICTURES * options.max_pixels)
        self._parsing = asyncio.Lock()
        self._services: dict[tuple[str, str], Service] = {}

    async def start(self) -> None:
        """Open, warm up and verify all models, then say that the server is ready.

        Raises:
            GoldenMismatchError: a model does not give the outputs that torch gave.
            BundleError, GraphError, ProviderError, SetupError: see `Bundle.run`.
        """
        usable: dict[str, dict[str, Model]] = {}
        for name, versions in self.models.items():
            for version, model in versions.items():
                if await asyncio.to_thread(_is_usable, model, self.options.max_batch):
                    self._services[name, version] = Service(model, self.options, self.metrics)
                    usable.setdefault(name, {})[version] = model
        self.models = usable
        for bundle in self.bundles.values():
            await asyncio.to_thread(_choose, bundle)
        self.state.ready = True

    def stop(self) -> None:
        """End the threads of all models once their queues are done, and the access log."""
        for service in self._services.values():
            service.batcher.close()
        if self.access_log:
            self.access_log.close()

    @property
    def alive(self) -> bool:
        """Whether the threads of all models run, without which only a restart helps."""
        return all(service.batcher.alive for service in self._services.values())

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        return self.state.ready and not self.state.stopping and self.alive

    def service(self, params: Mapping[str, Any]) -> Service:
        """The model that a URL names, in its highest version if it names none.

        Raises:
            RequestError: there is no such model, or it is not ready yet.
        """
        name, version = params["model"], params.get("version")
        versions = self.models.get(name)
        if versions is None or (version is not None and version not in versions):
            what = f"{name}, version {version}" if versions else name
            raise RequestError(404, f"unknown model {what[:200]!r}: see POST /v2/repository/index")
        found = self._services.get((name, version or next(iter(versions))))
        if found is None:
            raise RequestError(503, "the server is starting: try again", "rejected", 1)
        return found

    def part(self, bundle: Bundle, part: str) -> Service:
        """The service of a part in the precision that verbs of the bundle use.

        Raises:
            RequestError: the server is not ready yet, or cannot run the part.
        """
        if not self.state.ready:
            raise RequestError(503, "the server is starting: try again", "rejected", 1)
        choice = bundle.precision_of(part)
        for service in self._services.values():
            model = service.model
            if model.bundle is bundle and (model.part, model.variant) == (part, choice):
                return service
        raise RequestError(
            503, f"{bundle.folder.name}.{part} needs a newer onnxruntime than this server has"
        )

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, which counts as held until the block ends.

        Raises:
            RequestError, Gone: see `read_body`.
        """
        body = await read_body(request, self.budget, self.options.max_body)
        try:
            yield body
        finally:
            self.budget.give_back(len(body))

    async def parsed(self, size: int, parse: Callable[[], T]) -> T:
        """What `parse()` makes of a body of this size.

        Large ones wait for each other: parsers of JSON keep Python's lock, and several at once
        would leave nothing for other requests.
        """
        if size < LARGE:
            return parse()
        async with self._parsing:
            return await run_in_threadpool(parse)


def _choose(bundle: Bundle) -> None:
    """Choose the precision of each part now: "auto" measures it, which takes seconds."""
    for part in bundle.parts:
        with suppress(BundleError):  # it is not in this bundle in the requested precision
            bundle.precision_of(part)


def _is_usable(model: Model, batch: int) -> bool:
    """Verify a model, and run its smallest and largest batches once; False if it is too new here.

    Raises:
        GoldenMismatchError: its outputs are not those that torch gave.
    """
    name, variant = f"{model.name} ({model.variant})", model.variant
    try:
        report = verify_variant(model.bundle, model.part, variant)
    except OldRuntimeError as error:
        _LOG.warning("%s is not served: %s", name, error)
        return False
    if not report.passed:
        raise GoldenMismatchError(
            f"{name} does not give the outputs that torch gave, so it is not served: "
            f"{'; '.join(report.failures[:3])}. See `aeonnx verify {model.bundle.folder}`"
        )
    model.warm_up((1, batch))
    return True
