"""Images per second of `aeonnx.scale.ray.denoise` in one process, on one node and on two.

    .venv/bin/python benchmarks/ray_scale.py [--workers 1] [-o benchmarks/results/ray_scale.md]

The denoiser is the DnCNN of `benchmarks/tiles.py` with random weights, on grey pictures of noise;
each worker runs it with one thread. The one process that they are compared with does what
`aeonnx denoise` does, on one core. The nodes are those of `ray.cluster_utils.Cluster`, and so share
this machine: their workers together should be no more than its cores. Pictures are read, and PNGs
written, as always, and the results are compared byte by byte. A call begins with the start of the
workers, which open the bundle and check its golden vectors. Its speed is that from the first shard
of each worker on; the seconds of the whole call are beside it. The share of linear is the speed
over that of one process times the workers.
"""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe
from PIL import Image

import aeonnx
import aeonnx.scale.ray
from aeonnx.exporting import ExportOptions, export
from aeonnx.runtime.file_ops import run_on_files

MEMORY = 200 * 2**20
"""Of each node's object store, in bytes: only names of files and records are in it."""


@dataclass(frozen=True)
class Speed:
    """What a call came to.

    Args:
        what: how it ran.
        workers: that ran it.
        seconds: of the whole call.
        per_second: images, without the start.
    """

    what: str
    workers: int
    seconds: float
    per_second: float


class Clock:
    """A progress callback that notes the times."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.steps: list[tuple[float, int]] = []

    def __call__(self, done: int, _: int) -> None:
        self.steps.append((time.perf_counter() - self.began, done))

    def speed(self, what: str, workers: int) -> Speed:
        """The images per second after the first `workers` steps."""
        seconds, last = self.steps[-1]
        start, first = self.steps[workers - 1]
        return Speed(what, workers, seconds, (last - first) / (seconds - start))


def pictures(folder: Path, count: int, size: int) -> Path:
    """A folder of grey noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, (size, size), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06}.png")
    return folder


def in_one_process(bundle: Path, scans: Path, target: Path) -> Speed:
    """The command line's way, on one core: its threads that read and write would take others."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        clock = Clock()
        with aeonnx.load(bundle, ["cpu"], threads=1) as ready:
            run_on_files(ready, "denoise", [scans], target, advanced=clock)
        return clock.speed("one process", 1)
    finally:
        os.sched_setaffinity(0, cores)


def on_nodes(bundle: Path, scans: Path, target: Path, nodes: int, workers: int, rows: int) -> Speed:
    """Ray on so many nodes of so many workers each."""
    import ray
    from ray.cluster_utils import Cluster

    node: dict[str, Any] = {"num_cpus": workers, "object_store_memory": MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**node)
        ray.init(address=cluster.address, log_to_driver=False)
        clock = Clock()
        aeonnx.scale.ray.denoise(bundle, scans, target, rows_per_shard=rows, advanced=clock)
        return clock.speed(f"{nodes} node{'s' * (nodes > 1)}", nodes * workers)
    finally:
        ray.shutdown()
        cluster.shutdown()


def table(speeds: list[Speed], count: int, size: int, rows: int) -> str:
    """The results as Markdown."""
    alone = speeds[0].per_second
    lines = [
        f"{describe('ray', 'onnxruntime', 'numpy')}. {count:,} grey pictures of {size} x {size} "
        f"through a DnCNN of 5 convolutions and 16 channels, {rows} in a shard; one thread per "
        "worker, all nodes on this machine.",
        "",
        "| where | workers | seconds with start | images/s | share of linear |",
        "|---|---|---|---|---|",
    ]
    for each in speeds:
        share = each.per_second / (alone * each.workers)
        lines.append(
            f"| {each.what} | {each.workers} | {each.seconds:.1f} | {each.per_second:,.1f} | "
            f"{share:.0%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, and write it to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nodes", type=int, default=2, help="most nodes; one is measured too")
    parser.add_argument("--workers", type=int, default=1, help="of each node")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", type=int, default=256, help="height and width of a picture")
    parser.add_argument("--rows", type=int, default=32, help="pictures in a shard")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    # Of its own, so that none is kept in the home folder.
    os.environ |= {"RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bundle = root / "bundle"
        export(ExportOptions("dncnn", bundle, from_source="module:tiles:DnCNN"))
        scans = pictures(root / "scans", given.images, given.size)
        speeds = [in_one_process(bundle, scans, root / "one")]
        for nodes in range(1, given.nodes + 1):
            target = root / f"{nodes}"
            speeds.append(on_nodes(bundle, scans, target, nodes, given.workers, given.rows))
            same = all(
                (target / path.name).read_bytes() == path.read_bytes()
                for path in (root / "one").iterdir()
            )
            assert same, f"{nodes} nodes: results differ from those of one process"
    text = table(speeds, given.images, given.size, given.rows)
    print(text)
    if given.output:
        given.output.write_text(text)


if __name__ == "__main__":
    main()
