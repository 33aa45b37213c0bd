"""Runtime and command line start without the training side: proven in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HEAVY = ("torch", "torchvision", "onnx", "onnxscript", "safetensors", "mlxtend")


def loaded_by(code: str) -> set[str]:
    """The heavy modules that a fresh interpreter has loaded after running `code`."""
    probe = f"{code}\nimport sys\nprint(*({HEAVY} & sys.modules.keys()))".replace(
        str(HEAVY), "{" + ", ".join(map(repr, HEAVY)) + "}"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("\n")[-2].split())


HELP = """
import contextlib, io
from aeonnx.cli import cli
with contextlib.redirect_stdout(io.StringIO()):
    cli(["--help"], standalone_mode=False)
"""


@pytest.mark.parametrize(
    "code",
    [
        "import aeonnx",
        "import aeonnx.runtime",
        "import aeonnx; aeonnx.load",
        "import aeonnx.cli.contents, aeonnx.bundle.golden, aeonnx.bundle.summary",
        "import aeonnx.tools.bench, aeonnx.cli.speed",
        "import aeonnx.scale.ray, sys; assert not {'ray', 'pyarrow'} & sys.modules.keys()",
        "import aeonnx.scale.serve, sys; assert not {'ray', 'fastapi'} & sys.modules.keys()",
        HELP,
    ],
    ids=["aeonnx", "runtime", "load", "inspect", "bench", "scale", "replica", "help"],
)
def test_runs_without_the_training_side(code: str) -> None:
    assert loaded_by(code) == set()


def test_help_and_import_do_not_even_load_onnxruntime() -> None:
    code = f"{HELP}\nimport sys; assert not {{'onnxruntime', 'numpy', 'rich'}} & sys.modules.keys()"
    assert loaded_by(code) == set()


def test_the_doctor_needs_the_standard_library_alone() -> None:
    code = (
        "import sys, aeonnx.tools.doctor; "
        "assert not {'onnxruntime', 'numpy', 'rich', 'click'} & sys.modules.keys()"
    )
    assert loaded_by(code) == set()


def test_deploying_needs_the_standard_library_alone() -> None:
    code = (
        "import sys, aeonnx.deploy.triton, aeonnx.deploy.kserve; "
        "assert not {'onnxruntime', 'numpy', 'rich', 'click'} & sys.modules.keys()"
    )
    assert loaded_by(code) == set()


def test_arrays_are_read_without_pillow(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 4), np.uint8))
    code = (
        "import sys; from pathlib import Path; from aeonnx.io import readers, writers\n"
        f"found = readers.read_images(Path({str(tmp_path / 'x.npy')!r}), (1, 3, 4))\n"
        f"writers.write(Path({str(tmp_path / 'y.npz')!r}), found)\n"
        "assert not {'PIL', 'onnxruntime', 'torch'} & sys.modules.keys()"
    )
    assert loaded_by(code) == set()
    assert (tmp_path / "y.npz").exists()


def test_the_proof_can_fail() -> None:
    assert "onnx" in loaded_by("import onnx")
    assert "torch" in loaded_by("import aeonnx.models")


def test_graphs_are_read_without_torch() -> None:
    assert loaded_by("import aeonnx.tools.inspection") == {"onnx"}
