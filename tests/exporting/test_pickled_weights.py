"""Weights that a library pickled: read if they are tensors, refused if they are code."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from safetensors.torch import load_file

from aeonnx.catalog.source import Source
from aeonnx.exporting.sources.external import from_source

Cli = Callable[..., Result]


class Boom:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("boom"),)


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    """The weights of a small model of diffusers as a pickle, in place of safetensors."""
    diffusers = pytest.importorskip("diffusers")
    folder = tmp_path / "tiny"
    diffusers.AutoencoderTiny(
        encoder_block_out_channels=(4, 4),
        decoder_block_out_channels=(4, 4),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    ).save_pretrained(folder)
    safe = folder / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(safe), safe.with_suffix(".bin"))
    safe.unlink()
    return safe.with_suffix(".bin")


def test_a_pickle_of_tensors_is_read(pickled: Path) -> None:
    source = Source(from_source=f"diffusers:{pickled.parent}")
    model = from_source(source, "m").model
    stored = torch.load(pickled, weights_only=True)
    assert stored.keys() == model.state_dict().keys()
    assert all(torch.equal(stored[name], value) for name, value in model.state_dict().items())


def test_a_pickle_of_code_is_refused_and_not_run(aeonnx: Cli, pickled: Path) -> None:
    pickled.write_bytes(pickle.dumps(Boom()))
    result = aeonnx("export", "--from", f"diffusers:{pickled.parent}", "-o", "b")
    assert result.exit_code == 1, result.stderr
    assert (
        f"--from diffusers:{pickled.parent}: diffusers cannot read it: OSError: " in result.stderr
    )
    assert pickled.name in result.stderr
    assert not Path("boom").exists()
    assert not Path("b").exists()
