from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from aeonnx import files
from aeonnx.errors import OutputError


def contents(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def test_transaction_replaces_all_files_and_keeps_others(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "mine").write_text("kept")
    with files.transaction(tmp_path) as staged:
        (staged / "a").write_text("new")
        (staged / "sub").mkdir()
        (staged / "sub/b").write_text("new")
    assert contents(tmp_path) == {"a": "new", "sub/b": "new", "mine": "kept"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_transaction_that_fails_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(error), files.transaction(tmp_path) as staged:
        (staged / "a").write_text("new")
        raise error
    assert contents(tmp_path) == {"a": "old"}


def test_transaction_that_fails_leaves_no_new_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), files.transaction(tmp_path / "new"):
        raise ValueError("stop")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_commit_killed_at_any_file_is_finished_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    for name in "abc":
        (tmp_path / name).write_text("old")
    replace, left = os.replace, [moved + 1]  # the first one is the commit itself

    def killed(source: Path, target: Path) -> None:
        if not left[0]:
            raise SystemExit
        left[0] -= 1
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(SystemExit), files.transaction(tmp_path) as staged:
        for name in "abc":
            (staged / name).write_text("new")
    monkeypatch.undo()
    files.recover(tmp_path)
    assert contents(tmp_path) == {"a": "new", "b": "new", "c": "new"}


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


def test_missing_permission_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OutputError, match="cannot be written to: choose another with -o"):
        files.write_atomic(tmp_path / "a", b"new")
    assert contents(tmp_path) == {}


def test_write_atomic_makes_folders(tmp_path: Path) -> None:
    files.write_atomic(tmp_path / "x/y/z", b"data")
    assert contents(tmp_path) == {"x/y/z": "data"}
