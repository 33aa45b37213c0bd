"""How a diffusion model scales latents: stated in the manifest, and in the graphs on request."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

import aeonnx as library
from aeonnx.bundle import Scaling, TensorSpec
from aeonnx.catalog.source import Source
from aeonnx.exporting.sources.external import from_source

Cli = Callable[..., Result]

SMALL: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "block_out_channels": (8, 8),
    "latent_channels": 4,
    "norm_num_groups": 4,
}
STATED = {
    "scaling_factor": ({"scaling_factor": 0.25}, Scaling((0.25,), (0.0,), False)),
    "shift_factor": (
        {"scaling_factor": 0.25, "shift_factor": 0.5},
        Scaling((0.25,), (0.5,), False),
    ),
    "mean_and_std": (
        {
            "scaling_factor": 0.5,
            "latents_mean": (0.1, 0.2, 0.3, 0.4),
            "latents_std": (2.0, 1.0, 0.5, 0.25),
        },
        Scaling((0.25, 0.5, 1.0, 2.0), (0.1, 0.2, 0.3, 0.4), False),
    ),
}
"""Configurations of diffusers, and what the manifest states of them."""


def saved(kind: str, folder: Path, **config: Any) -> Any:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    model = getattr(diffusers, kind)(**config)
    model.save_pretrained(folder)
    return model.eval()


def parts_of(folder: Path, latents: str) -> Any:
    source = Source(from_source=f"diffusers:{folder}", latents=latents)
    return from_source(source, "m").model.parts()


@pytest.mark.parametrize(("config", "expected"), STATED.values(), ids=STATED)
def test_the_graphs_scale_latents_as_a_pipeline_does(
    tmp_path: Path, config: dict[str, Any], expected: Scaling
) -> None:
    model = saved("AutoencoderKL", tmp_path, **SMALL, **config)
    plain, scaled = parts_of(tmp_path, "plain"), parts_of(tmp_path, "scaled")
    assert plain["encoder"].outputs[0].scaling == expected
    assert plain["decoder"].inputs[0].scaling == expected
    in_graph = Scaling(expected.factor, expected.shift, True)
    assert scaled["encoder"].outputs[0].scaling == scaled["decoder"].inputs[0].scaling == in_graph
    assert scaled["encoder"].outputs[1].scaling is None
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    factor, shift = (
        torch.tensor(numbers).reshape(1, -1, 1, 1) for numbers in (expected.factor, expected.shift)
    )
    with torch.no_grad():
        posterior = model.encode(x).latent_dist
        mu, logvar = scaled["encoder"].module(x)
        z = (posterior.mean - shift) * factor
        decoded = scaled["decoder"].module(z)
        made = model.decode(posterior.mean).sample.clamp(-1, 1)
    torch.testing.assert_close(mu, z)
    torch.testing.assert_close(logvar.exp(), posterior.var * factor**2, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(decoded, made)


def test_a_vq_model_takes_vectors_where_its_latents_are_scaled(tmp_path: Path) -> None:
    model = saved("VQModel", tmp_path, **SMALL, num_vq_embeddings=32, scaling_factor=0.25)
    plain, scaled = parts_of(tmp_path, "plain"), parts_of(tmp_path, "scaled")
    assert plain["encoder"].outputs[0].kind == "codes"
    assert plain["encoder"].outputs[0].scaling is None
    assert scaled["encoder"].outputs[0].kind == "latent"
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        latents = model.encode(x).latents
        z = scaled["encoder"].module(x)
        decoded = scaled["decoder"].module(z)
        made = model.decode(latents).sample.clamp(-1, 1)
    torch.testing.assert_close(z, latents * 0.25)
    torch.testing.assert_close(decoded, made, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("few_rows")
def test_a_bundle_with_scaled_latents_is_verified_without_being_told(
    aeonnx: Cli, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    saved(
        "AutoencoderTiny",
        folder,
        encoder_block_out_channels=(4,),
        decoder_block_out_channels=(4,),
        num_encoder_blocks=(1,),
        num_decoder_blocks=(1,),
        scaling_factor=0.5,
    )
    model = ("--from", f"diffusers:{folder}", "--part", "decoder")
    for latents, name in (("scaled", "s"), ("plain", "p")):
        result = aeonnx("export", *model, "--latents", latents, "-o", name)
        assert result.exit_code == 0, result.stderr
    scaled, plain = library.load("s"), library.load("p")
    assert scaled.manifest.model == "tiny"
    assert scaled.manifest.checkpoint_id != plain.manifest.checkpoint_id
    assert scaled.inputs("decoder")[0].scaling == Scaling((0.5,), (0.0,), True)
    stored = json.loads(Path("p/manifest.json").read_text())["parts"]["decoder"]["fp32"]
    assert stored["inputs"][0]["scaling"] == {"factor": [0.5], "shift": [0.0], "in_graph": False}
    z = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)).numpy()
    assert abs(scaled.decode(z * 0.5) - plain.decode(z)).max() < 1e-5
    told = aeonnx("inspect", "s").stdout
    assert "z * 0.5" in " ".join(told.split())
    result = aeonnx("verify", "s", *model[:2])
    assert result.exit_code == 0, result.stderr
    result = aeonnx("export", *model, "-o", "s")
    assert result.exit_code == 1
    assert "s holds parts of another checkpoint" in result.stderr


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (("-m", "vae", "--latents", "scaled"), 2, "--latents is for --from: the latents of aeonnx"),
        (("-m", "vae", "--latents", "scalled"), 2, "Did you mean 'scaled'?"),
        (
            ("--from", "module:mine:build", "--latents", "scaled"),
            2,
            "--latents scaled: a module states no scaling of its latents: leave it out",
        ),
    ],
)
def test_latents_that_have_no_scaling(
    aeonnx: Cli, options: tuple[str, ...], code: int, text: str
) -> None:
    result = aeonnx("export", *options, "-o", "b")
    assert result.exit_code == code, result.stderr
    assert text in result.stderr


@pytest.mark.parametrize(
    ("factor", "shift", "text"),
    [
        ((), (0.0,), "factor: expected one number, or one for each channel, got none"),
        ((1.0,), (), "shift: expected one number, or one for each channel, got none"),
        ((0.0,), (0.0,), "factor: expected no 0, got (0.0,)"),
        ((float("nan"),), (0.0,), "factor: expected finite numbers, got (nan,)"),
        ((1.0, 2.0), (0.0,), "scaling.factor: expected 1 number or 4, one for each channel, got 2"),
        ((1.0,), (0.0,) * 3, "scaling.shift: expected 1 number or 4, one for each channel, got 3"),
    ],
)
def test_numbers_that_are_no_scaling(
    factor: tuple[float, ...], shift: tuple[float, ...], text: str
) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        TensorSpec("z", ("batch", 4, 8, 8), kind="latent", scaling=Scaling(factor, shift, False))
    assert text in str(caught.value)
    with pytest.raises(ValueError, match="expected none of the kind image"):
        TensorSpec("x", ("batch", 4, 8, 8), kind="image", scaling=Scaling((1.0,), (0.0,), False))
