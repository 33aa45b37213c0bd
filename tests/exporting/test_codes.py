"""Codes are compared by the share that differs, in fp32 and in reduced precision."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from torch import Tensor, nn

from aeonnx import load
from aeonnx.bundle import TensorSpec
from aeonnx.exporting import ExportOptions, export
from aeonnx.exporting.verify.quality import LIMITS
from aeonnx.models import Part
from aeonnx.runtime import verify

Cli = Callable[..., Result]
Change = Callable[[np.ndarray], np.ndarray]

CODES = 16


class Coder(nn.Module):
    """x [n, 6] -> codes [n, 16] from 0 to 7."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 96), nn.Tanh(), nn.Linear(96, CODES * 8))

    def forward(self, x: Tensor) -> Tensor:
        codes: Tensor = self.layers(x).reshape(-1, CODES, 8).argmax(2)
        return codes

    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", ("batch", 6), range=(-1.0, 1.0), kind="vector")
        codes = TensorSpec("codes", ("batch", CODES), "int64", (0.0, 7.0), kind="codes")
        return {"encoder": Part(self, (x,), (codes,))}


def coder() -> nn.Module:
    return Coder()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codes")
    rows = np.random.default_rng(0).uniform(-1, 1, (400, 6)).astype(np.float32)
    np.save(folder / "rows.npy", rows)
    options = ExportOptions(
        "coder",
        folder / "b",
        from_source=f"module:{__name__}:coder",
        calibration=folder / "rows.npy",
        precisions=("int8", "fp16"),
    )
    export(options)
    return folder / "b"


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Callable[[], Path]:
    """Makes a copy of the bundle to change."""
    return lambda: shutil.copytree(made, tmp_path / "b", dirs_exist_ok=True)


def edited(bundle: Path, variant: str, change: Change) -> None:
    """Change the golden codes of a variant, and the manifest with them."""
    path = bundle / "manifest.json"
    contents = json.loads(path.read_text())
    for golden in contents["parts"]["encoder"][variant]["golden"]:
        stored = golden["outputs"]["codes"]
        codes = np.frombuffer((bundle / stored["file"]).read_bytes(), "<i8")
        data = change(codes.reshape(stored["shape"]).copy()).astype("<i8").tobytes()
        stored["file"] = f"golden/encoder/{variant}.bin"  # two variants may share a file
        (bundle / stored["file"]).write_bytes(data)
        stored["sha256"] = hashlib.sha256(data).hexdigest()
    path.write_text(json.dumps(contents))


@pytest.mark.parametrize("variant", ["fp32", "fp16", "int8"])
def test_golden_codes_that_are_others_are_refused(
    aeonnx: Cli, copied: Callable[[], Path], variant: str
) -> None:
    bundle = copied()
    assert verify(load(bundle)).passed
    edited(bundle, variant, lambda codes: (codes + 4) % 8)
    result = aeonnx("verify", bundle)
    assert result.exit_code == 3
    line = f"encoder.codes ({variant}): 100.000% of the values of a row differ from torch's on "
    assert line in " ".join(result.stderr.split())


def test_one_other_code_is_refused_in_fp32(copied: Callable[[], Path]) -> None:
    def nearest(codes: np.ndarray) -> np.ndarray:
        codes[-1, -1] = codes[-1, -1] - 1 or 1
        return codes

    bundle = copied()
    edited(bundle, "fp32", nearest)
    (line,) = verify(load(bundle)).failures
    assert "encoder.codes (fp32): 6.250% of the values of a row differ from torch's on" in line


def test_few_codes_of_a_row_may_be_others_in_int8_however_far(
    made: Path, copied: Callable[[], Path]
) -> None:
    """0.02 and four standard deviations: two of 16. The golden rows have none more."""
    share = 1 - LIMITS["int8"].agreement
    bundle = load(made, precision="int8")
    (golden,) = bundle.variant("encoder", "int8").golden
    tolerance = share + 4 * np.sqrt(share * (1 - share) / CODES)
    codes = bundle.read_golden(golden.outputs["codes"])
    assert golden.outputs["codes"].tolerance == pytest.approx([tolerance] * len(codes))
    given = bundle.run("encoder", x=bundle.read_golden(golden.inputs["x"]))["codes"]
    row = int(np.argmin((given != codes).sum(1)))
    for count, passes in ((2, True), (5, False)):

        def moved(codes: np.ndarray, count: int = count) -> np.ndarray:
            codes[row, :count] = (codes[row, :count] + 4) % 8
            return codes

        copy = copied()
        edited(copy, "int8", moved)
        assert verify(load(copy)).passed == passes
