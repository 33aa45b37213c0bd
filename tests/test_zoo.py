"""`benchmarks/zoo.py`: its models are what they say, and a run writes lines and a table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from aeonnx.catalog.source import Source
from aeonnx.exporting.sources.external import from_source
from aeonnx.exporting.sources.outputs import ready
from benchmarks.zoo_models import MODELS

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "zoo.py"


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if not model.save])
def test_modules_return_what_they_declare(name: str, tmp_path: Path) -> None:
    if MODELS[name].family == "MONAI":
        pytest.importorskip("monai")
    source = MODELS[name].location(tmp_path)
    parts = from_source(Source(from_source=source), "m").model.parts()
    for part, declared in parts.items():
        ready(part, declared)


def test_there_are_models_of_all_families() -> None:
    families = {"diffusers", "transformers", "pythae", "MONAI", "denoiser", "plain torch"}
    assert {model.family for model in MODELS.values()} == families
    assert len(MODELS) >= 30


@pytest.mark.slow  # an export, and two that are refused
def test_a_run_writes_a_line_and_a_table(tmp_path: Path) -> None:
    work, output = tmp_path / "work", tmp_path / "zoo.md"
    command = [sys.executable, str(SCRIPT), "--work", str(work), "-o", str(output)]
    done = subprocess.run(
        [*command, "--only", "tabular"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = (work / "outcomes.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert (found["name"], found["refusal"]) == ("tabular", "")
    assert found["parts"]["encoder"]["error"] <= 4 * found["parts"]["encoder"]["floor"]
    assert found["seconds"] > 0
    assert found["megabytes"] > 100
    text = output.read_text()
    assert "1 of 1 models were exported" in text
    assert text.count("| tabular | encoder |") == 1
