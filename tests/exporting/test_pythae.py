"""`--from pythae:FOLDER`: the parts do what the library's models do, and bad folders."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

import aeonnx as package
from aeonnx.catalog.source import Source
from aeonnx.exporting.sources.external import from_source

Cli = Callable[..., Result]

# Of the library itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def saved(name: str, folder: Path, **config: Any) -> Any:
    models = pytest.importorskip("pythae.models")
    torch.manual_seed(0)
    kind = getattr(models, f"{name}_Config" if "_" in name else f"{name}Config")
    model = getattr(models, name)(kind(input_dim=(1, 4, 4), latent_dim=3, **config))
    model.save(str(folder))
    return model.eval()


def parts_of(folder: Path) -> Any:
    return from_source(Source(from_source=f"pythae:{folder}"), "m").model.parts()


X = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["AE", "RAE_GP", "RAE_L2", "WAE_MMD"])
def test_plain_latents(name: str, tmp_path: Path) -> None:
    model, parts = saved(name, tmp_path), parts_of(tmp_path)
    with torch.no_grad():
        z = parts["encoder"].module(X)
        torch.testing.assert_close(z, model.encoder(X).embedding)
        torch.testing.assert_close(parts["decoder"].module(z), model.decoder(z).reconstruction)


@pytest.mark.parametrize("name", ["VAE", "BetaVAE", "BetaTCVAE", "Adversarial_AE", "VAMP", "IWAE"])
def test_gaussian_latents(name: str, tmp_path: Path) -> None:
    model = saved(name, tmp_path)
    trained = from_source(Source(from_source=f"pythae:{tmp_path}"), "m").model
    assert getattr(trained, "prior", None) == (None if name == "VAMP" else "standard-normal")
    with torch.no_grad():
        mu, logvar = trained.parts()["encoder"].module(X)
        expected = model.encoder(X)
    torch.testing.assert_close(mu, expected.embedding)
    torch.testing.assert_close(logvar, expected.log_covariance)


@pytest.mark.parametrize("ema", [False, True], ids=["learnt", "averaged"])
def test_codes(ema: bool, tmp_path: Path) -> None:
    more = {"use_ema": True, "decay": 0.9} if ema else {}
    model = saved("VQVAE", tmp_path, num_embeddings=8, **more)
    parts = parts_of(tmp_path)
    with torch.no_grad():
        codes = parts["encoder"].module(X)
        expected = model({"data": X})
        decoded = parts["decoder"].module(codes)
    assert codes.shape == (5, 3)
    assert torch.equal(codes, expected.quantized_indices.reshape(5, 3))
    torch.testing.assert_close(decoded, expected.recon_x)


def test_a_folder_becomes_a_bundle_that_generates(aeonnx: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    saved("VAE", folder)
    result = aeonnx("export", "--from", f"pythae:{folder}", "-o", "b")
    assert result.exit_code == 0, result.stderr
    bundle = package.load("b")
    assert (bundle.manifest.model, bundle.manifest.arch) == ("digits", "VAE")
    assert bundle.parts == ("decoder", "encoder", "sampler")
    assert bundle.generate(2).shape == (2, 1, 4, 4)
    assert aeonnx("verify", "b", "--from", f"pythae:{folder}").exit_code == 0


class Boom:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("boom"),)


def harm(folder: Path, how: str) -> None:
    config = json.loads((folder / "model_config.json").read_text())
    if how == "code in model.pt":
        (folder / "model.pt").write_bytes(pickle.dumps(Boom()))
    elif how == "no model.pt":
        (folder / "model.pt").unlink()
    elif how == "weights missing":
        state = torch.load(folder / "model.pt", weights_only=True)["model_state_dict"]
        del state["encoder.embedding.bias"]
        torch.save({"model_state_dict": state}, folder / "model.pt")
    elif how == "a network of one's own":
        (folder / "encoder.pkl").write_bytes(pickle.dumps(Boom()))
    else:
        config["name"] = how
    (folder / "model_config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("code in model.pt", "safely"),
        ("no model.pt", "expected weights in model.pt, there is no such file"),
        ("weights missing", "encoder.embedding.bias: missing"),
        ("a network of one's own", "its encoder is a class of your own, stored as a pickle, which"),
        ("SVAEConfig", "VAE, VAEGAN, VAMP, AE, RAE_GP, RAE_L2, WAE_MMD, VQVAE, got SVAE. For "),
    ],
)
def test_folders_that_are_refused(aeonnx: Cli, tmp_path: Path, how: str, text: str) -> None:
    folder = tmp_path / "f"
    saved("VAE", folder)
    harm(folder, how)
    result = aeonnx("export", "--from", f"pythae:{folder}", "-o", "b")
    assert result.exit_code == 1, result.stderr
    assert text in result.stderr
    assert not Path("b").exists()
    assert not Path("boom").exists()


def test_weights_and_scaling_have_no_place(aeonnx: Cli, tmp_path: Path) -> None:
    Path("w.pt").touch()
    source = ("export", "--from", f"pythae:{tmp_path}")
    result = aeonnx(*source, "--weights", "w.pt")
    assert result.exit_code == 2
    assert "comes with its weights: leave it out" in result.stderr
    result = aeonnx(*source, "--latents", "scaled")
    assert result.exit_code == 2
    assert "states no scaling of its latents: leave it out" in result.stderr
