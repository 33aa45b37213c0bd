from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import aeonnx
from aeonnx.runtime import verify


@pytest.mark.slow
def test_demo_ends_in_pictures_of_digits(tmp_path: Path) -> None:
    """The real command, on a terminal, from nothing."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "aeonnx", "demo"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=its_end,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(its_end)
    shown = b""
    while chunk := _read(terminal):
        shown += chunk
    said, _ = process.communicate()
    assert process.returncode == 0, shown.decode()
    assert "━" in shown.decode()
    assert " left  loss " in shown.decode()
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()))
    assert max(map(len, lines)) <= 80
    assert "importing torch, torchvision, onnx, onnxscript raises here" in said
    for text in ("✓", "decoder(encoder)", "aeonnx-demo/samples.png", "Next:"):
        assert text in said

    folder = tmp_path / "aeonnx-demo"
    with Image.open(folder / "samples.png") as picture:
        assert picture.size == (726, 726)
    with Image.open(folder / "reconstructions.png") as picture:
        assert picture.size == (964, 124)
    bundle = aeonnx.load(folder / "bundle")
    assert verify(bundle).passed
    digits = np.load(folder / "digits.npy")
    error = np.square(bundle.reconstruct(digits) - digits / np.float32(255)).mean()
    assert error < 0.02  # the mean digit alone leaves 0.067
    assert bundle.manifest.training is not None
    assert bundle.manifest.training.metrics["negative_elbo"] < 118


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the process is done
        return b""
