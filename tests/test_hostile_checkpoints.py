"""A checkpoint that means harm is refused in words: no traceback, no hang, no memory taken."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from aeonnx import checkpoint
from aeonnx.errors import CheckpointError
from tests.hostile_checkpoints import BARE, CHECKPOINTS

_SECONDS = 10  # of a busy machine


def refused(path: Path, text: str) -> None:
    began = time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path, "vae")
    said = str(caught.value)
    assert text in said
    assert said.isprintable()
    assert len(said) < 2000
    assert time.monotonic() - began < _SECONDS


@pytest.mark.parametrize("form", CHECKPOINTS)
def test_a_hostile_checkpoint_is_refused(
    run_of: Callable[..., Path], tmp_path: Path, form: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_of(), run, ignore=shutil.ignore_patterns("state", "*.png"))
    apply, text = CHECKPOINTS[form]
    checkpoint.load(run, "vae")
    apply(run)
    refused(run, text)


@pytest.mark.parametrize("form", BARE)
def test_a_hostile_state_dict_is_refused(
    run_of: Callable[..., Path], tmp_path: Path, form: str
) -> None:
    write, text = BARE[form]
    write(run_of(), tmp_path / "model.pth")
    refused(tmp_path / "model.pth", text)


def test_the_command_says_it_too(
    run_of: Callable[..., Path], aeonnx: Callable[..., Result], tmp_path: Path
) -> None:
    shutil.copytree(run_of(), tmp_path / "run")
    CHECKPOINTS["widths of 1e9"][0](tmp_path / "run")
    result = aeonnx("export", "-m", "vae", "--checkpoint", "run")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: run/config.json, and the files that it names: the configuration asks for more than "
        "its 8 arrays with 652,824 weights: hidden [1000000000, 1000000000], latent 20\n"
    )
    assert not Path("dist").exists()
