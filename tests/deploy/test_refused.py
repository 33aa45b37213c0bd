"""What `aeonnx deploy triton` refuses, and that it leaves nothing then."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import Result

from tests.deploy.conftest import edited, names_in
from tests.deploy.served import Repository
from tests.support import graph_file

Cli = Callable[..., Result]
Bundles = Callable[[str], Path]


@pytest.mark.parametrize("name", ["vae 1", "modèle", "-vae", ".vae", 'v"ae', "a\nb", "🙂"])
def test_a_folder_whose_name_no_url_can_have(
    aeonnx: Cli, copy: Callable[..., Path], name: str
) -> None:
    bundle = copy("vae", name)
    result = aeonnx("deploy", "triton", "--output=repo", "--", bundle)
    assert result.exit_code == 2
    assert "--name: expected letters, digits, _, - and . alone" in result.stderr
    assert ": give another name" in result.stderr
    assert not Path("repo").exists()
    assert aeonnx("deploy", "triton", "-o", "repo", "--name", "a-1.2_B", bundle).exit_code == 0
    assert "a-1.2_B.decoder" in names_in("repo")
    Repository(Path("repo"))


@pytest.mark.parametrize("name", ["", "a/b", "..", "../x", "a b", "-x"])
def test_a_name_that_no_url_can_have(aeonnx: Cli, deployable: Bundles, name: str) -> None:
    result = aeonnx("deploy", "triton", deployable("vae"), "-o", "repo", f"--name={name}")
    assert result.exit_code == 2
    assert f"got {name!r}\n" in result.stderr
    assert not Path("repo").exists()


def test_the_folder_may_be_this_one(
    aeonnx: Cli, copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy("vae", "own"))
    assert aeonnx("deploy", "triton", ".", "-o", "../repo").exit_code == 0
    assert "own.decoder" in names_in("../repo")


@pytest.mark.parametrize("kind", ["file", "link", "model", "inner"])
def test_what_is_in_the_way_is_refused_and_left(
    aeonnx: Cli, deployable: Bundles, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    if kind == "file":
        Path("repo").write_text("mine")
    elif kind == "link":
        Path("repo").mkdir()
        Path("repo/vae.decoder").symlink_to(tmp_path / "elsewhere")
    elif kind == "model":
        Path("repo").mkdir()
        Path("repo/vae.decoder").write_text("mine")
    else:
        Path("repo/vae.decoder/32").mkdir(parents=True)
        Path("repo/vae.decoder/32/model.onnx").mkdir()
    result = aeonnx("deploy", "triton", deployable("vae"), "-o", "repo", "--force")
    assert result.exit_code == 1
    assert "cannot write repo" in result.stderr
    assert not [*(tmp_path / "elsewhere").iterdir()]
    assert not [*Path().glob("repo/*/config.pbtxt")]
    assert not [*Path().glob("**/*.aeonnx")]


def test_a_damaged_graph_leaves_nothing(aeonnx: Cli, copy: Callable[..., Path]) -> None:
    bundle = copy()
    path = graph_file(bundle, "scorer")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    result = aeonnx("deploy", "triton", bundle, "-o", "repo")
    assert result.exit_code == 1
    assert f"{path} is not the file that the manifest names: expected sha256" in result.stderr
    assert not Path("repo").exists()
    path.unlink()
    result = aeonnx("deploy", "triton", bundle, "-o", "repo")
    assert f"{path} is missing, though the manifest names it" in result.stderr
    assert not Path("repo").exists()


def test_a_graph_that_reads_other_files_is_refused(aeonnx: Cli, copy: Callable[..., Path]) -> None:
    """Its digest is right, so that only the graph itself tells."""
    bundle = copy()
    path = graph_file(bundle, "decoder")
    graph = onnx.load(path)
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    data = graph.SerializeToString()
    path.write_bytes(data)

    def change(parts: Any) -> None:
        parts["decoder"]["fp32"]["sha256"] = hashlib.sha256(data).hexdigest()
        parts["decoder"]["fp32"]["bytes"] = len(data)

    edited(bundle, change)
    result = aeonnx("deploy", "triton", bundle, "-o", "repo")
    assert result.exit_code == 1
    assert "a bundle never holds weights in other files" in result.stderr
    assert not Path("repo").exists()


def test_a_damaged_manifest_and_no_bundle(aeonnx: Cli, copy: Callable[..., Path]) -> None:
    bundle = copy()
    (bundle / "manifest.json").write_text("{")
    result = aeonnx("deploy", "triton", bundle, "-o", "repo")
    assert result.exit_code == 1
    assert "not JSON" in result.stderr
    result = aeonnx("deploy", "triton", "nowhere", "-o", "repo")
    assert result.exit_code == 1
    assert "no bundle at nowhere: it is not a folder" in result.stderr
    assert not Path("repo").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--part", "decodr"), "unknown part 'decodr'. Did you mean 'decoder'?"),
        (("--part", "sampler"), "unknown part 'sampler'."),
        (("--variant", "int4"), "unknown variant 'int4'. Did you mean 'int8'?"),
        (
            ("--part", "decoder", "--variant", "bf16"),
            "unknown variant of decoder 'bf16'. Did you mean 'fp16'?",
        ),
        (("--timeout", "0"), "--timeout: expected seconds above 0, to a day, got 0"),
        (("--timeout", "nan"), "--timeout: expected seconds above 0, to a day, got nan"),
        (("--timeout", "1e9"), "--timeout: expected seconds above 0, to a day, got 1e+09"),
        (("--max-delay", "-1"), "--max-delay: expected 0 ms to a day, got -1"),
        (("--max-delay", "inf"), "--max-delay: expected 0 ms to a day, got inf"),
    ],
)
def test_options_that_do_not_fit(
    aeonnx: Cli, deployable: Bundles, words: tuple[str, ...], message: str
) -> None:
    result = aeonnx("deploy", "triton", deployable("variants"), "-o", "repo", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("repo").exists()


def test_variants_with_other_inputs_are_no_versions_of_one_model(
    aeonnx: Cli, deployable: Bundles, copy: Callable[..., Path]
) -> None:
    bundle = copy("variants", "both")
    fixed = json.loads((deployable("fixed") / "manifest.json").read_text())["parts"]["decoder"]

    def change(parts: Any) -> None:
        parts["decoder"]["fp16"] = fixed["fp32"]

    edited(bundle, change)
    shutil.copytree(
        deployable("fixed"), bundle, dirs_exist_ok=True, ignore=lambda *_: ["manifest.json"]
    )
    result = aeonnx("deploy", "triton", bundle, "-o", "repo")
    assert result.exit_code == 1
    assert "decoder: expected the same inputs and outputs in all variants, but those of fp16" in (
        result.stderr
    )
    assert not Path("repo").exists()
    assert aeonnx("deploy", "triton", bundle, "-o", "repo", "--variant", "fp32").exit_code == 0
