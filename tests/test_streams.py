"""Commands whose standard streams are full, closed, pipes without a reader, or not UTF-8."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Maker = Callable[..., Path]

COMMANDS = (
    ["--help"],
    ["--version"],
    ["inspect", "--help"],
    ["inspect", "{b}"],
    ["inspect", "{b}", "--json"],
    ["inspect", "{b}", "--graph", "decoder"],
    ["verify", "{b}"],
    ["verify", "{b}", "--json"],
    ["generate", "{b}", "-n", "1", "-o", "x.npy", "--force"],
)


def shell(
    redirection: str, *arguments: object, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """`aeonnx ARGUMENTS` by a shell that redirects its streams; the exit code is the command's."""
    script = f'{{ "$@" {redirection}'
    return subprocess.run(
        ["/bin/bash", "-c", script, "bash", sys.executable, "-m", "aeonnx", *map(str, arguments)],
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
        timeout=60,
    )


@pytest.fixture
def filled(
    bundle_of: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Fill in the bundle's folder."""
    monkeypatch.chdir(tmp_path)
    return lambda words: [word.format(b=bundle_of()) for word in words]


@pytest.mark.shortened(2)
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_standard_output_does_with_a_result(
    filled: Callable[..., list[str]], words: list[str]
) -> None:
    words = filled(words)
    full = shell(">/dev/full; }", *words)
    assert full.returncode == 1
    assert full.stderr == b"Error: cannot write to standard output: No space left on device\n"
    left = shell("; echo $? >code; } | (exec <&-; sleep 0.01)", *words)
    assert Path("code").read_text() == "141\n"
    assert left.stderr == b""
    closed = shell(">&-; }", *words)
    assert (closed.returncode, closed.stderr) == (0, b"")


@pytest.mark.shortened(1)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "gbk", "utf-8", "utf-16"])
def test_characters_that_an_encoding_lacks(bundle_of: Maker, encoding: str) -> None:
    done = shell("; }", "verify", bundle_of(), PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    mark = "✓" if encoding.startswith("utf") else "+"
    assert f"\n{mark}  decoder" in done.stdout.decode(encoding)
    done = shell("; }", "doctor", PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert f"\n{mark}  CPUExecutionProvider" in done.stdout.decode(encoding)


def test_the_encoding_of_an_error(tmp_path: Path) -> None:
    done = shell("; }", "inspect", tmp_path / "日本", PYTHONIOENCODING="latin-1")
    assert done.returncode == 1
    assert rb"\u65e5\u672c" in done.stderr


@pytest.mark.parametrize("redirection", ["2>/dev/full; }", "2>&-; }", "2> >(exec <&-); }"])
def test_standard_error_never_fails_a_command(bundle_of: Maker, redirection: str) -> None:
    """Neither with an error, whose exit code stays, nor with progress."""
    assert shell(redirection, "inspect", "nowhere").returncode == 1
    assert shell(redirection, "inspect").returncode == 2
    options = ("--part", "decoder", "--batch", 1, "--seconds", 0.01)
    done = shell(redirection, "bench", bundle_of(), *options, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["cells"]


def test_a_closed_stream_is_no_file_of_the_command(
    filled: Callable[..., list[str]],
) -> None:
    """Else the array gets the number of the stream, and the lines of the command."""
    words = filled(["generate", "{b}", "-n", "3", "-o", "x.npy"])
    assert shell(">&- 2>&- <&-; }", *words).returncode == 0
    assert np.load("x.npy").shape == (3, 1, 28, 28)


def test_json_is_json_in_any_encoding(bundle_of: Maker, tmp_path: Path) -> None:
    bundle = shutil.copytree(bundle_of(), tmp_path / "bundle")
    path = bundle / "manifest.json"
    document = json.loads(path.read_text())
    document["training"]["data"] = "é✓😀"
    path.write_text(json.dumps(document))
    done = shell("; }", "inspect", bundle, "--json", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["training"]["data"] == "é✓😀"


def test_names_that_are_no_text_are_spelled_out(bundle_of: Maker, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/na\xffme\x1b[31m"
    missing = shell("; }", "inspect", os.fsdecode(folder))
    assert missing.returncode == 1
    assert rb"na\udcffme\x1b[31m" in missing.stderr
    shutil.copytree(bundle_of(), os.fsdecode(folder))
    found = shell("; }", "inspect", os.fsdecode(folder))
    assert (found.returncode, found.stderr) == (0, b"")
    assert rb"na\udcffme\x1b[31m" in found.stdout
    assert b"\x1b" not in found.stdout


def test_names_of_files_steer_no_terminal(bundle_of: Maker, tmp_path: Path) -> None:
    """A picture's name is a line of `classify`, and of the error that it cannot be read."""
    folder = tmp_path / "scans"
    folder.mkdir()
    name = os.fsdecode(b"scan\x1b[2J\xff.png")
    Image.new("L", (28, 28)).save(folder / name)
    found = shell("; }", "classify", bundle_of("sdae"), folder)
    assert (found.returncode, found.stderr) == (0, b"")
    assert rb"scan\x1b[2J\udcff.png" in found.stdout
    found = shell("; }", "classify", bundle_of("sdae"), folder, "--json")
    assert json.loads(found.stdout)[0]["name"] == name
    (folder / name).write_text("hello")
    failed = shell("; }", "classify", bundle_of("sdae"), folder / name)
    assert failed.returncode == 1
    assert rb"scan\x1b[2J\udcff.png is not a readable" in failed.stderr
    assert b"\x1b" not in failed.stderr
