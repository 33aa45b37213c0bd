"""The notebook's cells run in order, and show what the text promises."""

from __future__ import annotations

import ast
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples/tour.ipynb"


def shown_by(source: str, names: dict[str, Any]) -> Any:
    """Run a cell as Jupyter does: one that ends in an expression shows its value."""
    body = ast.parse(source).body
    shown = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)  # noqa: S102
    if shown is None:
        return None
    return eval(compile(ast.Expression(shown.value), "cell", "eval"), names)  # noqa: S307


@pytest.mark.usefixtures("drawn")
def test_the_tour_trains_exports_generates_and_finds_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names: dict[str, Any] = {}
    found = [
        shown_by("".join(cell["source"]), names)
        for cell in json.loads(NOTEBOOK.read_text())["cells"]
        if cell["cell_type"] == "code"
    ]
    out = capsys.readouterr().out
    assert re.search(r"^decoder, scorer: \d+ comparisons with torch passed$", out, re.M)
    assert "above it: [10 11]" in out
    pictures = [image for image in found if image is not None]
    assert len(pictures) == 3
    for picture in pictures:
        with Image.open(io.BytesIO(picture._repr_png_())) as image:
            assert np.asarray(image).std() > 10


def test_no_outputs_are_committed() -> None:
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
