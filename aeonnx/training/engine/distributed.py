"""Data-parallel training in several processes started by torchrun.

    torchrun --standalone --nproc-per-node 2 -m aeonnx train -m vae

Every process loads all data, draws the same permutation and computes its share of each batch; rank
0 writes. Random numbers and the size of the whole batch do not depend on the number of processes.
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

__all__ = ["Ranks", "main_process_first", "process_group", "ranks_from_environment"]

_TIMEOUT = timedelta(minutes=10)  # must exceed the time to load the data, and to test


@dataclass(frozen=True)
class Ranks:
    """This process among all processes of the run.

    Args:
        rank: rank of the process, from 0.
        size: number of processes.
        local_rank: rank on its machine, from 0; also the index of its GPU.
        restarts: how often torchrun has restarted all processes after one failed.
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
        """This process's slice of a batch of `images`; the first image if there is none for it."""
        return slice(self.rank, None, self.size) if self.rank < images else slice(0, 1)

    def weight(self, images: int) -> float:
        """Weight of this process's mean loss: the mean over processes is then the batch's mean."""
        return self.own(images) * self.size / images

    def own(self, images: int) -> int:
        """How many images of a batch this process counts: 0 if it only got a copy of the first."""
        return len(range(images)[self.share(images)]) if self.rank < images else 0

    def add(self, values: Tensor) -> Tensor:
        """Sum `values` over all processes, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values


def ranks_from_environment() -> Ranks:
    """Read ranks from the environment that torchrun sets; a single process without torchrun."""
    if not torch.distributed.is_torchelastic_launched():
        return Ranks()
    return Ranks(
        rank=int(os.environ["RANK"]),
        size=int(os.environ["WORLD_SIZE"]),
        local_rank=int(os.environ["LOCAL_RANK"]),
        restarts=int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")),
    )


@contextmanager
def process_group(device: torch.device) -> Iterator[Ranks]:
    """Initialise the process group for the block, if torchrun started several processes."""
    ranks = ranks_from_environment()
    if ranks.size == 1:
        yield ranks
        return
    if device.type == "cuda":
        torch.cuda.set_device(ranks.local_rank)
    backend = "nccl" if device.type == "cuda" else "gloo"
    store, rank, size = next(rendezvous("env://", timeout=_TIMEOUT))
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        # torchrun keeps its store over a restart, with the addresses of dead processes in it
        # (pytorch issue 135712). All processes have the same count on a single machine only.
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
    """Run the block on rank 0 before the other ranks: for downloads to a shared folder."""
    if ranks.size > 1 and not ranks.first:
        torch.distributed.barrier()
    yield
    if ranks.size > 1 and ranks.first:
        torch.distributed.barrier()
