"""Bundles of which encoder and decoder make no ensemble, and why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import aeonnx as library
from tests.deploy.conftest import edited, names_in
from tests.deploy.served import Repository, config_in

Cli = Callable[..., Result]
Bundles = Callable[[str], Path]


def exported(name: str, folder: Path) -> Path:
    library.export(name, folder / name, from_source=f"module:tests.deploy.networks:{name}")
    return folder / name


def test_a_part_may_have_the_name_of_the_ensemble(aeonnx: Cli, tmp_path: Path) -> None:
    result = aeonnx("deploy", "triton", exported("named", tmp_path), "-o", "repo")
    assert "named.reconstruct left out: a part has this name\n" in result.stdout
    assert config_in(Path("repo/named.reconstruct")).backend == "onnxruntime"


def test_a_tensor_that_is_both_input_and_output(aeonnx: Cli, tmp_path: Path) -> None:
    result = aeonnx("deploy", "triton", exported("echo", tmp_path), "-o", "repo", "--json")
    assert json.loads(result.stdout)["left_out"] == [
        "echo.reconstruct left out: x is both an input and an output"
    ]
    assert names_in("repo") == ["echo.decoder", "echo.encoder"]


def merged(one: Path, other: Path, parts: tuple[str, str], target: Path) -> Path:
    """A bundle of the encoder of one and the decoder of another."""
    contents = json.loads((one / "manifest.json").read_text())
    decoders = json.loads((other / "manifest.json").read_text())["parts"]
    contents["parts"] = {
        "decoder": decoders[parts[1]],
        "encoder": contents["parts"][parts[0]],
    }
    for bundle in (one, other):
        shutil.copytree(bundle, target, dirs_exist_ok=True)
    (target / "manifest.json").write_text(json.dumps({**contents, "prior": None}))
    return target


@pytest.mark.parametrize(
    ("encoder", "decoder", "reason"),
    [
        (
            "codec",
            "several",
            "the decoder takes z as float32 [batch, 4], the encoder gives codes as int64 "
            "[batch, 4]",
        ),
        ("vae", "fixed", "one of encoder and decoder has a fixed batch, the other has not"),
    ],
)
def test_a_decoder_that_cannot_take_what_the_encoder_gives(
    aeonnx: Cli, deployable: Bundles, tmp_path: Path, encoder: str, decoder: str, reason: str
) -> None:
    bundle = merged(
        deployable(encoder), deployable(decoder), ("encoder", "decoder"), tmp_path / "m"
    )
    result = aeonnx("deploy", "triton", bundle, "-o", "repo")
    assert f"m.reconstruct left out: {reason}\n" in result.stdout
    assert names_in("repo") == ["m.decoder", "m.encoder"]
    Repository(Path("repo"))


def test_an_encoder_and_a_decoder_of_different_precisions(
    aeonnx: Cli, copy: Callable[..., Path]
) -> None:
    bundle = copy("variants", "odd")

    def change(parts: Any) -> None:
        del parts["encoder"]["int8"], parts["decoder"]["fp16"]

    edited(bundle, change)
    words = ("-o", "repo", "--variant", "fp16", "--variant", "int8")
    result = aeonnx("deploy", "triton", bundle, *words)
    assert "odd.reconstruct left out: encoder and decoder have no precision in common\n" in (
        result.stdout
    )
    assert aeonnx("deploy", "triton", bundle, "-o", "r2").exit_code == 0
    (version,) = config_in(Path("r2/odd.reconstruct")).version_policy.specific.versions
    assert version == 32
