"""`--from SOURCE:LOCATION`: how sources are named, found and refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result

import aeonnx as package

Cli = Callable[..., Result]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "mine",
            "--from: expected SOURCE:LOCATION, such as module:mine:build, got 'mine'. Sources",
        ),
        ("module:", "--from: expected SOURCE:LOCATION, such as module:mine:build, got 'module:'. "),
        (":mine", "--from: expected SOURCE:LOCATION, such as module:mine:build, got ':mine'. "),
        ("modul:mine:build", "unknown source of --from 'modul'. Did you mean 'module'? Known: "),
        ("mine:build", "A function in your own code is module:FILE:FUNCTION, and a checkpoint of "),
        ("module:mine", "--from module:mine: expected module:package.module:factory, such as "),
    ],
)
def test_what_names_no_source_is_refused(aeonnx: Cli, source: str, text: str) -> None:
    result = aeonnx("export", "--from", source, "-o", "b")
    assert result.exit_code == 2, result.stderr
    assert text in result.stderr
    assert not Path("b").exists()


SHOP = """
import torch
from torch import nn

from aeonnx.bundle import TensorSpec
from aeonnx.models import Part, latent


class Bought(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.network = nn.Linear(4, width)

    def parts(self):
        z = latent("z", 4, "latent")
        y = TensorSpec("y", ("batch", self.network.out_features))
        return {"decoder": Part(self.network, (z,), (y,))}


def load(location, options):
    torch.manual_seed(0)
    print("loading", location)
    model = Bought(int(location))
    if options.weights is not None:
        model.load_state_dict(torch.load(options.weights, weights_only=True))
    return model


def nothing(location, options):
    return None
"""
POINTS = """[aeonnx.sources]
shop = shop_of_models:load
module = shop_of_models:nothing
empty = shop_of_models:nothing
gone = shop_of_models_that_is_gone:load
"""


@pytest.fixture
def shop(aeonnx: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line where a distribution is installed that adds sources."""
    home = tmp_path / "site"
    information = home / "shop_of_models-1.0.dist-info"
    information.mkdir(parents=True)
    (home / "shop_of_models.py").write_text(SHOP)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(home)
    return aeonnx


def test_another_distribution_adds_a_source(shop: Cli) -> None:
    result = shop("export", "--from", "shop:3", "-o", "b", "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("{"), "what the adapter prints is no part of the document"
    bundle = package.load("b")
    assert (bundle.manifest.model, bundle.manifest.arch) == ("3", "Bought")
    assert bundle.inputs("decoder")[0].kind == "latent"
    assert shop("verify", "b", "--from", "shop:3").exit_code == 0
    result = shop("export", "--from", "shop:3", "-o", "p", "--part", "decodr")
    assert result.exit_code == 2
    assert "unknown part of 3 'decodr'. Did you mean 'decoder'?" in result.stderr
    assert not Path("p").exists()
    torch.save({"network.weight": torch.ones(3, 4), "network.bias": torch.zeros(3)}, "w.pt")
    result = shop("export", "--from", "shop:3", "--weights", "w.pt", "-o", "w")
    assert result.exit_code == 0, result.stderr
    z = torch.rand(2, 4)
    made = package.load("w").decode(z.numpy())
    assert abs(made - z.sum(1, keepdim=True).numpy()).max() < 1e-5


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        ("sho:3", 2, "Did you mean 'shop'? Known: diffusers, empty, gone, module, pythae, shop, "),
        ("shop:three", 1, "--from shop:three raised ValueError: invalid literal for int()"),
        ("empty:3", 2, "--from empty:3: expected an nn.Module with a method parts() -> "),
        ("gone:3", 1, "--from gone:3 raised ModuleNotFoundError: No module named 'shop_of_models_"),
        ("module:shop_of_models:nothing", 2, "expected a function that needs no arguments"),
    ],
)
def test_what_goes_wrong_in_a_source_of_another_distribution(
    shop: Cli, source: str, code: int, text: str
) -> None:
    result = shop("export", "--from", source, "-o", "b")
    assert result.exit_code == code, result.stderr
    assert text in result.stderr
    assert not Path("b").exists()


@pytest.mark.parametrize(
    ("library", "file", "config"),
    [
        ("diffusers", "config.json", {"_class_name": "AutoencoderKL"}),
        ("transformers", "config.json", {"architectures": ["EncodecModel"]}),
        ("pythae", "model_config.json", {"name": "VAEConfig"}),
    ],
)
def test_a_library_that_is_not_installed(
    aeonnx: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    file: str,
    config: dict[str, str],
) -> None:
    (tmp_path / file).write_text(json.dumps(config))
    for weights in ("model.pt", "model.safetensors"):
        (tmp_path / weights).touch()
    monkeypatch.setattr("aeonnx.exporting.sources.adapters._shared.find_spec", lambda _: None)
    result = aeonnx("export", "--from", f"{library}:{tmp_path}", "-o", "b")
    assert result.exit_code == 4, result.stderr
    assert (
        f"Error: --from {library}:{tmp_path} needs {library}, which is not installed: "
        f"pip install {library}\n"
    ) in result.stderr
    assert not Path("b").exists()


def test_a_library_is_imported_only_when_it_is_asked_for() -> None:
    code = (
        "import sys\n"
        "from aeonnx.exporting.sources.adapters import diffusers, module, pythae, transformers\n"
        "print(sorted({'diffusers', 'pythae', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
