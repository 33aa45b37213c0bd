"""`aeonnx.train` and `aeonnx.export`: training and exporting from Python."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aeonnx
from aeonnx.errors import AeonnxError, CheckpointError, UnknownNameError, UsageError
from aeonnx.exporting import ExportOptions
from aeonnx.training import TrainOptions

Maker = Callable[..., Path]
FUNCTIONS = [(aeonnx.train, TrainOptions), (aeonnx.export, ExportOptions)]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "x.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8))
    return path


@pytest.fixture(scope="module")
def run(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    trained = aeonnx.train(
        "vae",
        folder,
        data=images,
        epochs=1,
        hidden=np.array([16]),
        latent_size=np.int64(3),
        batch_size=np.int32(16),
        device="cpu",
        beta=np.float32(0.5),
    )
    assert trained.output == folder
    assert trained.training.data.endswith("x.npy")
    assert [epoch.epoch for epoch in trained.epochs] == [1]
    return folder


def test_train_export_and_load(run: Path, tmp_path: Path) -> None:
    exported = aeonnx.export("vae", str(tmp_path / "b"), checkpoint=str(run), io="uint8")
    assert exported.output == tmp_path / "b"
    assert exported.report.passed
    bundle = aeonnx.load(exported.output)
    assert bundle.inputs("decoder")[0].shape == ("batch", 3)
    assert bundle.manifest.training is not None
    assert bundle.parts == ("decoder", "encoder", "reconstructor", "sampler", "scorer")
    assert bundle.generate(2, seed=7, pixels=True).shape == (2, 1, 8, 8)
    assert bundle.variant("decoder", "fp32-uint8")


@pytest.mark.parametrize("parts", ["decoder", ["decoder"], ("decoder",), iter(["decoder"])])
def test_one_name_or_several(run: Path, tmp_path: Path, parts: Any) -> None:
    assert aeonnx.export("vae", tmp_path, checkpoint=run, parts=parts).parts == ("decoder",)


def test_options_of_the_recipe_are_keywords(images: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--beta was 0\.5, is 2"):
        aeonnx.train(output=run, resume=True, beta=2)
    trained = aeonnx.train(
        "dae",
        tmp_path,
        data=images,
        epochs=1,
        hidden=[8],
        latent_size=2,
        device="cpu",
        corruption="masking",
        corruption_level=0.25,
    )
    assert "masking" in str(trained.training)


@pytest.mark.parametrize(("function", "options"), FUNCTIONS)
def test_arguments_are_the_fields_of_the_options(
    function: Callable[..., object], options: type
) -> None:
    parameters = inspect.signature(function).parameters
    own = {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD and name != "listener"
    }
    declared = {
        item.name: item.default
        for item in fields(options)
        if item.name not in ("recipe", "modules")
    }
    required = inspect.Parameter.empty
    named = {"pairs": "noisy"}  # two folders, one of which is the data
    assert {named.get(name, name) for name in own} == declared.keys()
    for name, default in own.items():
        if default is not required:
            assert default == declared[named.get(name, name)], name
    documented = re.findall(r"^    (\w+): ", inspect.getdoc(function) or "", re.MULTILINE)
    assert {*own, "listener"} <= {*documented}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: aeonnx.train("vae", epoch=5),
            r"unknown option of aeonnx.train for vae 'epoch'\. Did you mean 'epochs'\? Known: arch",
        ),
        (
            lambda: aeonnx.train("vae", corruption="masking"),
            r"unknown option of aeonnx.train for vae 'corruption'\..* beta,",
        ),
        (
            lambda: aeonnx.train(output="r", resume=True, beeta=5),
            r"unknown option of aeonnx.train 'beeta'\. Did you mean 'beta'\?",
        ),
        (lambda: aeonnx.train("vae", recipe={"beta": 2}), "unknown option .*'recipe'"),
        (lambda: aeonnx.train("vea"), "unknown model 'vea'. Did you mean 'vae'"),
        (lambda: aeonnx.train("vea", beta=1), "unknown model 'vea'. Did you mean 'vae'"),
        (
            lambda: aeonnx.export("vae", precision="int8"),  # type: ignore[arg-type]
            r"unknown option of aeonnx.export 'precision'\. Did you mean 'precisions'\?",
        ),
        (lambda: aeonnx.export("vae", precisions="int9"), "unknown precision 'int9'. Did you mean"),
        (lambda: aeonnx.export("vae", parts="decodr"), "unknown part of vae 'decodr'. Did you"),
    ],
)
def test_a_wrong_name_suggests_the_nearest(call: Callable[[], object], text: str) -> None:
    with pytest.raises(UnknownNameError, match=text):
        call()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: aeonnx.train(), "Missing option '-m'"),
        (lambda: aeonnx.train(5), "model: expected a name, got 5"),  # type: ignore[arg-type]
        (lambda: aeonnx.train("vae", 5), "output: expected a path, got 5"),  # type: ignore[arg-type]
        (lambda: aeonnx.train("vae", epochs="5"), "epochs: expected a number, got '5'"),  # type: ignore[arg-type]
        (lambda: aeonnx.train("vae", epochs=True), "epochs: expected a number, got True"),
        (lambda: aeonnx.train("vae", epochs=1.5), "epochs: expected a whole number, got 1.5"),  # type: ignore[arg-type]
        (lambda: aeonnx.train("vae", lr=[1]), r"lr: expected a number, got \[1\]"),  # type: ignore[arg-type]
        (lambda: aeonnx.train("vae", hidden=4), "hidden: expected a list of numbers, got 4"),  # type: ignore[arg-type]
        (lambda: aeonnx.train("vae", hidden="400"), "hidden: expected a list of numbers, got '400"),  # type: ignore[arg-type]
        (lambda: aeonnx.train("vae", hidden=["4"]), "hidden: expected a number, got '4'"),  # type: ignore[list-item]
        (lambda: aeonnx.train("vae", latent_size=0), "sizes of vae: expected sizes above 0"),
        (lambda: aeonnx.train("vae", data=np.zeros(3)), r"data: expected a path, got array"),  # type: ignore[arg-type]
        (lambda: aeonnx.train("vae", device=0), "device: expected a name, got 0"),  # type: ignore[arg-type]
        (lambda: aeonnx.train("vae", beta="4"), "beta: expected a number, got '4'"),
        (lambda: aeonnx.train("vae", beta=None), "beta: expected a number, got None"),  # type: ignore[arg-type]
        (lambda: aeonnx.train("vae", force="no"), "force: expected True or False, got 'no'"),  # type: ignore[arg-type]
        (lambda: aeonnx.train("vae", workers=None), "workers: expected a number, got None"),  # type: ignore[arg-type]
        (lambda: aeonnx.export("vae", temperature=None), "temperature: expected a number, got N"),  # type: ignore[arg-type]
        (lambda: aeonnx.export("vae", force=1), "force: expected True or False, got 1"),  # type: ignore[arg-type]
        (lambda: aeonnx.export(None), "model: expected a name such as 'vae', got None"),  # type: ignore[arg-type]
        (lambda: aeonnx.export("vae", parts=5), "parts: expected a name or a list of names, got 5"),  # type: ignore[arg-type]
        (
            lambda: aeonnx.export("vae", io=[1]),
            r"io: expected a name or a list of names, got \[1\]",
        ),  # type: ignore[list-item]
        (lambda: aeonnx.export("vae", opset="18"), "opset: expected a number, got '18'"),  # type: ignore[arg-type]
        (lambda: aeonnx.export("vae", opset=18.5), "--opset: expected a whole number, got 18.5"),  # type: ignore[arg-type]
        (lambda: aeonnx.export("vae", static_batch="2"), "static_batch: expected a number, got"),  # type: ignore[arg-type]
        (lambda: aeonnx.export("vae", temperature="1"), "temperature: expected a number, got"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_value_says_what_was_expected(call: Callable[[], object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        call()


def test_no_checkpoint_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Train one with: aeonnx train --model vae -o"):
        aeonnx.export("vae", tmp_path, checkpoint=tmp_path / "none")
    assert issubclass(CheckpointError, AeonnxError)


def test_names_are_listed_and_nothing_heavy_is_imported() -> None:
    code = """
import sys, aeonnx
assert {*aeonnx.__all__, "errors", "__version__"} <= {*dir(aeonnx)}, dir(aeonnx)
public = {name for name in dir(aeonnx) if not name.startswith("_")}
assert public == {"train", "export", "load", "Bundle", "errors"}, public
aeonnx.train, aeonnx.export
for wrong in (lambda: aeonnx.train("vae", epochs=0), lambda: aeonnx.export("vae", opset=99)):
    try:
        wrong()
    except aeonnx.errors.UsageError:
        pass
    else:
        raise AssertionError
assert not {"torch", "onnxruntime", "onnx"} & sys.modules.keys()
import aeonnx.runtime
assert {*aeonnx.runtime.__all__} <= {*dir(aeonnx.runtime)}
assert "runtime" in dir(aeonnx)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
