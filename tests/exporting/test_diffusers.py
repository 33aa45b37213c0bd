"""`--from diffusers:FOLDER`: the parts do what the library's models do, and bad folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from safetensors.torch import load_file, save_file

from aeonnx import load
from aeonnx.catalog.source import Source
from aeonnx.exporting.sources.adapters import _shared
from aeonnx.exporting.sources.external import from_source
from benchmarks.zoo_models.diffusers import CONFIGS, save

Cli = Callable[..., Result]

# Of the library itself.
pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")

FILE = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("diffusers")
    save("AutoencoderTiny", tmp_path / "tiny")
    return tmp_path / "tiny"


def _config(folder: Path, content: object) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def _library(model: Any, name: str, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the library encodes x to, and decodes it to."""
    if name == "VQModel":
        latents = model.encode(x).latents
        codes = model.quantize(latents)[2][2].reshape(latents[:, 0].shape)
        return codes, model.decode(latents).sample
    encoded = model.encode(x)
    z = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded[0]
    return z, model.decode(z).sample


@pytest.mark.shortened(3)
@pytest.mark.parametrize("name", [name for name in CONFIGS if "Temporal" not in name])
def test_parts_compute_what_the_library_computes(name: str, tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    save(name, tmp_path)
    parts = from_source(Source(None, f"diffusers:{tmp_path}"), "m").model.parts()
    sizes = (2, 2, 64) if name == "AutoencoderOobleck" else (2, 3, 32, 48)
    x = torch.rand(sizes, generator=torch.Generator().manual_seed(0)) * 2 - 1
    library = getattr(diffusers, name).from_pretrained(tmp_path).eval()
    with torch.no_grad():
        z, expected = _library(library, name, x)
        found = parts["encoder"].module(x)
        decoded = parts["decoder"].module(z)
    found = found[0] if isinstance(found, tuple) else found
    torch.testing.assert_close(found, z)
    torch.testing.assert_close(
        decoded, expected if name == "AutoencoderOobleck" else expected.clamp(-1, 1)
    )


def test_clips_are_encoded_and_decoded_as_in_the_library(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    name = "AutoencoderKLTemporalDecoder"
    save(name, tmp_path)
    parts = from_source(Source(None, f"diffusers:{tmp_path}"), "m").model.parts()
    library = getattr(diffusers, name).from_pretrained(tmp_path).eval()
    frames = parts["encoder"].inputs[0].shape[2]
    assert isinstance(frames, int)
    clips = torch.rand((2, 3, frames, 16, 24), generator=torch.Generator().manual_seed(0)) * 2 - 1
    flat = clips.transpose(1, 2).flatten(0, 1)  # the library takes frames as rows
    with torch.no_grad():
        z = library.encode(flat).latent_dist.mean
        expected = library.decode(z, num_frames=frames).sample.clamp(-1, 1)
        found = parts["encoder"].module(clips)[0]
        decoded = parts["decoder"].module(found)
    torch.testing.assert_close(found.transpose(1, 2).flatten(0, 1), z)
    torch.testing.assert_close(decoded.transpose(1, 2).flatten(0, 1), expected)


@pytest.mark.usefixtures("few_rows")
def test_a_pipeline_is_exported_by_its_autoencoder(aeonnx: Cli, tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    small: dict[str, object] = {}
    for side in ("encoder", "decoder"):
        small |= {f"{side}_block_out_channels": (4, 4), f"num_{side}_blocks": (1, 1)}
    save("AutoencoderTiny", tmp_path / "pipeline" / "vae", **small)
    source = f"diffusers:{tmp_path / 'pipeline'}"
    result = aeonnx("export", "--from", source, "-o", "b", "--part", "encoder")
    assert result.exit_code == 0, result.stderr
    bundle = load("b")
    assert bundle.manifest.model == "pipeline"
    (x,) = bundle.manifest.parts["encoder"]["fp32"].inputs
    assert (x.range, x.kind, x.shape) == ((-1.0, 1.0), "image", ("batch", 3, "height", "width"))
    assert bundle.manifest.parts["encoder"]["fp32"].axes["height"].multiple == 2


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            {"_class_name": "UNet2DModel"},
            "expected a model of one of the classes AutoencoderKL, AsymmetricAutoencoderKL, "
            "AutoencoderTiny, AutoencoderDC, VQModel, AutoencoderOobleck, "
            "AutoencoderKLTemporalDecoder, got UNet2DModel. For another class, write a function",
        ),
        ({}, "got none"),
        ([], "config.json: expected a JSON object, got a list"),
    ],
)
def test_other_folders_are_refused(aeonnx: Cli, tmp_path: Path, content: object, text: str) -> None:
    folder = _config(tmp_path / "model", content)
    result = aeonnx("export", "--from", f"diffusers:{folder}", "-o", "b")
    assert result.exit_code == 1, result.stderr
    assert text in result.stderr
    assert not Path("b").exists()


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("nothing", "expected a folder that save_pretrained of diffusers wrote, there is no such"),
        ("file", "expected a folder that save_pretrained of diffusers wrote, it is a file"),
        ("empty", "there is no config.json in it"),
    ],
)
def test_what_is_no_folder_is_refused(aeonnx: Cli, tmp_path: Path, place: str, text: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    result = aeonnx("export", "--from", f"diffusers:{tmp_path / place}", "-o", "b")
    assert result.exit_code == 1
    assert text in result.stderr


def test_a_library_that_is_not_installed_is_named(
    aeonnx: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_shared, "find_spec", lambda _: None)
    folder = _config(tmp_path / "model", {"_class_name": "AutoencoderKL"})
    result = aeonnx("export", "--from", f"diffusers:{folder}", "-o", "b")
    assert result.exit_code == 4
    assert "needs diffusers, which is not installed: pip install diffusers" in result.stderr


def test_missing_weights_are_named(aeonnx: Cli, folder: Path) -> None:
    weights = load_file(folder / FILE)
    name = next(key for key in weights if key.startswith("decoder."))
    del weights[name]
    save_file(weights, folder / FILE)
    result = aeonnx("export", "--from", f"diffusers:{folder}", "-o", "b")
    assert result.exit_code == 1
    assert f"its files lack weights of the model: {name}. Save the whole model" in result.stderr


def _cut(folder: Path) -> None:
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:1000])


def _reshaped(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"latent_channels": 5}))


def _unknown_activation(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"act_fn": "nonsense"}))


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_cut, "SafetensorError: Error while deserializing header: invalid header length. Save"),
        (_reshaped, "weights have other shapes than config.json says: decoder.layers.0.weight (["),
        (_unknown_activation, "cannot read it: ValueError: activation function nonsense not found"),
    ],
)
def test_a_damaged_folder_gives_one_line(
    aeonnx: Cli,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    text: str,
) -> None:
    """The library writes nothing of its own."""
    damage(folder)
    capfd.readouterr()
    result = aeonnx("export", "--from", f"diffusers:{folder}", "-o", "b")
    assert result.exit_code == 1
    assert text in result.stderr
    assert result.stderr.startswith("Error: --from diffusers:")
    assert result.stderr.count("\n") == 1
    assert capfd.readouterr() == ("", "")


def test_an_id_of_the_hub_says_how_to_download_it(aeonnx: Cli) -> None:
    result = aeonnx("export", "--from", "diffusers:org/vae-2", "-o", "b")
    assert result.exit_code == 1
    assert "first: hf download org/vae-2 --local-dir vae-2" in result.stderr


def test_a_folder_without_weights_is_refused(aeonnx: Cli, folder: Path) -> None:
    (folder / FILE).unlink()
    result = aeonnx("export", "--from", f"diffusers:{folder}", "-o", "b")
    assert result.exit_code == 1
    assert "expected weights in diffusion_pytorch_model.safetensors, there are none" in (
        result.stderr
    )


def test_weights_beside_a_folder_are_refused(aeonnx: Cli, folder: Path) -> None:
    result = aeonnx(
        "export", "--from", f"diffusers:{folder}", "--weights", str(folder / FILE), "-o", "b"
    )
    assert result.exit_code == 2
    assert "--weights is for --from module:...; " in result.stderr


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("shards", ["5GB", "20KB"])
@pytest.mark.parametrize("variant", ["fp16", "bf16"])
def test_a_folder_of_one_variant_is_read_as_float32(
    aeonnx: Cli, folder: Path, variant: str, shards: str
) -> None:
    diffusers = pytest.importorskip("diffusers")
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[variant]
    model = diffusers.AutoencoderTiny.from_pretrained(folder, torch_dtype=dtype)
    (folder / FILE).unlink()
    model.save_pretrained(folder, variant=variant, max_shard_size=shards)
    files = [path.name for path in folder.glob("*.safetensors")]
    assert all(variant in name for name in files)
    assert (len(files) > 1) == (shards == "20KB")
    parts = from_source(Source(None, f"diffusers:{folder}"), "m").model.parts()
    x = torch.rand((1, 3, 16, 16), generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        expected = model.float().eval().encode(x).latents
        torch.testing.assert_close(parts["encoder"].module(x), expected)
    if shards == "5GB" and variant == "fp16":
        result = aeonnx("export", "--from", f"diffusers:{folder}", "-o", "b", "--part", "encoder")
        assert result.exit_code == 0, result.stderr
        assert load("b").inputs("encoder")[0].dtype == "float32"


def test_weights_in_full_are_preferred_to_a_variant(folder: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    model = diffusers.AutoencoderTiny.from_pretrained(folder)
    for parameter in model.parameters():
        parameter.data.zero_()
    model.save_pretrained(folder, variant="fp16")
    parts = from_source(Source(None, f"diffusers:{folder}"), "m").model.parts()
    assert any(bool(value.any()) for value in parts["encoder"].module.parameters())


def test_two_variants_are_refused(aeonnx: Cli, folder: Path) -> None:
    (folder / FILE).rename(folder / "diffusion_pytorch_model.fp16.safetensors")
    (folder / "diffusion_pytorch_model.bf16.safetensors").touch()
    result = aeonnx("export", "--from", f"diffusers:{folder}", "-o", "b")
    assert result.exit_code == 1
    assert (
        "expected the weights once, got those of bf16 and fp16: move the files of all but one "
        "elsewhere"
    ) in result.stderr
