"""`aeonnx.scale.ray` on a cluster of two nodes: the results of one process, whatever fails."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from aeonnx.errors import GoldenMismatchError, ImageError, SetupError
from aeonnx.scale import ray as bulk
from tests.runtime.test_verify import falsify
from tests.scale.conftest import contents, digits, hidden, write_pictures
from tests.support import wait_for

Cli = Callable[..., Result]
Maker = Callable[..., Path]

# Ray warns of what it uses itself.
pytestmark = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\.")


@pytest.mark.usefixtures("cluster")
def test_pictures_are_those_of_the_command_line(
    aeonnx: Cli, bundle_of: Maker, scans: Path, tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    arguments: Any = (bundle_of("dae"), scans, tmp_path / "clean")
    result = bulk.denoise(*arguments, rows_per_shard=3, advanced=lambda *at: steps.append(at))
    assert (result.rows, result.shards, result.computed, result.skipped) == (10, 4, 4, ())
    assert len(steps) == 4
    assert steps[-1] == (10, 10)
    aeonnx("denoise", bundle_of("dae"), scans, "-o", "expected/", "--provider", "cpu")
    assert contents(tmp_path / "clean") == contents(tmp_path / "expected")
    assert bulk.denoise(*arguments, rows_per_shard=3).computed == 0


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_errors_of_workers_are_ours(bundle_of: Maker, bundle_copy: Path, scans: Path) -> None:
    """What is done stays, the rest is not begun, and the message has no traceback of Ray's."""
    target = scans.parent / "z"
    (scans / "004.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"^004\.png is not a readable PNG, [^\n]*$"):
        bulk.encode(bundle_of(), scans, target, rows_per_shard=1, workers=1)
    found = [*contents(target)]
    assert found[:4] == [f"part-{number:05}.parquet" for number in range(4)]
    assert len(found) < 9
    result = bulk.encode(bundle_of(), scans, target, rows_per_shard=1, skip_bad=True)
    assert (result.rows, result.computed, len(result.skipped)) == (9, 10 - len(found), 1)
    falsify(bundle_copy, "encoder", "mu", 0.01)
    with pytest.raises(GoldenMismatchError, match=r"^on \S+: encoder\.mu \(fp32\): max abs 0\.01"):
        bulk.encode(bundle_copy, scans, target, rows_per_shard=1, skip_bad=True, force=True)
    message = "a worker takes 9 CPU, and no machine of the cluster has as many, only 1, 1: ask for"
    with pytest.raises(SetupError, match=message):
        bulk.encode(bundle_of(), scans, scans.parent / "many", cpus=9)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_latents_scores_and_samples_are_those_of_the_command_line(
    aeonnx: Cli, bundle_of: Maker, scans: Path, tmp_path: Path
) -> None:
    on = ("--provider", "cpu")
    given: Any = {"rows_per_shard": 3, "workers": 2}
    bulk.encode(bundle_of(), scans, tmp_path / "latents", **given)
    aeonnx("encode", bundle_of(), scans, "-o", "z.npy", *on)
    latents = pq.read_table(tmp_path / "latents")["features"].to_pylist()
    np.testing.assert_array_equal(np.float32(latents), np.load(tmp_path / "z.npy"))
    bulk.score(bundle_of(), scans, tmp_path / "scores", **given)
    aeonnx("score", bundle_of(), scans, "-o", "scores.npy", *on)
    scores = pq.read_table(tmp_path / "scores")["score"].to_pylist()
    np.testing.assert_array_equal(np.float32(scores), np.load(tmp_path / "scores.npy"))
    bulk.generate(bundle_of(), tmp_path / "samples", 10, 7, **given)
    aeonnx("generate", bundle_of(), "-n", 10, "--seed", 7, "-o", "samples.npy", *on)
    parts = [np.load(part) for part in sorted((tmp_path / "samples").glob("part-*.npy"))]
    np.testing.assert_array_equal(np.concatenate(parts), np.load(tmp_path / "samples.npy"))


def records(folder: Path) -> int:
    """The number of shards that are complete."""
    return len([*(folder / "_shards").glob("*.json")])


def actors(node: Any) -> list[int]:
    """Processes of a node that run the bundle."""
    (raylet,) = (started.process.pid for started in node.all_processes["raylet"])
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended
            continue
        if parent == raylet and command.startswith(b"ray::MapWorker"):
            found.append(int(path.name))
    return found


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Run something in another thread, which must succeed."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    assert not errors, errors


@pytest.fixture
def many(aeonnx: Cli, bundle_of: Maker, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Bundle, pictures, and a folder that does not exist; expected/ has the results."""
    scans = write_pictures(tmp_path / "scans", digits(500))
    aeonnx("denoise", bundle_of("dae"), scans, "-o", "expected/", "--provider", "cpu")
    return bundle_of("dae"), scans, tmp_path / "clean"


@pytest.mark.slow
def test_killed_workers_lose_and_double_nothing(
    cluster: Any, many: tuple[Path, Path, Path]
) -> None:
    nodes, killed = [cluster.head_node, *cluster.worker_nodes], []

    def kill() -> None:
        for node, count in zip([*nodes, *nodes], (3, 20, 40, 60), strict=True):
            wait_for(lambda least=count: records(many[2]) >= least)  # type: ignore[misc]
            wait_for(lambda at=node: actors(at))  # type: ignore[misc]
            (pid,) = actors(node)
            os.kill(pid, signal.SIGKILL)
            killed.append((pid, records(many[2])))

    with meanwhile(kill):
        result = bulk.denoise(*many, rows_per_shard=4, workers=2)
    assert (result.rows, result.shards, result.computed) == (500, 125, 125)
    assert len({pid for pid, _ in killed}) == 4
    assert killed[-1][1] < 125, "the last was killed before the end"
    assert contents(many[2]) == contents(many[2].parent / "expected")
    assert not hidden(many[2])


@pytest.mark.slow
def test_a_killed_node_loses_and_doubles_nothing(
    cluster: Any, many: tuple[Path, Path, Path]
) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    gone: list[int] = []

    def kill() -> None:
        wait_for(lambda: records(many[2]) >= 10 and actors(node))
        cluster.remove_node(node, allow_graceful=False)
        gone.append(records(many[2]))

    with meanwhile(kill):
        result = bulk.denoise(*many, rows_per_shard=4, workers=3)
    assert (result.rows, result.shards, result.computed) == (500, 125, 125)
    assert gone[0] < 125, "the node was killed before the end"
    assert contents(many[2]) == contents(many[2].parent / "expected")
    assert not hidden(many[2])


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_stopped_call_goes_on(many: tuple[Path, Path, Path]) -> None:
    """Ctrl-C ends the work on the cluster; what was done then keeps its inodes."""

    def stop(done: int, _: int) -> None:
        if done >= 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bulk.denoise(*many, rows_per_shard=4, advanced=stop)
    time.sleep(2)
    count = records(many[2])
    assert 15 <= count < 100
    before = {path: path.stat() for path in many[2].glob("*.png")}
    time.sleep(2)
    assert records(many[2]) == count, "it ended"
    result = bulk.denoise(*many, rows_per_shard=4)
    assert result.computed == 125 - count
    for path, status in before.items():
        found = path.stat()
        assert (found.st_ino, found.st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    assert contents(many[2]) == contents(many[2].parent / "expected")


STARTED = """
import os, sys
import aeonnx.scale.ray
assert "ray" not in sys.modules, "it is imported when it is needed"
bundle, target = sys.argv[1:]
os.environ.pop("RAY_USAGE_STATS_ENABLED", None)
print(aeonnx.scale.ray.generate(bundle, target, 6, rows_per_shard=2).computed)
import ray
assert not ray.is_initialized(), "it was stopped"
assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
"""


@pytest.mark.slow
def test_ray_is_started_for_the_call(bundle_of: Maker, tmp_path: Path) -> None:
    """Where none runs; it is stopped afterwards, and sends no usage data."""
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, "-c", STARTED, str(bundle_of()), str(tmp_path / "z")],
        env={**os.environ, "RAY_ADDRESS": "local", "RAY_AUTH_TOKEN": secrets.token_hex(32)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "3"
    assert "dashboard" not in done.stderr
