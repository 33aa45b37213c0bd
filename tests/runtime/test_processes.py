"""A bundle in other processes: forked, spawned, copied, out of memory, in another folder."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import aeonnx
from aeonnx.errors import BundleError, DeviceMemoryError
from tests.hostile.sound import IMAGE, LATENT, sound

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = sound(tmp_path / "bundle", tmp_path)
    made.write()
    return made.folder


def latents(rows: int = 6) -> np.ndarray:
    return np.ones((rows, LATENT), np.float32)


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A process of its own, since what is tried may end it."""
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


FORKED = """
import os, signal, sys
import numpy as np
import aeonnx
folder, threads, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
bundle = aeonnx.load(folder, ["cpu"], threads=threads)
bundle.decode(np.ones((2000, 3), np.float32))
from aeonnx.runtime.io_binding import IOBinding
bound = IOBinding(bundle.session("decoder"), bundle.variant("decoder"), 4)
child = os.fork()
if child == 0:
    signal.alarm(20)
    try:
        if how == "close":
            bundle.close()
        if how == "rebind":
            bound = None
            bundle = aeonnx.load(folder, ["cpu"], threads=threads)
            bundle.generate(3)
        if how == "use":
            bundle.generate(3)
        if how == "other part":
            assert bundle.encode(np.ones((1, 1, 4, 4))).shape == (1, 3)
    except aeonnx.errors.BundleError as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(9)
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert len(bundle.generate(3)) == 3
"""


@pytest.mark.shortened(5)
@posix
@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("how", ["exit", "close", "rebind", "use", "other part"])
def test_a_forked_child_ends_as_it_wants_to(folder: Path, threads: int, how: str) -> None:
    """Without running destructors of its parent, which wait for threads that it has not."""
    done = python(FORKED, folder, threads, how)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ("9" if how == "use" else "7"), done.stderr
    if how == "use":
        assert "was opened before this process was forked" in done.stderr
        assert "call aeonnx.load in the child, or start it with" in done.stderr


OPENING = """
import os, signal, sys, threading
import aeonnx
folder = sys.argv[1]
bundle = aeonnx.load(folder, ["cpu"], threads=2)
bundle.generate(1)
going = True
def load_again_and_again():
    while going:
        aeonnx.load(folder, ["cpu"], threads=2).generate(1)
        bundle._sessions.session("decoder", "fp32")
threads = [threading.Thread(target=load_again_and_again, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
codes = []
for _ in range(6):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        aeonnx.load(folder, ["cpu"], threads=2).generate(2)
        try:
            bundle.encode(__import__("numpy").ones((1, 1, 4, 4)))
            bundle.generate(2)
        except aeonnx.errors.BundleError:
            sys.exit(7)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
going = False
print(codes)
os._exit(0)
"""


@posix
def test_children_that_are_forked_while_graphs_are_opened_do_not_hang(folder: Path) -> None:
    done = python(OPENING, folder)
    assert done.stdout.strip() == str([7] * 6), done.stderr


def test_a_copy_is_opened_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    bundle = aeonnx.load("bundle", ["cpu"], threads=1, max_batch=5)
    expected = bundle.decode(latents())
    monkeypatch.chdir("/")
    for other in (pickle.loads(pickle.dumps(bundle)), copy.deepcopy(bundle), copy.copy(bundle)):  # noqa: S301
        assert other.folder == folder
        assert repr(other).startswith(f"Bundle({str(folder)!r}, tiny/none: ")
        np.testing.assert_array_equal(other.decode(latents()), expected)
        assert other.session("decoder").opened().get_session_options().intra_op_num_threads == 1
    bundle.close()
    with pytest.raises(BundleError, match="was closed"):
        bundle.decode(latents())


def test_spawned_workers_take_a_bundle_as_argument(folder: Path) -> None:
    bundle = aeonnx.load(folder, ["cpu"], threads=1)
    expected = bundle.decode(latents())
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        np.testing.assert_array_equal(pool.submit(bundle.decode, latents()).result(), expected)


def test_a_relative_path_is_that_of_the_load(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = aeonnx.load("bundle", ["cpu"])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert bundle.decode(latents()).shape == (6, *IMAGE)
    shutil.rmtree(folder)


LIMITED = """
import resource, sys
import numpy as np
import aeonnx
folder, how = sys.argv[1], sys.argv[2]
rows = 400_000
bundle = aeonnx.load(folder, ["cpu"], threads=1, max_batch=rows)
z = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
into = np.zeros((rows, 1, 4, 4), np.float32)
expected = bundle.decode(z[:1000]).copy()
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
more = {"out": 20, "run": 40, "whole": 5}[how] * 2**20
resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))
if how == "out":
    found = bundle.decode(z, out=into)
elif how == "run":
    found = bundle.run("decoder", z=z)["reconstruction"]
else:
    try:
        bundle.decode(z)
    except aeonnx.errors.DeviceMemoryError as error:
        print(error)
        sys.exit(0)
assert np.abs(found[:1000] - expected).max() < 1e-6
assert np.abs(found[-7:] - bundle.decode(z[-7:])).max() < 1e-6
print("halved to", bundle._variants.runner("decoder")._max_batch)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it limits memory as Linux does")
@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("out", "halved to "),
        ("run", "halved to "),
        ("whole", "decoder: the arrays of all rows do not fit in memory"),
    ],
)
def test_real_want_of_memory_halves_the_rows(folder: Path, how: str, text: str) -> None:
    done = python(LIMITED, folder, how)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(text), done.stdout
    if "halved" in text:
        assert 0 < int(done.stdout.split()[-1]) <= 200_000


def test_want_of_memory_at_opening_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("std::bad_alloc")

    monkeypatch.setattr("aeonnx.runtime.session.create_session", fail)
    with pytest.raises(DeviceMemoryError, match=r"not enough memory to open .*decoder\.onnx"):
        aeonnx.load(folder, ["cpu"]).decode(latents())
