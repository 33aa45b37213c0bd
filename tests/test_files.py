"""Files: whole or not at all, and nothing that is not ours."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aeonnx._util import files
from aeonnx.errors import IntegrityError, OutputError
from tests.support import wait_for

INDEX = "index.json"


def contents(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def fill(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


# Folders with an index


def test_publish_adds_files_replaces_the_index_and_keeps_others(tmp_path: Path) -> None:
    fill(tmp_path, {INDEX: "old", "mine": "kept"})
    with files.publish(tmp_path, INDEX) as staged:
        fill(staged, {INDEX: "new", "sub/b": "new"})
        assert contents(tmp_path)[INDEX] == "old"
    assert contents(tmp_path) == {INDEX: "new", "sub/b": "new", "mine": "kept"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_publish_that_fails_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    fill(tmp_path, {INDEX: "old"})
    with pytest.raises(error), files.publish(tmp_path, INDEX) as staged:
        fill(staged, {INDEX: "new"})
        raise error
    assert contents(tmp_path) == {INDEX: "old"}


def test_publish_that_fails_leaves_no_new_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), files.publish(tmp_path / "a/b", INDEX):
        raise ValueError("stop")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("moved", range(4))
def test_a_commit_that_fails_at_any_file_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    fill(tmp_path, {INDEX: "old", "a": "old"})
    replace, left = os.replace, [moved]

    def fails(*names: str, **where: int) -> None:
        if not left[0]:
            raise OSError(errno.EIO, "Input/output error")
        left[0] -= 1
        replace(*names, **where)

    monkeypatch.setattr(os, "replace", fails)
    with (
        pytest.raises(OutputError, match=r"cannot write .*: Input/output error\. Nothing was"),
        files.publish(tmp_path, INDEX) as staged,
    ):
        fill(staged, {INDEX: "new", "b": "new", "c/d": "new", "c/e": "new"})
    assert contents(tmp_path) == {INDEX: "old", "a": "old"}


@pytest.mark.parametrize("obstacle", ["link", "file", "dangling"])
def test_a_commit_goes_through_no_link(tmp_path: Path, obstacle: str) -> None:
    home, folder = tmp_path / "home", tmp_path / "bundle"
    home.mkdir()
    folder.mkdir()
    if obstacle == "file":
        (folder / "golden").write_text("a file")
    else:
        (folder / "golden").symlink_to(home if obstacle == "link" else tmp_path / "nowhere")
    expected = "golden in it is a link or a file, not a folder: move it away"
    with pytest.raises(OutputError, match=expected), files.publish(folder, INDEX) as staged:
        fill(staged, {INDEX: "new", "a": "new", "golden/keys": "new"})
    assert not list(home.iterdir())
    assert not (tmp_path / "nowhere").exists()
    assert {path.name for path in folder.iterdir()} == {"golden"}


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    precious, folder = tmp_path / "precious", tmp_path / "bundle"
    precious.write_text("kept")
    folder.mkdir()
    for name in ("a", INDEX):
        (folder / name).symlink_to(precious)
    with files.publish(folder, INDEX) as staged:
        fill(staged, {INDEX: "new", "a": "new"})
    assert contents(folder) == {INDEX: "new", "a": "new"}
    assert precious.read_text() == "kept"


def test_only_what_carries_its_digest_is_removed(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "bundle"
    places = ("*.onnx", "golden/*/*.bin")
    ours = files.named_by_content("a.onnx", b"ours")
    golden = files.named_by_content("golden/a/z.bin", b"ours")
    mine = {"a.0123456789ab.onnx": "mine", "thesis.onnx": "mine", f"{ours}.txt": "ours"}
    fill(folder, {ours: "ours", golden: "ours", **mine})
    fill(home, {files.named_by_content("b/z.bin", b"ours"): "ours"})
    (folder / "golden/b").symlink_to(home / "b")
    (folder / files.named_by_content("l.onnx", b"ours")).symlink_to(folder / ours)
    files.remove_unnamed(folder, {ours}, places)
    assert (folder / ours).exists()
    assert not (folder / "golden/a").exists(), "a folder without files goes too"
    files.remove_unnamed(folder, (), places)
    assert not (folder / ours).exists()
    assert {name: (folder / name).read_text() for name in mine} == mine
    assert len(contents(home)) == 1


def test_what_a_killed_commit_left_is_nothing(tmp_path: Path) -> None:
    folder, places = tmp_path / "bundle", ("*.onnx", "golden/*/*.bin")
    left = [files.named_by_content(name, b"x") for name in ("a.onnx", "golden/a/z.bin")]
    fill(folder, dict.fromkeys(left, "x"))
    fill(folder, {".aeonnx.lock": "", ".bundle.01234567.aeonnx/a": ""})
    (folder / "golden/b").mkdir()
    assert files.holds_only_leftovers(folder, places)
    for mine in ("notes.txt", "golden/notes.txt", "a.0123456789ab.onnx", "more/a.txt"):
        fill(folder, {mine: "mine"})
        assert not files.holds_only_leftovers(folder, places)
        (folder / mine).unlink()
    for link in ("link", "golden/link"):
        (folder / link).symlink_to(tmp_path)
        assert not files.holds_only_leftovers(folder, places)
        (folder / link).unlink()


# Left-overs


def left_by_a_killed_writer(script: str, *arguments: Path) -> None:
    """Run Python that writes, kill it when it says so."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        process.kill()


WRITERS = {
    "a file": "with files.new_file(path / 'big.npy') as out: out.write(b'x'); wait()",
    "a folder": "with files.new_folder(path / 'made') as out: (out / 'x').touch(); wait()",
    "a commit": "with files.publish(path, 'index.json') as out: (out / 'x').touch(); wait()",
}
_WRITER = """
import sys, time
from pathlib import Path
from aeonnx._util import files
def wait():
    print("now", flush=True)
    time.sleep(60)
path = Path(sys.argv[1])
"""
AGAIN: dict[str, Callable[[Path], object]] = {
    "a file": lambda path: files.write_atomic(path / "big.npy", b"whole"),
    "a folder": lambda path: make_folder(path / "made"),
    "a commit": lambda path: publish(path),
}


def make_folder(path: Path) -> None:
    with files.new_folder(path) as staged:
        fill(staged, {"x": "whole"})


def publish(path: Path) -> None:
    with files.publish(path, INDEX) as staged:
        fill(staged, {INDEX: "whole"})


@pytest.mark.parametrize("what", WRITERS)
def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path: Path, what: str) -> None:
    left_by_a_killed_writer(_WRITER + WRITERS[what], tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".aeonnx")]
    AGAIN[what](tmp_path)
    assert all(text == "whole" for text in contents(tmp_path).values())
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("what", WRITERS)
def test_what_another_process_writes_now_is_left_alone(tmp_path: Path, what: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER + WRITERS[what], str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        files.sweep(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
        process.kill()
    files.sweep(tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_of_the_users_are_not_swept(tmp_path: Path) -> None:
    mine = {
        ".x.aeonnx": "",
        ".x.0123456.aeonnx": "",
        "x.01234567.aeonnx": "",
        ".x.01234567.part": "",
    }
    fill(tmp_path, mine)
    (tmp_path / ".x.01234567.aeonnx").symlink_to(tmp_path / ".x.aeonnx")
    files.sweep(tmp_path)
    assert set(contents(tmp_path)) == {*mine, ".x.01234567.aeonnx"}


# One writer at a time


def test_a_second_writer_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with files.locked(tmp_path, "aeonnx train"):
        expected = rf"is being written by another process \(process {os.getpid()}, aeonnx train\)"
        with pytest.raises(OutputError, match=expected), files.locked(tmp_path, "aeonnx export"):
            pass
    with files.locked(tmp_path, "aeonnx export"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_writer_waits_as_long_as_it_was_told(tmp_path: Path) -> None:
    script = _WRITER + "with files.locked(path, 'other'): print('now', flush=True); time.sleep(1)"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with files.locked(tmp_path, "this", seconds=30):
            pass
        assert process.wait() == 0


def test_the_lock_of_a_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    left_by_a_killed_writer(_WRITER + "with files.locked(path, 'other'): wait()", tmp_path)
    assert (tmp_path / ".aeonnx.lock").exists()
    with files.locked(tmp_path, "this"):
        pass
    assert not list(tmp_path.iterdir())


def test_many_writers_take_turns(tmp_path: Path) -> None:
    script = _WRITER + (
        "count = path / 'count'\n"
        "for _ in range(25):\n"
        "    with files.locked(path, 'x', seconds=60):\n"
        "        number = int(count.read_text())\n"
        "        time.sleep(0.001)\n"
        "        count.write_text(str(number + 1))\n"
    )
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", script, str(tmp_path)]
    for process in [subprocess.Popen(command) for _ in range(4)]:
        assert process.wait() == 0
    assert contents(tmp_path) == {"count": "100"}


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_a_lock_that_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    folder, precious = tmp_path / "run", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("kept")
    lock = folder / ".aeonnx.lock"
    if kind == "link":
        lock.symlink_to(precious)
    elif kind == "fifo":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*run"), files.locked(folder, "x"):
        pass
    assert precious.read_text() == "kept"


@pytest.mark.parametrize("links", [1, 2])
def test_a_file_of_the_user_that_has_the_locks_name_is_kept(tmp_path: Path, links: int) -> None:
    lock = tmp_path / "run/.aeonnx.lock"
    text = "precious" if links == 1 else "process 1, aeonnx train"
    fill(tmp_path, {"victim": text})
    lock.parent.mkdir()
    if links == 1:
        lock.write_text(text)
    else:
        lock.hardlink_to(tmp_path / "victim")
    expected = r"its \.aeonnx\.lock is not one that this program wrote: move it away"
    with pytest.raises(OutputError, match=expected), files.locked(tmp_path / "run", "x"):
        pass
    assert contents(tmp_path) == {"victim": text, "run/.aeonnx.lock": text}


# Files among others


def test_files_are_added_as_single_ones_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    fill(tmp_path, {"out/a": "old", "out/kept": "kept", "far": "old"})
    (folder / "a").chmod(0o600)
    (folder / "b").symlink_to("../far")
    with files.staging(folder) as staged:
        fill(staged, {"a": "new", "b": "new", "sub/c": "new"})
        files.add(staged, folder)
    assert contents(folder) == {"a": "new", "b": "new", "sub/c": "new", "kept": "kept"}
    assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o600
    assert (folder / "b").is_symlink()
    assert (tmp_path / "far").read_text() == "new"


@pytest.mark.parametrize("obstacle", ["a folder", "a file on the way", "a link on the way"])
def test_nothing_is_added_if_something_cannot_be(tmp_path: Path, obstacle: str) -> None:
    folder = tmp_path / "out"
    fill(tmp_path, {"out/a": "old", "home/kept": "kept"})
    if obstacle == "a folder":
        (folder / "b/c").mkdir(parents=True)
    elif obstacle == "a file on the way":
        (folder / "b").write_text("old")
    else:
        (folder / "b").symlink_to(tmp_path / "home")
    with files.staging(folder) as staged, pytest.raises(OutputError, match="cannot write .*/b/c"):
        fill(staged, {"a": "new", "b/c": "new"})
        files.add(staged, folder)
    assert (folder / "a").read_text() == "old"
    assert contents(tmp_path / "home") == {"kept": "kept"}


# One file


def test_disk_full_keeps_the_old_file_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a"
    target.write_text("old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot write .*/a: the disk is full: free some space"):
        files.write_atomic(target, b"new")
    assert contents(tmp_path) == {"a": "old"}


def test_a_folder_changes_after_all_its_files_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "b"
    with files.staging(folder) as staged:
        fill(staged, {"a": "old", "index": "old"})
        files.commit(staged, folder, "index")

    def full(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with (
        files.staging(folder) as staged,
        pytest.raises(OutputError, match="the disk is full"),
    ):
        fill(staged, {"a2": "new", "index": "new"})
        files.commit(staged, folder, "index")
    assert contents(folder) == {"a": "old", "index": "old"}


def test_an_error_names_no_hidden_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with (
        pytest.raises(OutputError, match=rf"cannot write {tmp_path}/b/g/a: the disk is full"),
        files.staging(tmp_path / "b") as staged,
    ):
        files.write(staged / "g/a", b"new")


def test_missing_permission_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OutputError, match="cannot be written to: choose another with -o"):
        files.write_atomic(tmp_path / "a", b"new")
    assert contents(tmp_path) == {}


def test_an_error_of_something_else_is_not_said_to_be_the_outputs(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match="source"),
        files.new_file(tmp_path / "a") as stream,
    ):
        stream.write((tmp_path / "source").read_bytes())
    assert contents(tmp_path) == {}


def test_write_atomic_makes_folders(tmp_path: Path) -> None:
    files.write_atomic(tmp_path / "x/y/z", b"data")
    assert contents(tmp_path) == {"x/y/z": "data"}


def test_the_longest_names_are_written(tmp_path: Path) -> None:
    name = "ä" * 125 + ".npy"
    files.write_atomic(tmp_path / name, b"data")
    assert contents(tmp_path) == {name: "data"}
    for bad in ("a" * 256, "a\0b"):
        with pytest.raises(OutputError, match="cannot write"):
            files.write_atomic(tmp_path / bad, b"data")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_replaced_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    target.chmod(mode)
    files.write_atomic(target, b"new")
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_new_file_has_the_mode_that_the_user_wants(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_atomic(tmp_path / "a", b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_its_file_is_written(tmp_path: Path, there: bool) -> None:
    (tmp_path / "far").mkdir()
    if there:
        (tmp_path / "far/real").write_text("old")
    (tmp_path / "link").symlink_to("far/real")
    files.write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "far") == {"real": "new"}


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    files.refuse_existing(pipe, force=False)
    with subprocess.Popen(["/bin/cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        files.write_atomic(pipe, b"data")
        assert reader.communicate()[0] == b"data"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_devices_are_written_through(tmp_path: Path) -> None:
    for device in (Path("/dev/null"), tmp_path / "link"):
        if device.parent == tmp_path:
            device.symlink_to("/dev/null")
        files.refuse_existing(device, force=False)
        files.write_atomic(device, b"data")
        assert stat.S_ISCHR(device.stat().st_mode)
    with pytest.raises(OutputError, match="cannot write /dev/full: the disk is full"):
        files.write_atomic(Path("/dev/full"), b"data")


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    fill(tmp_path, {"a/b": "kept"})
    with pytest.raises(OutputError, match="cannot write .*/a: it is a folder"):
        files.write_atomic(tmp_path / "a", b"data")
    assert contents(tmp_path) == {"a/b": "kept"}


def test_only_what_would_be_lost_needs_force(tmp_path: Path) -> None:
    fill(tmp_path, {"file": "old", "full/file": "old"})
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        files.refuse_existing(tmp_path / name, force=False)
    for name, what in (("file", "replace it"), ("full", "write into it, over files of the same")):
        with pytest.raises(OutputError, match=f"exists already: pass --force to {what}"):
            files.refuse_existing(tmp_path / name, force=False)
        files.refuse_existing(tmp_path / name, force=True)


# Reading


@pytest.fixture
def special(tmp_path: Path) -> dict[str, Path]:
    """What is no regular file, by what it is called."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    found = {"a FIFO": "fifo", "a device": "zero", "a folder": "folder"}
    return {name: tmp_path / file for name, file in found.items()}


def test_only_regular_files_are_read(special: dict[str, Path]) -> None:
    began = time.monotonic()
    for name, path in special.items():
        with pytest.raises(OSError, match=f"it is {name}, not a regular file"):
            files.read_bytes(path, 10)
        with pytest.raises(IntegrityError, match=f"cannot read .*: it is {name}, not a regular"):
            files.read_verified(path, "0" * 64, 10)
    with pytest.raises(OSError, match="no file can have this name"):
        files.read_bytes(Path("a\0b"), 10)
    assert time.monotonic() - began < 5


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert files.read_bytes(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes, and at most 4 are read"):
        files.read_bytes(tmp_path / "a", 4)
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(OSError, match="at most 5 are read"):
        files.read_bytes(tmp_path / "sparse", 5)
    with pytest.raises(IntegrityError, match=f"expected 5 bytes, got {2**40}"):
        files.read_verified(tmp_path / "sparse", "0" * 64, 5)


def test_a_signal_is_no_reason_to_leave_something(tmp_path: Path) -> None:
    script = _WRITER + WRITERS["a folder"]
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
    wait_for(lambda: not list(tmp_path.iterdir()), 10)
