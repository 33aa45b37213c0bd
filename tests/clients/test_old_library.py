"""A library of onnxruntime that is older than the program: a clear error, not a crash."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from clients.proof.program import Program

pytestmark = pytest.mark.clients

SOURCE = Path(__file__).with_name("old_onnxruntime.c")


@pytest.fixture
def loading(program: Program) -> Callable[[Path, Path], CompletedProcess[str]]:
    """(library, bundle) -> what `check` does when it loads that library."""
    other = program.language.other_library
    if other is None:
        pytest.skip(f"client {program.name} brings its library along")
    return lambda library, bundle: program.under(other(library), "check", bundle)


def test_an_old_library_is_named_with_its_version(
    loading: Callable[[Path, Path], CompletedProcess[str]], made: Path, tmp_path: Path
) -> None:
    old = tmp_path / "libonnxruntime.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", old, SOURCE], check=True)  # noqa: S607
    done = loading(old, made / "vae")
    assert done.returncode == 4, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert "onnxruntime" in line
    assert "1.10.0" in line


def test_a_missing_library_is_named_with_its_place(
    loading: Callable[[Path, Path], CompletedProcess[str]], made: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "libonnxruntime.so.1"
    done = loading(missing, made / "vae")
    assert done.returncode == 4, done.stdout + done.stderr
    assert done.stderr.startswith("Error: ")
    assert str(missing) in done.stderr
