from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

import aeonnx
from aeonnx.errors import IntegrityError
from aeonnx.runtime import session, verify
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
    golden = document["parts"][part]["fp32"]["golden"][0]["outputs"][tensor]
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
        ("scorer", "map"),
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
    assert [check.passed for check in report.checks] == [False] + [True] * 8


def test_command_exits_with_3_and_prints_all_failures(
    bundle_copy: Path, aeonnx: Callable[..., Result]
) -> None:
    falsify(bundle_copy, "decoder", "reconstruction", 1e-5)
    falsify(bundle_copy, "encoder", "mu", 1e-3)
    result = aeonnx("verify", bundle_copy)
    assert result.exit_code == 3
    assert "does not reproduce torch's outputs on this machine:" in result.output
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
    assert "All outputs match torch's within tolerance, on CPUExecutionProvider." in result.output


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


Broken = Callable[[str, str], bool]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[Broken], None]:
    """Make onnxruntime refuse to open what (part, variant) is chosen."""

    def choose(broken: Broken) -> None:
        create = session.create_session

        def refusing(source: bytes | Path, *rest: object) -> object:
            made = create(source, *rest)  # type: ignore[arg-type]
            told = made.get_modelmeta().custom_metadata_map
            if broken(told["aeonnx.part"], told["aeonnx.variant"]):
                raise RuntimeError("could not find an implementation for Mul(14)")
            return made

        monkeypatch.setattr(session, "create_session", refusing)

    return choose


def test_what_an_old_onnxruntime_cannot_open_is_told_and_the_rest_verified(
    bundle_of: Maker,
    aeonnx: Callable[..., Result],
    refuse: Callable[[Broken], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse(lambda part, _: part == "sampler")
    monkeypatch.setattr(session.ort, "__version__", "1.20.1")
    result = aeonnx("verify", bundle_of(), "--json")
    assert result.exit_code == 4, result.stderr
    report = json.loads(result.stdout)
    assert {check["part"] for check in report["checks"]} == {
        "decoder", "encoder", "reconstructor", "scorer",
    }  # fmt: skip
    assert all(check["passed"] for check in report["checks"])
    assert not report["passed"]
    assert report["failures"] == []
    (line,) = report["not_run"]
    assert line.startswith("sampler (fp32) was not run: sampler.")
    assert " needs onnxruntime 1.21 or newer, and this is 1.20.1: pip install --upgrade " in line
    assert "this machine cannot run 1 of the graphs" in result.stderr
    # What differs counts for more than what could not run.
    falsified = shutil.copytree(bundle_of(), Path("falsified"))
    falsify(falsified, "decoder", "reconstruction", 1e-5)
    result = aeonnx("verify", falsified)
    assert result.exit_code == 3
    assert "sampler (fp32) was not run" in result.stderr
    result = aeonnx("generate", bundle_of(), "-n", "1", "-o", "g.npy")
    assert result.exit_code == 0, result.stderr  # the decoder is there


def test_a_graph_that_a_new_onnxruntime_refuses_is_a_failure(
    bundle_of: Maker, aeonnx: Callable[..., Result], refuse: Callable[[Broken], None]
) -> None:
    refuse(lambda part, _: part == "scorer")
    result = aeonnx("verify", bundle_of(), "--json")
    assert result.exit_code == 3
    report = json.loads(result.stdout)
    assert len(report["checks"]) == 6
    assert len(report["failures"]) == 1
    assert "scorer (fp32): onnxruntime" in report["failures"][0]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RuntimeError("it stopped"), 3, "decoder (fp32): decoder."),
        (MemoryError("bad_alloc"), 4, "decoder (fp32) was not run: decoder."),
    ],
)
def test_a_graph_that_stops_leaves_a_report(
    bundle_of: Maker,
    aeonnx: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: int,
    text: str,
) -> None:
    values = session.Session.values

    def stopping(self: session.Session, inputs: dict[str, Any], outputs: list[str]) -> Any:
        if self.metadata["aeonnx.part"] == "decoder":
            raise self.run_error(inputs, error)
        return values(self, inputs, outputs)

    monkeypatch.setattr(session.Session, "values", stopping)
    result = aeonnx("verify", bundle_of())
    assert result.exit_code == code
    assert text in result.stderr
    assert "scorer" in result.stdout
