"""Outputs whose names are devices, pipes or links: written through or to, never replaced."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from aeonnx.tools import demo

Cli = Callable[..., Result]
Maker = Callable[..., Path]

BENCH = ("--part", "decoder", "--batch", "1", "--seconds", "0.01")
WRITERS: dict[str, tuple[tuple[str, ...], bytes]] = {
    "page": (("inspect", "{b}", "--html"), b"<!doctype html>"),
    "chart.png": (("bench", "{b}", *BENCH, "-o"), b"\x89PNG"),
    "grid.png": (("generate", "{b}", "-n", "2", "-o"), b"\x89PNG"),
    "array.npy": (("generate", "{b}", "-n", "2", "-o"), b"\x93NUMPY"),
}


@pytest.fixture(params=WRITERS)
def writer(request: pytest.FixtureRequest, aeonnx: Cli, bundle_of: Maker) -> Any:
    """Runs a command that writes a file of that name; what the file begins with."""
    words, begins = WRITERS[request.param]

    def run() -> Result:
        filled = [word.format(b=bundle_of()) for word in words]
        return aeonnx(*filled, request.param, "--force")

    return SimpleNamespace(run=run, name=request.param, begins=begins)


def test_a_pipe_is_written_to(writer: Any) -> None:
    os.mkfifo(writer.name)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(Path(writer.name).read_bytes()))
    reader.start()
    result = writer.run()
    reader.join(30)
    assert result.exit_code == 0, result.output
    assert got[0].lower().startswith(writer.begins.lower())
    assert stat.S_ISFIFO(os.lstat(writer.name).st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_stays_a_device(writer: Any) -> None:
    os.mknod(writer.name, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # as /dev/null is
    try:
        Path(writer.name).write_bytes(b"x")
    except PermissionError:
        pytest.skip("this file system has no devices")
    assert writer.run().exit_code == 0
    assert stat.S_ISCHR(os.lstat(writer.name).st_mode)


def test_what_a_link_points_to_is_replaced_and_keeps_its_mode(writer: Any) -> None:
    Path("elsewhere").mkdir()
    target = Path("elsewhere/file")
    target.write_text("old")
    target.chmod(0o600)
    Path(writer.name).symlink_to(target)
    assert writer.run().exit_code == 0
    assert Path(writer.name).is_symlink()
    assert target.read_bytes().lower().startswith(writer.begins.lower())
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in Path("elsewhere").iterdir()) == ["file"]


@pytest.mark.slow
def test_the_demos_pictures_are_written_through_links(
    bundle_of: Maker, run_of: Maker, tmp_path: Path
) -> None:
    bundle = shutil.copytree(bundle_of(), tmp_path / "bundle")
    (tmp_path / "elsewhere").mkdir()
    for name in ("samples.png", "reconstructions.png", "digits.npy"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere" / name)
    made: Any = SimpleNamespace(output=run_of()), SimpleNamespace(output=bundle)
    drawn = demo.draw(*made)
    assert all(path.is_symlink() and path.is_file() for path in drawn.files)
