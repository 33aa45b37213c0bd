"""Clients compare codes by the share of a row that differs, whatever the distance."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from aeonnx.exporting import ExportOptions, export
from clients.proof.program import Program
from tests.exporting import test_codes

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codes") / "b"
    export(ExportOptions("coder", folder, from_source=f"module:{test_codes.__name__}:coder"))
    return folder


@pytest.mark.parametrize(("count", "code"), [(0, 0), (2, 0), (3, 3)])
def test_few_codes_of_a_row_may_differ(
    program: Program, coder: Path, tmp_path: Path, count: int, code: int
) -> None:
    def moved(codes: np.ndarray) -> np.ndarray:
        codes[3, :count] = (codes[3, :count] + 4) % 8
        return codes

    bundle = shutil.copytree(coder, tmp_path / "b")
    test_codes.edited(bundle, "fp32", moved)
    path = bundle / "manifest.json"
    contents = json.loads(path.read_text())
    for golden in contents["parts"]["encoder"]["fp32"]["golden"]:
        stored = golden["outputs"]["codes"]
        stored["tolerance"] = [2.5 / test_codes.CODES] * stored["shape"][0]
    path.write_text(json.dumps(contents))
    done = program("check", bundle)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("WRONG" in done.stdout) == bool(code)
