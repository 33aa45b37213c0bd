"""Where every client writes its pictures: whole, through links and into devices, over nothing."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from clients.proof.program import Program, pixels_of
from tests.clients.test_refusals import refused

pytestmark = pytest.mark.clients


def generate(program: Program, made: Path, target: Path, *more: str) -> None:
    done = program("generate", made / "vae", "-n", 1, *more, target)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_is_replaced_with_force_alone_and_keeps_its_mode(
    program: Program, made: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"precious")
    target.chmod(0o600)
    expected = f"{target} exists already: pass --force to replace it, or name another"
    refused(program, 1, expected, "generate", made / "vae", target)
    refused(program, 1, expected, "denoise", made / "dae", made / "noisy.png", target)
    assert target.read_bytes() == b"precious"
    generate(program, made, target, "--force")
    assert pixels_of(target).shape == (28, 28)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_a_new_file_has_the_mode_that_the_user_wants(
    program: Program, made: Path, tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        generate(program, made, tmp_path / "out.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.png").stat().st_mode) == 0o640


def test_a_link_stays(program: Program, made: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link.png").symlink_to("far/real.png")
    generate(program, made, tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()
    assert pixels_of(tmp_path / "far/real.png").shape == (28, 28)
    expected = f"{tmp_path}/link.png exists already: "
    refused(program, 1, expected, "generate", made / "vae", tmp_path / "link.png")
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["real.png"]


def test_devices_and_pipes_are_written_to(program: Program, made: Path, tmp_path: Path) -> None:
    generate(program, made, Path("/dev/null"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    refused(program, 1, "cannot write /dev/full", "generate", made / "vae", "/dev/full")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["/bin/cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        generate(program, made, pipe)
        data, _ = reader.communicate(timeout=30)
    assert data.startswith(b"\x89PNG")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_is_no_file(program: Program, made: Path, tmp_path: Path) -> None:
    for more in ((), ("--force",)):
        expected = f"cannot write {tmp_path}: it is a folder"
        refused(program, 1, expected, "generate", made / "vae", *more, tmp_path)
    assert not list(tmp_path.iterdir())
