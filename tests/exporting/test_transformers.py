"""`--from transformers:FOLDER`: the parts do what the library's models do, and bad folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

from aeonnx.catalog.source import Source
from aeonnx.exporting.sources.external import from_source
from aeonnx.models import Part
from benchmarks.zoo_models.transformers import LOUD, save

Cli = Callable[..., Result]


def _loaded(name: str, folder: Path, **options: Any) -> tuple[Any, dict[str, Part]]:
    """The library's own model, and the parts of that in the folder."""
    transformers = pytest.importorskip("transformers")
    save(name, folder, **options)
    parts = from_source(Source(None, f"transformers:{folder}"), "m").model.parts()
    # A model in eval mode of another load: what the adapter changes is in its own.
    return getattr(transformers, name).from_pretrained(folder).eval(), parts


def _random(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("name", ["EncodecModel", "DacModel", "MimiModel"])
@pytest.mark.parametrize("frames", [9, 24])
def test_codecs_compute_what_the_library_computes(name: str, frames: int, tmp_path: Path) -> None:
    library, parts = _loaded(name, tmp_path)
    hop = parts["encoder"].axes["time"].multiple
    x = _random(2, 1, frames * hop)
    with torch.no_grad():
        options = {"bandwidth": 60.0} if name == "EncodecModel" else {}
        codes = library.encode(x, **options).audio_codes
        given = (codes, [None]) if name == "EncodecModel" else ()
        expected = library.decode(*given, **({} if given else {"audio_codes": codes}))
        codes = codes[0] if name == "EncodecModel" else codes
        found = parts["encoder"].module(x)
        decoded = parts["decoder"].module(codes)
    assert torch.equal(found, codes)
    assert len(found.unique()) > 4  # the codebooks are not those that nobody trained
    torch.testing.assert_close(decoded.flatten(1), expected.audio_values.flatten(1))


def test_sound_is_encoded_at_one_loudness_as_in_the_library(tmp_path: Path) -> None:
    library, parts = _loaded("EncodecModel", tmp_path, **LOUD)
    assert parts["encoder"].axes["time"].max == library.config.chunk_length // 8 * 8
    x = _random(3, 2, 160) * torch.tensor([0.01, 0.3, 1.0])[:, None, None]
    with torch.no_grad():
        encoded = library.encode(x, bandwidth=60.0)
        expected = library.decode(*encoded[:2]).audio_values
        codes, loudness = parts["encoder"].module(x)
        decoded = parts["decoder"].module(codes, loudness)
    assert torch.equal(codes, encoded.audio_codes[0])
    torch.testing.assert_close(loudness, encoded.audio_scales[0])
    torch.testing.assert_close(decoded, expected)


def test_masked_images_are_encoded_and_decoded_as_in_the_library(tmp_path: Path) -> None:
    library, parts = _loaded("ViTMAEForPreTraining", tmp_path)
    x, noise = _random(2, 3, 32, 32), _random(2, 16)
    with torch.no_grad():
        expected = library(x, noise=noise)
        z, places, mask = parts["encoder"].module(x, noise)
        decoded = parts["decoder"].module(z, places)
    assert torch.equal(places, expected.ids_restore)
    assert torch.equal(mask, expected.mask)
    torch.testing.assert_close(decoded, library.unpatchify(expected.logits))


def test_images_say_how_they_are_normalised(tmp_path: Path) -> None:
    ViTImageProcessor = pytest.importorskip("transformers").ViTImageProcessor  # noqa: N806
    save("ViTMAEForPreTraining", tmp_path)
    ViTImageProcessor(image_mean=[0.4, 0.5, 0.6], image_std=[0.1, 0.2, 0.3]).save_pretrained(
        tmp_path
    )
    parts = from_source(Source(None, f"transformers:{tmp_path}"), "m").model.parts()
    text = "(images in [0, 1] - [0.4, 0.5, 0.6]) / [0.1, 0.2, 0.3], of each channel"
    assert parts["encoder"].inputs[0].description == text
    assert parts["decoder"].outputs[0].description == text
    assert text not in parts["encoder"].inputs[1].description


def _cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def _reshaped(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"codebook_dim": 6}))


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_cut, "SafetensorError: Error while deserializing header: invalid header length. Save"),
        (_reshaped, "weights have other shapes than config.json says: quantizer.quantizers.0.code"),
    ],
)
def test_a_damaged_folder_gives_one_line(
    aeonnx: Cli,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    text: str,
) -> None:
    """The library writes nothing of its own."""
    pytest.importorskip("transformers")
    save("DacModel", tmp_path)
    damage(tmp_path)
    capfd.readouterr()
    result = aeonnx("export", "--from", f"transformers:{tmp_path}", "-o", "b")
    assert result.exit_code == 1
    assert text in result.stderr
    assert result.stderr.count("\n") == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            {"architectures": ["BertModel"]},
            "expected a model of one of the classes EncodecModel, DacModel, MimiModel, "
            "ViTMAEForPreTraining, got BertModel. For another class, write a function",
        ),
        ({"architectures": []}, "ViTMAEForPreTraining, got none"),
        (
            {"architectures": ["DacModel"]},
            "expected weights in model.safetensors, there are none: save the model with",
        ),
    ],
)
def test_other_folders_are_refused(aeonnx: Cli, tmp_path: Path, content: object, text: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(content))
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    result = aeonnx("export", "--from", f"transformers:{tmp_path}", "-o", "b")
    assert result.exit_code == 1, result.stderr
    assert text in result.stderr
    assert not Path("b").exists()


def test_a_folder_of_one_variant_is_read(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    save("DacModel", tmp_path)
    model = transformers.DacModel.from_pretrained(tmp_path, dtype=torch.float16)
    (tmp_path / "model.safetensors").unlink()
    model.save_pretrained(tmp_path, variant="fp16")
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["model.fp16.safetensors"]
    parts = from_source(Source(None, f"transformers:{tmp_path}"), "m").model.parts()
    found = parts["encoder"].module.state_dict()
    assert {value.dtype for value in found.values() if value.is_floating_point()} == {torch.float32}
    expected = {f"{value.double().sum():.6f}" for value in model.state_dict().values()}
    assert {f"{value.double().sum():.6f}" for value in found.values()} <= expected
