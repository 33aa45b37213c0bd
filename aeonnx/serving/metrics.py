"""Metrics of a server, in the format of Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from aeonnx.errors import InputError, RequestError, UsageError
from aeonnx.serving.batcher import Job
from aeonnx.serving.bodies import Gone

__all__ = ["Metrics", "ModelMetrics"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
_LABELS = ("model", "version")


class Metrics:
    """All metrics of a server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, labels: Sequence[str] = _LABELS) -> Counter:
            return Counter(f"aeonnx_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(
                f"aeonnx_{name}", text, _LABELS, registry=self.registry, buckets=buckets
            )

        self.requests = counter("requests", "Inference requests that were answered.")
        self.failures = counter(
            "request_failures",
            "Inference requests that failed: invalid, rejected (queue full or server stopping), "
            "expired, cancelled (client gone) or failed.",
            (*_LABELS, "reason"),
        )
        self.rows = counter("rows", "Rows that were run.")
        self.queue = histogram("queue_seconds", "Time that requests waited.", _SECONDS)
        self.compute = histogram("compute_seconds", "Time that batches ran.", _SECONDS)
        self.batch = histogram("batch_rows", "Rows of the batches that ran.", _BATCHES)
        self.responses = counter("http_responses", "Responses of HTTP.", ("status",))
        self.pending = Gauge(
            "aeonnx_pending_rows", "Rows that wait or run.", _LABELS, registry=self.registry
        )

    def of_model(self, name: str, version: str) -> ModelMetrics:
        """The metrics of one model."""
        return ModelMetrics(self, name, version)

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class ModelMetrics:
    """The metrics of one model.

    Args:
        metrics: all metrics.
        name: of the model.
        version: of the model.
    """

    def __init__(self, metrics: Metrics, name: str, version: str) -> None:
        labels = (name, version)
        self._failures, self._labels = metrics.failures, labels
        self._rows = metrics.rows.labels(*labels)
        self._queue = metrics.queue.labels(*labels)
        self._compute = metrics.compute.labels(*labels)
        self._batch = metrics.batch.labels(*labels)
        self._pending = metrics.pending.labels(*labels)
        self._answered = metrics.requests.labels(*labels)

    def shows(self, pending: Callable[[], float]) -> None:
        """Let the gauge show what `pending` returns."""
        self._pending.set_function(pending)

    def ran(self, jobs: Sequence[Job], began: float, ended: float) -> None:
        """Count a batch."""
        rows = sum(job.rows for job in jobs)
        self._rows.inc(rows)
        self._batch.observe(rows)
        self._compute.observe(ended - began)
        for job in jobs:
            self._queue.observe(began - job.since)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request, by how it ends."""
        reason = "failed"
        try:
            yield
            reason = ""
        except Gone:
            reason = "cancelled"
            raise
        except RequestError as error:
            reason = error.reason
            raise
        except (InputError, UsageError):
            reason = "invalid"
            raise
        except asyncio.CancelledError:  # the server stops
            reason = "rejected"
            raise
        finally:
            if reason:
                self._failures.labels(*self._labels, reason).inc()
            else:
                self._answered.inc()
