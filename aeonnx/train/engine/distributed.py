"""One process of several: what torchrun set up, or alone.

    torchrun --standalone --nproc-per-node 2 -m aeonnx train -m vae

Every process has the whole data and the same permutation, and takes its share of each batch; rank
0 writes. Randomness does not depend on the number of processes, and the batch stays as large.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

__all__ = ["Ranks", "joined", "launched", "main_process_first"]

_TIMEOUT = timedelta(minutes=10)  # for the slowest load of data, and for the slowest test


@dataclass(frozen=True)
class Ranks:
    """Which process this is.

    Args:
        rank: from 0.
        size: number of processes.
        local_rank: from 0 on each machine: the number of its GPU.
        restarts: how often torchrun has started all processes again after one was lost.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    restarts: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def share(self, images: int) -> slice:
        """This process's images of a batch; the first one if there are fewer than processes."""
        return slice(self.rank, None, self.size) if self.rank < images else slice(0, 1)

    def weight(self, images: int) -> float:
        """What the mean loss of this process's share counts in the mean over processes."""
        return self.own(images) * self.size / images

    def own(self, images: int) -> int:
        """How many images of a batch are this process's, 0 if it only takes the first along."""
        return len(range(images)[self.share(images)]) if self.rank < images else 0

    def add(self, values: Tensor) -> Tensor:
        """The sum over processes, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values


def launched() -> Ranks:
    """What torchrun says in the environment."""
    if not torch.distributed.is_torchelastic_launched():
        return Ranks()
    return Ranks(
        rank=int(os.environ["RANK"]),
        size=int(os.environ["WORLD_SIZE"]),
        local_rank=int(os.environ["LOCAL_RANK"]),
        restarts=int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")),
    )


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Meet the other processes that torchrun started, if it did."""
    ranks = launched()
    if ranks.size == 1:
        yield ranks
        return
    if device.type == "cuda":
        torch.cuda.set_device(ranks.local_rank)
    backend = "nccl" if device.type == "cuda" else "gloo"
    store, rank, size = next(rendezvous("env://", timeout=_TIMEOUT))
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        # torchrun keeps the store over a restart, and in it the addresses of dead processes
        # (pytorch issue 135712). The count is the same for all processes of one machine only.
        store = PrefixStore(f"restart-{ranks.restarts}", store)
    torch.distributed.init_process_group(
        backend, store=store, rank=rank, world_size=size, timeout=_TIMEOUT
    )
    try:
        yield ranks
    finally:
        torch.distributed.destroy_process_group()


@contextmanager
def main_process_first(ranks: Ranks) -> Iterator[None]:
    """Rank 0 runs the block before the others do: for downloads into a folder that all read."""
    if ranks.size > 1 and not ranks.first:
        torch.distributed.barrier()
    yield
    if ranks.size > 1 and ranks.first:
        torch.distributed.barrier()
