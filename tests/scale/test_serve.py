"""`aeonnx.scale.serve` on a real Ray Serve: the answers of the library, whatever fails."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from click.testing import Result
from PIL import Image
from tritonclient.utils import InferenceServerException

from aeonnx import load
from tests.runtime.test_verify import falsify
from tests.scale.conftest import digits
from tests.serving.conftest import ask
from tests.support import wait_for

Cli = Callable[..., Result]
Maker = Callable[..., Path]

pytestmark = [
    pytest.mark.slow,
    # Ray warns of what it uses itself.
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\."),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster of one node of this test alone, in a folder of its own."""
    ray = pytest.importorskip("ray")
    os.environ |= {"RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    folder = tempfile.mkdtemp(prefix="ray")  # names of sockets must be short
    try:
        ray.init(
            num_cpus=4,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 * 2**20,
            _temp_dir=folder,
        )
        yield ray.get_runtime_context().gcs_address
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def served(config: Path, address: str) -> Iterator[Callable[[], str]]:
    """`serve run` with a file; (what it has written)."""
    log = config.with_suffix(".log")
    command = [Path(sys.executable).with_name("serve"), "run", f"--address={address}", config]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield log.read_text
    finally:
        process.send_signal(signal.SIGINT)  # which stops Ray Serve, and not the cluster
        process.wait(60)


def written(aeonnx: Cli, *words: object) -> tuple[Path, str]:
    """A configuration file by the command line, and the address that it is served at."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    result = aeonnx("deploy", "ray", *words, "--port", port, "-o", "serve.yaml")
    assert result.exit_code == 0, result.stderr
    return Path("serve.yaml").absolute(), f"http://127.0.0.1:{port}"


def answers(url: str) -> bool:
    try:
        return ask(url, "/v2/health/ready").status == 200
    except OSError:  # nobody listens yet
        return False


def replicas() -> list[int]:
    """Processes of the replicas that this process and its children have started."""
    parents, found = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if (path / "cmdline").read_bytes().startswith(b"ray::ServeReplica:aeonnx"):
                found.append(int(path.name))
        except OSError:  # it ended
            continue
    return [pid for pid in found if parents.get(parents.get(pid, 0)) == os.getpid()]


def infer(url: str, rows: Any) -> Any:
    """Images of latents, by the protocol's own client."""
    with triton.InferenceServerClient(url.removeprefix("http://")) as client:
        given = triton.InferInput("z", rows.shape, "FP32")
        given.set_data_from_numpy(rows)
        return client.infer("bundle-vae-mlp.decoder", [given]).as_numpy("reconstruction")


def test_answers_are_those_of_the_library_and_outlive_a_replica(
    aeonnx: Cli, bundle_of: Maker, address: str
) -> None:
    Image.fromarray(digits(10)[0]).save("noisy.png")
    on = ("--provider", "cpu", "--threads", 1)
    assert aeonnx("denoise", bundle_of("dae"), "noisy.png", "-o", "clean.png", *on).exit_code == 0
    library = load(bundle_of("vae"), ["cpu"], threads=1)
    rows = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)
    config, url = written(aeonnx, bundle_of("vae"), bundle_of("dae"), "--replicas", 2)
    with served(config, address) as log:
        wait_for(lambda: answers(url) or "Error" in log(), 120)
        wait_for(lambda: len(replicas()) == 2)
        assert answers(url), log()
        expected = library.decode(rows)
        assert np.array_equal(infer(url, rows), expected)
        clean = ask(url, "/denoise", Path("noisy.png").read_bytes())
        assert (clean.status, clean.body) == (200, Path("clean.png").read_bytes())
        made = ask(url, "/generate?seed=7&n=2")
        assert (made.status, made.headers["content-type"]) == (200, "image/png")
        assert ask(url, "/nowhere").json == {"error": "Not Found"}
        assert ask(url, "/v2", headers={"Host": "elsewhere"}).status == 421
        assert b"aeonnx_rows_total" in ask(url, "/metrics").body
        before = replicas()
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        answered, statuses = 0, list[str]()
        until = time.monotonic() + 120
        while answered < 50 or len(found := replicas()) < 2:
            assert time.monotonic() < until, "it did not come back"
            try:
                images = infer(url, rows)
            except InferenceServerException as error:
                statuses.append(error.status())
                continue
            assert np.array_equal(images, expected)
            answered += 1
        assert before[0] not in found
        assert before[1] in found
        assert len(statuses) < 10, "only requests that it was at fail"
        assert set(statuses) <= {"500"}


def test_a_falsified_bundle_is_never_healthy(aeonnx: Cli, bundle_copy: Path, address: str) -> None:
    falsify(bundle_copy, "encoder", "mu", 0.01)
    config, url = written(aeonnx, bundle_copy)
    with served(config, address) as log:
        wait_for(lambda: answers(url) or "Failed to update the deployments" in log(), 180)
        assert not answers(url)
        assert "does not give the outputs that torch gave, so it is not served" in log()
