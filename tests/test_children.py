"""Processes that commands start: nothing in the working directory runs, all else is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aeonnx._util import subprocesses

Maker = Callable[..., Path]

ROOT = Path(__file__).parent.parent
STRANGE = ("click", "numpy", "onnx", "onnxruntime", "PIL", "rich", "torch", "json", "subprocess")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A working directory with modules that leave a mark when they are imported."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in STRANGE:
        mark = tmp_path / "ran"
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write('{name} ')")
    return folder


def python(
    *words: object, cwd: Path, path: str | None = str(ROOT)
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = path
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.shortened(1)
@pytest.mark.parametrize(
    "words",
    [
        ["doctor"],
        ["inspect", "{b}"],
        ["verify", "{b}"],
        ["generate", "{b}", "-n", "1", "-o", "x.png"],
        ["bench", "{b}", "--part", "decoder", "--batch", "1", "--seconds", "0.01"],
        ["export", "-m", "vae", "--checkpoint", "{r}", "--part", "decoder"],
    ],
    ids=lambda words: words[0],
)
def test_modules_in_the_working_directory_do_not_run(
    hostile: Path, bundle_of: Maker, run_of: Maker, words: list[str]
) -> None:
    words = [word.format(b=bundle_of(), r=run_of()) for word in words]
    done = python("-m", "aeonnx", *words, cwd=hostile)
    assert done.returncode == 0, done.stderr
    assert not (hostile.parent / "ran").exists()


DRAW = """
import sys
from pathlib import Path
from types import SimpleNamespace
from aeonnx.tools import demo
bundle, run = map(Path, sys.argv[1:])
made = demo.draw(SimpleNamespace(output=run), SimpleNamespace(output=bundle))
print(*made.lines)
"""


@pytest.mark.slow
def test_the_demos_process_runs_none_either(hostile: Path, bundle_of: Maker, run_of: Maker) -> None:
    bundle = shutil.copytree(bundle_of(), hostile.parent / "bundle")
    done = python("-P", "-c", DRAW, bundle, run_of(), cwd=hostile)
    assert done.returncode == 0, done.stderr
    assert "importing torch, torchvision, onnx, onnxscript raises here" in done.stdout
    assert (hostile.parent / "samples.png").exists()
    assert not (hostile.parent / "ran").exists()


ASK = "from aeonnx.tools.doctor._ask import ask; print(ask('provider', 'cpu')['reason'])"


def test_a_child_finds_what_pythonpath_names(tmp_path: Path) -> None:
    """Here it is how aeonnx itself is found, and another module."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more/sitecustomize.py").write_text("import sys; sys.argv_seen = True")
    code = f"{ASK}\nfrom aeonnx._util.subprocesses import run_module\n"
    code += "print(run_module('more_of_it').stdout)"
    (tmp_path / "more/more_of_it.py").write_text("print('found', __import__('sys').argv_seen)")
    path = os.pathsep.join([str(ROOT), str(tmp_path / "more")])
    done = python("-c", code, cwd=tmp_path, path=path)
    assert done.stdout == "None\nfound True\n\n", done.stderr


def test_a_child_finds_the_sources_that_this_process_runs_from(tmp_path: Path) -> None:
    """As `python -m aeonnx` does in a checkout, which is on no path afterwards."""
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "aeonnx", checkout / "aeonnx")
    (checkout / "numpy.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    done = python("-m", "aeonnx", "doctor", cwd=checkout, path=None)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
    ask = f"import aeonnx; assert aeonnx.__file__.startswith({str(checkout)!r})\n{ASK}"
    assert python("-c", ask, cwd=checkout, path=None).stdout == "None\n"


def test_a_childs_words_are_read_whatever_the_encoding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "utf-16")
    (tmp_path / "says.py").write_text("print('é✓')")
    monkeypatch.syspath_prepend(tmp_path)
    assert subprocesses.run_module("says").stdout == "é✓\n"


def test_a_working_directory_that_was_removed(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    script = f'rmdir ../gone; "$@" --version && "$@" doctor >{tmp_path}/said && "$@" inspect x'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", sys.executable, "-m", "aeonnx"],
        cwd=tmp_path / "gone",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "No problems." in (tmp_path / "said").read_text()
    assert done.stderr.startswith("Error: no bundle at x: ")
    assert done.returncode == 1
