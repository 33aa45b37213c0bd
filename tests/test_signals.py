"""Commands that are stopped: they leave nothing, say so in a line, and exit as shells expect."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import wait_for

Maker = Callable[..., Path]

ENDINGS = [
    (signal.SIGINT, 130, "Stopped.\n"),
    (signal.SIGTERM, 143, "Stopped by SIGTERM.\n"),
    (signal.SIGHUP, 129, "Stopped by SIGHUP.\n"),
]


def written(folder: Path) -> bool:
    """Whether a hidden file or folder has content."""
    return any(
        any(path.iterdir()) if path.is_dir() else path.stat().st_size
        for path in folder.glob(".*.aeonnx")
    )


@pytest.mark.shortened(4)
@pytest.mark.parametrize(("output", "count"), [("x.npy", 10**7), ("pictures", 10**5)])
@pytest.mark.parametrize(("number", "code", "line"), ENDINGS)
def test_a_command_that_is_stopped_leaves_nothing(
    bundle_of: Maker, tmp_path: Path, number: int, code: int, line: str, output: str, count: int
) -> None:
    words = ["-m", "aeonnx", "generate", str(bundle_of()), "-n", str(count), "-o", output]
    process = subprocess.Popen(
        [sys.executable, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for(lambda: written(tmp_path))
        process.send_signal(number)
        process.send_signal(number)  # as `timeout` does
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, errors.splitlines(keepends=True)[-1]) == (code, line)
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())


STOPPED = """
import os, signal, sys, time
from aeonnx import runtime
from aeonnx.cli import main
verify = runtime.verify
def stopped(bundle):
    try:
        os.kill(os.getpid(), signal.{number})
        time.sleep(0.2)
    except KeyboardInterrupt:
        {then}
    return verify(bundle)
runtime.verify = stopped
sys.argv[1:] = ["verify", {bundle!r}]
main()
"""


def stopped(
    bundle: Path, number: str, then: str, before: str = ""
) -> subprocess.CompletedProcess[str]:
    code = before + STOPPED.format(number=number, then=then, bundle=str(bundle))
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(("number", "code", "line"), ENDINGS)
def test_a_signal_that_a_library_made_an_error_of(
    bundle_of: Maker, number: signal.Signals, code: int, line: str
) -> None:
    done = stopped(bundle_of(), number.name, "raise RuntimeError('callback failed')")
    assert (done.returncode, done.stderr) == (code, line)


def test_a_signal_that_a_library_swallows_does_not_spoil_a_result(bundle_of: Maker) -> None:
    done = stopped(bundle_of(), "SIGTERM", "pass")
    assert (done.returncode, done.stderr) == (0, "")
    assert "All outputs match torch's" in done.stdout


def test_once_more_ends_a_command_that_goes_on(bundle_of: Maker) -> None:
    then = "time.sleep(1.2); os.kill(os.getpid(), signal.SIGTERM)"
    assert stopped(bundle_of(), "SIGTERM", then).returncode == -signal.SIGTERM


def test_what_was_ignored_before_is_ignored(bundle_of: Maker) -> None:
    before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    done = stopped(bundle_of(), "SIGHUP", "raise", before)
    assert (done.returncode, done.stderr) == (0, "")


FORKED = """
import os, signal
from aeonnx.cli import signals
signals.prepare()
child = os.fork()
if not child:
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os._exit(5)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGTERM)
"""


def test_a_fork_ends_as_it_would_without() -> None:
    """It would unwind the parent's command a second time."""
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_process_that_does_not_unwind_is_ended_and_leaves_nothing(tmp_path: Path) -> None:
    """As where the exception came while a thread pool took a lock."""
    code = """
import os, signal, threading
from pathlib import Path
from aeonnx._util import files
from aeonnx.cli import signals
signals._PATIENCE_S = 1
signals.prepare()
with files.new_folder(Path("made")) as staged, files.new_file(Path("x.npy")) as stream:
    (staged / "part").touch()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (143, "Stopped by SIGTERM.\n")
    assert not list(tmp_path.iterdir())
