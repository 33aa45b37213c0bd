"""A new model is one module in models/ and one recipe in training/recipes/, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from torch import Tensor, nn

import aeonnx as package
from aeonnx import catalog
from aeonnx.bundle import TensorSpec
from aeonnx.models import (
    Model,
    ModelConfig,
    Part,
    Widths,
    _registry,
    build,
    configure,
    register,
)
from aeonnx.training import Recipe, TrainOptions, losses
from aeonnx.training.recipes import Batch, Picture, Stage
from aeonnx.training.recipes import _registry as recipe_registry
from aeonnx.training.recipes import register as register_recipe


class Linear(Model):
    """Two matrices: what principal components do, with a prior for good measure."""

    prior = "standard-normal"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        size = int(np.prod(config.input_shape))
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, config.latent_size))
        self.decoder = nn.Sequential(
            nn.Linear(config.latent_size, size), nn.Unflatten(1, config.input_shape), nn.Sigmoid()
        )

    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", ("batch", *self.config.input_shape), range=(0.0, 1.0))
        z = TensorSpec("z", ("batch", self.config.latent_size))
        y = TensorSpec("reconstruction", x.shape, range=(0.0, 1.0))
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (y,)),
        }


@pytest.fixture
def toy() -> Iterator[str]:
    """The toy model and its recipe, registered for one test."""
    register("toy", {"flat": Widths((), 5)}, parts=("encoder", "decoder"))(Linear)

    def terms(model: Linear, batch: Batch) -> dict[str, Tensor]:
        return {"loss": losses.mse(model.decoder(model.encoder(batch.x)), batch.x)}

    def pictures(model: Linear, batch: Batch) -> list[Picture]:
        return [Picture("toys", model.decoder(model.encoder(batch.x)), 5)]

    @register_recipe("toy")
    def recipe(_: ModelConfig, *, strength: float = 1.0) -> Recipe:
        assert strength == 1.0
        stage = Stage("train", "mean squared error", terms, terms, epochs=1, steps=1)
        return Recipe((stage,), pictures)

    yield "toy"
    del _registry._MODELS["toy"], recipe_registry._RECIPES["toy"]
    catalog.forget("toy")


@pytest.mark.usefixtures("drawn")
def test_a_new_model_goes_all_the_way(
    toy: str, aeonnx: Callable[..., Result], tmp_path: Path
) -> None:
    result = aeonnx("train", "-m", toy, "--arch", "flat", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "runs/toy/toys.png").is_file()
    result = aeonnx("export", "-m", toy)
    assert result.exit_code == 0, result.output
    assert "decoder(encoder)" in result.output
    assert aeonnx("verify", "dist/toy", "--against", "runs/toy").exit_code == 0
    bundle = package.load("dist/toy")
    assert bundle.manifest.training is not None
    assert bundle.manifest.training.options == {"strength": 1.0}
    assert bundle.generate(3).shape == (3, 1, 28, 28)
    assert bundle.reconstruct(np.zeros((2, 1, 28, 28), dtype=np.uint8)).shape == (2, 1, 28, 28)


def test_the_example_in_the_docs_works(aeonnx: Callable[..., Result]) -> None:
    page = Path(__file__).parent.parent / "docs/extending.md"
    model, recipe = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    try:
        exec(model, {"__name__": "linear"})  # noqa: S102  # our own documentation
        exec(recipe, {"__name__": "linear"})  # noqa: S102
        options = ("--epochs", 1, "--device", "cpu")
        assert aeonnx("train", "-m", "linear", *options).exit_code == 0
        result = aeonnx("export", "-m", "linear")
        assert result.exit_code == 0, result.output
    finally:
        del _registry._MODELS["linear"], recipe_registry._RECIPES["linear"]
        catalog.forget("linear")


def test_two_files_are_enough_for_the_command_line(tmp_path: Path) -> None:
    """In a copy of the package: the option is in the help, and a wrong one imports no torch."""
    copy = tmp_path / "copy"
    shutil.copytree(
        Path(package.__file__).parent, copy / "aeonnx", ignore=shutil.ignore_patterns("__pycache__")
    )
    page = Path(__file__).parent.parent / "docs/extending.md"
    texts = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    for folder, text in zip(("models", "training/recipes"), texts, strict=True):
        (copy / "aeonnx" / folder / "linear.py").write_text(text)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = (
            "import sys\n"
            "from aeonnx.cli import cli\n"
            "try:\n"
            "    cli(sys.argv[1:])\n"
            "finally:\n"
            "    print('torch' in sys.modules)\n"
        )
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
        )

    done = run("train", "--help")
    assert "--shrinkage FLOAT" in done.stdout
    said = " ".join(done.stdout.split())
    assert "linear: weight of the latent's mean square: 0 or more. [default: 0]" in said
    assert done.stdout.endswith("False\n")
    for arguments, text in (
        (("-m", "linaer"), "unknown model 'linaer'. Did you mean 'linear'?"),
        (("-m", "linear", "--arch", "conv"), "unknown architecture of linear 'conv'. Known: mlp."),
        (("-m", "linear", "--shrinkage", "-1"), "shrinkage: expected a number 0 or more, got -1"),
        (("-m", "vae", "--shrinkage", "1"), "vae takes no --shrinkage, it takes: --beta"),
    ):
        done = run("train", *arguments)
        assert done.returncode == 2
        assert text in done.stderr
        assert done.stdout == "False\n"


def test_what_is_read_of_models_and_recipes_is_what_they_register() -> None:
    """The sources, read without torch, and the modules, imported, say the same."""
    code = "from aeonnx import catalog; print(catalog.models(), catalog.recipes())"
    read, imported = (
        subprocess.run(
            [sys.executable, "-c", before + code], capture_output=True, text=True, check=True
        ).stdout
        for before in ("", "import aeonnx.training.recipes\n")
    )
    assert read == imported
    assert "CorruptionKind" not in read
    assert "'salt-pepper'" in read


def test_options_of_one_name_are_of_one_type_and_none_of_the_commands_own() -> None:
    own = {field.name for field in fields(TrainOptions)}
    kinds: dict[str, set[type]] = {}
    for options in catalog.recipes().values():
        for name, option in options.items():
            assert name not in own
            kinds.setdefault(name, set()).add(option.allowed.kind)
    assert all(len(found) == 1 for found in kinds.values())


def test_a_model_with_other_parts_than_it_says_is_refused(toy: str) -> None:
    register(toy, {"flat": Widths((), 5)}, parts=("encoder",))(Linear)
    with pytest.raises(TypeError, match="registered with the parts encoder, but has encoder, dec"):
        build(configure(toy, "flat", (1, 28, 28)))


def test_models_and_recipes_are_found_by_their_files() -> None:
    root = Path(package.__file__).parent
    for folder, known in (
        ("models", _registry._MODELS),
        ("training/recipes", recipe_registry._RECIPES),
    ):
        files = {path.stem for path in (root / folder).glob("[!_]*.py")}
        assert files == set(known)


def test_no_model_is_named_outside_models_and_recipes() -> None:
    root = Path(package.__file__).parent
    for path in root.rglob("*.py"):
        inside = path.relative_to(root).parts
        if inside[0] in ("models", "demo.py") or inside[:2] == ("train", "recipes"):
            continue
        for name in ('"vae"', '"ae"', '"dae"', '"sae"', '"sdae"'):
            assert f"== {name}" not in path.read_text(), path
