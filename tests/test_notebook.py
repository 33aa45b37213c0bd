"""The notebook's cells run in order, in a new process, and show what the text promises."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples/tour.ipynb"

# As Jupyter does: a cell that ends in an expression shows its value.
RUN = """
import ast, json, sys
names = {}
for number, cell in enumerate(json.load(open(sys.argv[1]))["cells"]):
    if cell["cell_type"] == "code":
        body = ast.parse("".join(cell["source"])).body
        shown = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        if shown:
            picture = eval(compile(ast.Expression(shown.value), "cell", "eval"), names)
            if picture is not None:
                open(f"{number}.png", "wb").write(picture._repr_png_())
"""


def test_the_tour_trains_exports_generates_and_finds_noise(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, NOTEBOOK],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^decoder, scorer: \d+ comparisons with torch passed$", done.stdout, re.M)
    assert "above it: [10 11]" in done.stdout
    pictures = sorted(tmp_path.glob("*.png"))
    assert len(pictures) == 3
    for path in pictures:
        with Image.open(path) as picture:
            assert np.asarray(picture).std() > 10


def test_no_outputs_are_committed() -> None:
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
