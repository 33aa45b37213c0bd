"""Runs requests on models: checks, queues, waits for the result or for the client to leave."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request

from aeonnx.errors import AeonnxError, DeviceMemoryError, InputError, RequestError
from aeonnx.serving.batcher import Batcher, Job, Limits
from aeonnx.serving.bodies import Gone
from aeonnx.serving.metrics import Metrics
from aeonnx.serving.models import Model
from aeonnx.serving.options import ServeOptions
from aeonnx.serving.threads import aside

__all__ = ["Service"]

_LOG = logging.getLogger(__name__)

_TOO_MUCH = (
    "this takes more memory than the server has: send fewer rows at once, or a smaller picture"
)
_PATIENCE_S = 0.05
"""Most answers come sooner; only after that is it worth looking whether the client left."""


class Service:
    """One model with its queue and its thread. Create it within an event loop.

    Args:
        model: the model; its graph is open already.
        options: of the server.
        metrics: of the server.
    """

    def __init__(self, model: Model, options: ServeOptions, metrics: Metrics) -> None:
        self.model, self._timeout = model, options.timeout
        self.metrics = metrics.of_model(model.name, model.version)
        self.inputs, self.outputs = model.inputs, model.outputs
        self._runner, self._batched = model.runner(), model.batched
        self.batches = all(spec.name in self._batched for spec in self.inputs)
        """Whether all inputs have an axis of rows."""
        self.batcher = Batcher(
            model.name,
            self._runner,
            Limits(options.max_batch, options.max_queue, _most_bytes(options)),
            self._batched,
            self.metrics,
        )
        self.metrics.shows(lambda: self.batcher.pending)

    def require_room(self) -> None:
        """Refuse a request before its body is read and parsed, if the queue is full.

        Raises:
            RequestError: it is.
        """
        self.batcher.require_room(1, 1)

    async def infer(
        self, request: Request, inputs: Mapping[str, Any], timeout: float | None = None
    ) -> dict[str, Any]:
        """All outputs for inputs by name, together with other requests where shapes are equal.

        Raises:
            RequestError: see `call`; or an input does not fit the model.
            Gone: the client left.
        """
        size = sum(value.nbytes for value in inputs.values())
        try:
            checked = await aside(size, lambda: self._runner.check(inputs))
        except InputError as error:
            raise RequestError(400, str(error)) from None
        key = tuple(
            value.shape[1:] if name in self._batched else value.tobytes()
            for name, value in checked.items()
        )
        job = Job(
            lambda: self._runner(checked),
            self.model.rows(checked),
            size,
            self._deadline(timeout),
            key,
            checked,
        )
        found: dict[str, Any] = await self._result(request, job)
        return found

    async def call(self, request: Request, run: Callable[[], Any], rows: int, size: int) -> Any:
        """What `run()` returns, in the thread of this model and in turn with its requests.

        Args:
            request: whose client waits for it.
            run: the call.
            rows: that it counts for in the queue.
            size: bytes of its inputs.

        Raises:
            RequestError: the queue is full, the time is over, or the run failed.
            Gone: the client left.
        """
        return await self._result(request, Job(run, rows, size, self._deadline(None)))

    def _deadline(self, timeout: float | None) -> float:
        limit = self._timeout if timeout is None else min(timeout, self._timeout)
        return time.monotonic() + limit

    async def _result(self, request: Request, job: Job) -> Any:
        future = self.batcher.submit(job)
        loop = asyncio.get_running_loop()
        watch = loop.call_later(
            min(_PATIENCE_S, max(0.0, job.deadline - time.monotonic())),
            lambda: _watch(future, request, job.deadline),
        )
        try:
            return await future
        except RequestError:
            raise
        except DeviceMemoryError as error:
            _LOG.warning("%s: %s", self.model.name, error)
            raise RequestError(413, _TOO_MUCH, "failed") from error
        except AeonnxError as error:
            raise RuntimeError(f"{self.model.name} failed") from error
        finally:
            watch.cancel()
            future.cancel()  # when this request was cancelled


def _most_bytes(options: ServeOptions) -> int:
    """Bytes of inputs that may wait for a model: some of the largest bodies, or one picture."""
    return max(4 * options.max_body, 4 * 4 * options.max_pixels)  # four channels as float32


_watching: set[asyncio.Task[None]] = set()


def _watch(future: asyncio.Future[Any], request: Request, deadline: float) -> None:
    """End the wait for a future at the deadline, or when the client leaves."""
    task = asyncio.create_task(_end(future, request, deadline))
    _watching.add(task)
    task.add_done_callback(_watching.discard)
    future.add_done_callback(lambda _: task.cancel())


async def _end(future: asyncio.Future[Any], request: Request, deadline: float) -> None:
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            while (await request.receive())["type"] != "http.disconnect":
                pass
        error: Exception = Gone()
    except TimeoutError:
        error = RequestError(503, "the request took longer than its limit", "expired")
    if not future.done():
        future.set_exception(error)
