"""Dynamic batching: who gets what, what is refused, and that nobody spoils it for the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeonnx.errors import RequestError, RunError
from aeonnx.serving.batcher import Batcher, Job, Limits

SOON = 30.0


class Model:
    """Doubles its rows, and writes down the batches that it ran."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.blocked = threading.Event()
        self.blocked.set()
        self.fails: Callable[[np.ndarray], bool] = lambda _: False

    def __call__(self, inputs: Any) -> dict[str, np.ndarray]:
        self.blocked.wait(SOON)
        x = inputs["x"]
        self.batches.append(x.reshape(len(x), -1)[:, 0].tolist())
        if self.fails(x):
            raise RunError("it failed")
        return {"y": 2 * x}

    def ran(self, jobs: Sequence[Job], began: float, ended: float) -> None: ...


def batcher(model: Model, batch: int = 64, rows: int = 1024, size: int = 2**20) -> Batcher:
    return Batcher("m", model, Limits(batch, rows, size), frozenset({"x", "y"}), model)


def job(model: Model, value: Any, deadline: float = SOON) -> Job:
    inputs = {"x": np.asarray(value, np.float32)}
    x = inputs["x"]
    key = x.shape[1:]
    return Job(lambda: model(inputs), len(x), x.nbytes, time.monotonic() + deadline, key, inputs)


def results(model: Model, values: Sequence[Any], **limits: int) -> list[Any]:
    """What each of some jobs gives, all queued before the first runs."""

    async def main() -> list[Any]:
        model.blocked.clear()
        queue = batcher(model, **limits)
        futures = [queue.submit(job(model, value)) for value in values]
        model.blocked.set()
        found = await asyncio.gather(*futures, return_exceptions=True)
        assert queue.pending == 0
        queue.close()
        return found

    return asyncio.run(main())


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from([2, 3])), min_size=1, max_size=30),
    st.integers(1, 16),
)
def test_everyone_gets_the_own_rows(shapes: list[tuple[int, int]], batch: int) -> None:
    model = Model()
    values = [
        np.arange(rows * width, dtype=np.float32).reshape(rows, width) + 1000 * place
        for place, (rows, width) in enumerate(shapes)
    ]
    found = results(model, values, batch=batch)
    for value, result in zip(values, found, strict=True):
        np.testing.assert_array_equal(result["y"], 2 * value)
    assert all(len(rows) <= max(batch, 5) for rows in model.batches)
    assert sum(map(len, model.batches)) == sum(map(len, values))


def test_waiting_jobs_of_one_shape_run_together() -> None:
    model = Model()
    results(model, [[[place, 0]] for place in range(20)])
    # What came first may have been taken before the others came; they wait, and run together.
    assert len(model.batches) <= 2
    assert [row for batch in model.batches for row in batch] == [*map(float, range(20))]


def test_others_do_not_wait_for_a_shape_of_their_own() -> None:
    """The oldest job always runs next, whatever its shape."""
    model = Model()
    results(model, [[[0, 0]], [[1, 0, 0]], [[2, 0]], [[3, 0, 0]]])
    assert [rows[0] for rows in model.batches][:2] == [0.0, 1.0]


def test_one_bad_job_fails_alone() -> None:
    model = Model()
    model.fails = lambda x: bool((x == 13).any())
    found = results(model, [[[place]] for place in (11, 12, 13, 14)])
    assert isinstance(found[2], RunError)
    assert [result["y"].tolist() for result in (found[0], found[1], found[3])] == [
        [[22.0]],
        [[24.0]],
        [[28.0]],
    ]


def test_a_model_that_fails_once_goes_on() -> None:
    model = Model()
    failed: list[int] = []
    model.fails = lambda _: not failed and not failed.append(1)  # type: ignore[func-returns-value]
    found = results(model, [[[1]], [[2]], [[3]]])
    assert sum(isinstance(result, RunError) for result in found) <= 1
    assert found[2]["y"].tolist() == [[6.0]]


@pytest.mark.parametrize("limits", [{"rows": 4, "batch": 2}, {"size": 16}])
def test_a_full_queue_refuses_at_once(limits: dict[str, int]) -> None:
    model = Model()

    async def main() -> None:
        model.blocked.clear()
        queue = batcher(model, **limits)
        futures = [queue.submit(job(model, [[1]])) for _ in range(4)]
        began = time.monotonic()
        with pytest.raises(RequestError) as error:
            queue.submit(job(model, [[1]]))
        assert time.monotonic() - began < 0.1
        assert (error.value.status, error.value.reason, error.value.retry_after) == (
            503,
            "rejected",
            1,
        )
        assert str(error.value) == "m: too many requests are waiting: try again"
        model.blocked.set()
        await asyncio.gather(*futures)
        assert (await queue.submit(job(model, [[5]])))["y"].tolist() == [[10.0]]
        queue.close()

    asyncio.run(main())


def test_a_job_larger_than_the_queue_is_told_so() -> None:
    async def main() -> None:
        queue = batcher(Model(), rows=4, batch=4)
        with pytest.raises(RequestError, match="m: expected at most 4 rows and 1048576 bytes") as e:
            queue.submit(job(Model(), [[1]] * 5))
        assert e.value.status == 413
        queue.close()

    asyncio.run(main())


def test_what_nobody_waits_for_does_not_run() -> None:
    model = Model()

    async def main() -> None:
        model.blocked.clear()
        queue = batcher(model)
        first = queue.submit(job(model, [[1]]))
        await asyncio.sleep(0.05)  # it runs
        cancelled, expired = queue.submit(job(model, [[2]])), queue.submit(job(model, [[3]], 0.01))
        last = queue.submit(job(model, [[4]]))
        cancelled.cancel()
        await asyncio.sleep(0.05)
        model.blocked.set()
        await first
        assert (await last)["y"].tolist() == [[8.0]]
        with pytest.raises(RequestError, match="the request waited longer than its limit") as error:
            await expired
        assert (error.value.status, error.value.reason) == (503, "expired")
        assert queue.pending == 0
        queue.close()

    asyncio.run(main())
    assert model.batches == [[1.0], [4.0]]


def test_a_client_that_leaves_while_its_batch_runs_spoils_nothing() -> None:
    model = Model()

    async def main() -> None:
        model.blocked.clear()
        queue = batcher(model)
        first = queue.submit(job(model, [[0]]))
        others = [queue.submit(job(model, [[place]])) for place in range(1, 6)]
        await asyncio.sleep(0.05)
        model.blocked.set()
        others[2].cancel()
        found = await asyncio.gather(first, *others, return_exceptions=True)
        assert isinstance(found.pop(3), asyncio.CancelledError)
        assert [result["y"].item() for result in found] == [0.0, 2.0, 4.0, 8.0, 10.0]
        assert (await queue.submit(job(model, [[7]])))["y"].item() == 14.0
        queue.close()

    asyncio.run(main())


def test_a_closed_queue_finishes_what_it_has_and_takes_no_more() -> None:
    model = Model()

    async def main() -> None:
        model.blocked.clear()
        queue = batcher(model)
        futures = [queue.submit(job(model, [[place]])) for place in range(5)]
        queue.close()
        with pytest.raises(RequestError, match="the server is stopping"):
            queue.submit(job(model, [[9]]))
        model.blocked.set()
        found = await asyncio.gather(*futures)
        assert [result["y"].item() for result in found] == [0.0, 2.0, 4.0, 6.0, 8.0]
        for _ in range(100):
            if not queue.alive:
                break
            await asyncio.sleep(0.01)
        assert not queue.alive

    asyncio.run(main())
