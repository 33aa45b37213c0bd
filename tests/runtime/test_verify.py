from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

import aeonnx
from aeonnx.errors import IntegrityError
from aeonnx.runtime import verify
from tests.support import golden_file

Maker = Callable[..., Path]


def falsify(folder: Path, part: str, tensor: str, by: float) -> None:
    """Change one golden number, and the manifest with it, so that only the value is wrong."""
    path = golden_file(folder, part, tensor)
    values = np.fromfile(path, dtype="<f4")
    values[len(values) // 3] += by
    path.write_bytes(values.tobytes())
    manifest = folder / "manifest.json"
    document = json.loads(manifest.read_text())
    golden = document["parts"][part]["fp32"]["golden"]["outputs"][tensor]
    golden["sha256"] = sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(document))


def test_a_bundle_as_exported_passes(bundle_of: Maker) -> None:
    report = verify(aeonnx.load(bundle_of()))
    assert report.passed
    outputs = [(check.part, check.output) for check in report.checks]
    assert outputs == [
        ("decoder", "reconstruction"),
        ("encoder", "mu"),
        ("encoder", "logvar"),
        ("reconstructor", "reconstruction"),
        ("sampler", "z"),
        ("sampler", "image"),
        ("scorer", "reconstruction"),
        ("scorer", "error"),
    ]
    assert all(0 <= check.max_abs_diff <= check.tolerance for check in report.checks)


def test_one_number_off_by_a_hundred_thousandth_fails(bundle_copy: Path) -> None:
    falsify(bundle_copy, "decoder", "reconstruction", 1e-5)
    report = verify(aeonnx.load(bundle_copy))
    assert not report.passed
    assert len(report.failures) == 1
    assert report.failures[0].startswith("decoder.reconstruction (fp32): max abs ")
    worst = report.checks[0]
    assert worst.max_abs_diff == pytest.approx(1e-5, rel=0.1)
    assert [check.passed for check in report.checks] == [False] + [True] * 7


def test_command_exits_with_3_and_prints_all_failures(
    bundle_copy: Path, aeonnx: Callable[..., Result]
) -> None:
    falsify(bundle_copy, "decoder", "reconstruction", 1e-5)
    falsify(bundle_copy, "encoder", "mu", 1e-3)
    result = aeonnx("verify", bundle_copy)
    assert result.exit_code == 3
    assert "does not give torch's outputs here:" in result.output
    assert "decoder.reconstruction (fp32): max abs" in result.output
    assert "encoder.mu (fp32): max abs" in result.output
    result = aeonnx("verify", bundle_copy, "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert not document["passed"]
    assert len(document["failures"]) == 2


def test_command_says_where_it_ran(bundle_of: Maker, aeonnx: Callable[..., Result]) -> None:
    result = aeonnx("verify", bundle_of(), "--provider", "cpu")
    assert result.exit_code == 0
    assert "All outputs are torch's, on CPUExecutionProvider." in result.output


def test_against_the_checkpoint(
    bundle_of: Maker, run_of: Maker, aeonnx: Callable[..., Result]
) -> None:
    result = aeonnx("verify", bundle_of(), "--against", run_of())
    assert result.exit_code == 0
    assert "decoder(encoder)" in result.output
    result = aeonnx("verify", bundle_of(), "--against", run_of("vae", "mlp", 1))
    assert result.exit_code == 1
    assert "was not exported from" in result.output


def test_changed_golden_file_is_refused(bundle_copy: Path) -> None:
    golden_file(bundle_copy, "decoder", "z").write_bytes(b"1234")
    with pytest.raises(IntegrityError, match=r"z\.\w+\.bin is not the file that the manifest"):
        verify(aeonnx.load(bundle_copy))
