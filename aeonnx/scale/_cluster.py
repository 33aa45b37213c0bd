"""Gives the shards of a bulk job to actors of Ray Data."""

from __future__ import annotations

import os
import pickle
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aeonnx.errors import AeonnxError, SetupError
from aeonnx.scale._options import Options
from aeonnx.scale._shards import Record, Shard
from aeonnx.scale._worker import Job, Worker

__all__ = ["run_shards"]


class _Actor:
    """Does one shard after the other, with the bundle that it opens for the first.

    Args:
        job: the job.
    """

    def __init__(self, job: Job) -> None:
        self._worker = Worker(job)

    def __call__(self, batch: Any) -> dict[str, list[bytes]]:
        """The record of a shard; or the error, which Ray would wrap in one of its own."""
        shard = pickle.loads(batch["shard"][0].as_py())  # noqa: S301  # from `run_shards`
        made: Any
        try:
            made = shard.number, self._worker.do(shard)
        except AeonnxError as error:
            made = type(error), str(error)
        return {"made": [pickle.dumps(made)]}


def run_shards(
    job: Job, left: Sequence[Shard], how: Options
) -> Generator[tuple[int, Record], None, None]:
    """The records of shards, as they are done.

    Raises:
        AeonnxError: what a worker raised.
        SetupError: the cluster has no room for a worker.
    """
    if not left:
        return
    with _started():
        import ray

        workers = min(len(left), how["workers"] or _room(how))
        needs: dict[str, Any] = (
            {"num_gpus": how["gpus"]} if how["gpus"] else {"num_cpus": how["cpus"]}
        )
        items = [{"shard": pickle.dumps(shard)} for shard in left]
        # A block, and so a task, for each shard: that is all that a failure repeats.
        data = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _Actor,
            fn_constructor_kwargs={"job": job},
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=workers),
            **needs,
        )
        for row in data.iter_rows():
            first, second = pickle.loads(row["made"])  # noqa: S301  # from an actor
            if isinstance(first, type):
                raise first.__new__(first, second)  # not all take their message alone
            yield first, second


def _room(how: Options) -> int:
    """How many workers the cluster has room for."""
    import ray

    kind, each = ("GPU", how["gpus"]) if how["gpus"] else ("CPU", how["cpus"])
    found = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = [node["Resources"].get(kind, 0) for node in found if node["Alive"]]
    room = sum(int(has // each) for has in nodes)
    if not room:
        raise SetupError(
            f"a worker takes {each:g} {kind}, and no machine of the cluster has as many, only "
            f"{', '.join(f'{has:g}' for has in nodes)}: ask for fewer"
        )
    return room


@contextmanager
def _started() -> Iterator[None]:
    """Connect to Ray, unless the caller has: to a cluster that it finds, or on this machine."""
    import ray

    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would send usage data
    ray.init(include_dashboard=False)
    try:
        yield
    finally:
        ray.shutdown()
