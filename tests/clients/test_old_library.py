"""A library of onnxruntime that is older than the program: a clear error, not a crash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from clients.proof.program import Program

pytestmark = pytest.mark.clients

SOURCE = Path(__file__).with_name("old_onnxruntime.c")


def test_an_old_library_is_named_with_its_version(
    program: Program, made: Path, tmp_path: Path
) -> None:
    if program.language.other_library is None:
        pytest.skip(f"client {program.name} brings its library along")
    old = tmp_path / "libonnxruntime.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", old, SOURCE], check=True)  # noqa: S607
    done = program.under(program.language.other_library(old), "check", made / "vae")
    assert done.returncode == 4, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert "onnxruntime" in line
    assert "1.10.0" in line


def test_a_missing_library_is_named_with_its_place(
    program: Program, made: Path, tmp_path: Path
) -> None:
    if program.language.other_library is None:
        pytest.skip(f"client {program.name} brings its library along")
    missing = tmp_path / "libonnxruntime.so.1"
    done = program.under(program.language.other_library(missing), "check", made / "vae")
    assert done.returncode == 4, done.stdout + done.stderr
    assert done.stderr.startswith("Error: ")
    assert str(missing) in done.stderr
