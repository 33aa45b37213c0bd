"""The wheel that people install, where torch was never installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent


def run(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.network
def test_wheel_with_the_cpu_extra_alone(bundle_of: Callable[..., Path], tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "wheel", ROOT)
    wheel = next((tmp_path / "wheel").glob("*.whl"))
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    binaries = tmp_path / "venv/bin"
    run(binaries / "pip", "install", "--quiet", f"{wheel}[cpu]")
    packed = set(zipfile.ZipFile(wheel).namelist())
    for name in ("node/bundle.mjs", "web/package.json", "web/page/index.html"):
        assert f"aeonnx/_clients/{name}" in packed
    installed = run(binaries / "pip", "list").stdout
    assert "onnxruntime " in installed
    assert not {"torch", "onnx", "onnxscript"} & {
        line.split()[0] for line in installed.splitlines() if line
    }

    def aeonnx(*words: object) -> subprocess.CompletedProcess[str]:
        return run(binaries / "aeonnx", *words, cwd=tmp_path)

    assert "decoder" in aeonnx("inspect", bundle_of()).stdout
    assert "All outputs are torch's, on CPU" in aeonnx("verify", bundle_of()).stdout
    aeonnx("generate", bundle_of(), "-n", 64, "--seed", 7, "-o", "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (242, 242)
    failed = subprocess.run(
        [str(binaries / "aeonnx"), "train", "-m", "vae"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert failed.returncode == 4
    assert "training needs torch, which is not installed: pip install 'aeonnx[train]'" in (
        failed.stderr
    )
