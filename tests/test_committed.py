"""A bundle that was written before stays readable: `tests/data/vae`, of digits at 8x8 pixels."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

import aeonnx as aeonnx_package
from aeonnx.runtime import verify

FOLDER = Path(__file__).parent / "data/vae"
MEANS = (0.308911, 0.204292, 0.107920)
"""Mean brightness of the first images of seed 7."""


def stored(part: str, output: str) -> tuple[dict[str, np.ndarray], np.ndarray, float]:
    """Golden inputs of a part, one of its outputs, and its largest tolerance."""
    bundle = aeonnx_package.load(FOLDER)
    golden = bundle.variant(part).golden[0]
    inputs = {name: bundle.read_golden(item) for name, item in golden.inputs.items()}
    item = golden.outputs[output]
    assert item.tolerance is not None
    return inputs, bundle.read_golden(item), max(item.tolerance)


def test_its_parts_still_agree_with_torch() -> None:
    report = verify(aeonnx_package.load(FOLDER))
    assert report.passed, report.failures
    assert {check.part for check in report.checks} >= {"encoder", "decoder", "scorer", "sampler"}


def test_methods_give_the_stored_outputs() -> None:
    bundle = aeonnx_package.load(FOLDER)
    inputs, mu, tolerance = stored("encoder", "mu")
    np.testing.assert_allclose(bundle.encode(inputs["x"]), mu, rtol=0, atol=tolerance)
    inputs, images, tolerance = stored("decoder", "reconstruction")
    np.testing.assert_allclose(bundle.decode(inputs["z"]), images, rtol=0, atol=tolerance)
    inputs, errors, tolerance = stored("scorer", "error")
    np.testing.assert_allclose(bundle.score(inputs["x"]).scores, errors, rtol=0, atol=tolerance)


def test_a_seed_still_gives_the_same_images() -> None:
    """Latents come from Philox 4x32-10 and Box and Muller's transform: the same on any machine."""
    bundle = aeonnx_package.load(FOLDER)
    images = bundle.generate(3, seed=7)
    assert images.shape == (3, 1, 8, 8)
    np.testing.assert_allclose(images.mean((1, 2, 3)), MEANS, rtol=0, atol=1e-5)


def test_a_changed_byte_is_still_found(tmp_path: Path, aeonnx: Callable[..., Result]) -> None:
    changed = shutil.copytree(FOLDER, tmp_path / "changed")
    graph = next(changed.glob("decoder.*.onnx"))
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    result = aeonnx("verify", changed)
    assert result.exit_code == 1, result.output
    assert f"{graph.name} is not the file that the manifest names" in result.stderr


@pytest.mark.parametrize("verb", ["verify", "inspect"])
def test_it_is_read_without_torch(verb: str) -> None:
    code = (
        "import sys; sys.modules.update(torch=None, onnx=None); from aeonnx.cli import main; main()"
    )
    command = [sys.executable, "-c", code, verb, str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "decoder" in done.stdout
