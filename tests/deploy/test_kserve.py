"""`aeonnx deploy kserve`: the YAML as a cluster reads it, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

Cli = Callable[..., Result]
Bundles = Callable[[str], Path]

URI = ("--storage-uri", "s3://bucket/repo")


@pytest.fixture
def bundle(deployable: Bundles) -> Path:
    return deployable("vae")


def test_the_whole_document(aeonnx: Cli, bundle: Path) -> None:
    result = aeonnx("deploy", "kserve", bundle, *URI, "-o", "vae.yaml")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == (
        "vae.yaml: vae on Triton 26.07, needs 25.03 or newer\n"
        "\nNext:\n  kubectl apply -f vae.yaml\n"
    )
    amounts = {"cpu": "2", "memory": "4Gi"}
    assert yaml.safe_load(Path("vae.yaml").read_text()) == {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "vae"},
        "spec": {
            "predictor": {
                "minReplicas": 1,
                "model": {
                    "modelFormat": {"name": "triton"},
                    "protocolVersion": "v2",
                    "runtimeVersion": "26.07-py3",
                    "storageUri": "s3://bucket/repo",
                    "args": ["--disable-auto-complete-config"],
                    "resources": {"requests": amounts, "limits": amounts},
                },
            }
        },
    }


def test_stdout_gets_the_document_alone(aeonnx: Cli, bundle: Path) -> None:
    result = aeonnx("deploy", "kserve", bundle, *URI, "-o", "-")
    assert yaml.safe_load(result.stdout)["kind"] == "InferenceService"
    assert result.stderr == "stdout: vae on Triton 26.07, needs 25.03 or newer\n"
    result = aeonnx("deploy", "kserve", bundle, *URI, "-o", "-", "--json")
    assert result.exit_code == 2
    assert "--json prints to stdout, and so does -o -" in result.stderr


def test_json_says_what_was_written(aeonnx: Cli, bundle: Path) -> None:
    result = aeonnx("deploy", "kserve", bundle, *URI, "-o", "x.yaml", "--json")
    assert json.loads(result.stdout) == {
        "output": "x.yaml",
        "name": "vae",
        "triton": "26.07",
        "lowest_triton": "25.03",
    }


def test_options_are_in_the_document(aeonnx: Cli, bundle: Path) -> None:
    words = ("--gpu", "--cpus", 7, "--memory", "512Mi", "--name", "my-vae", "--triton", "26.11")
    result = aeonnx("deploy", "kserve", bundle, *URI, "-o", "x.yaml", *words)
    assert result.exit_code == 0, result.stderr
    document = yaml.safe_load(Path("x.yaml").read_text())
    assert document["metadata"] == {"name": "my-vae"}
    model = document["spec"]["predictor"]["model"]
    assert model["runtimeVersion"] == "26.11-py3"  # newer than all that are known here
    amounts = {"cpu": "7", "memory": "512Mi", "nvidia.com/gpu": "1"}
    assert model["resources"] == {"requests": amounts, "limits": amounts}


@pytest.mark.parametrize(
    ("folder", "name"), [("My_VAE.v2", "my-vae-v2"), ("_vae_", "vae"), ("vae 1", "vae-1")]
)
def test_a_name_is_made_of_the_folder(
    aeonnx: Cli, bundle: Path, tmp_path: Path, folder: str, name: str
) -> None:
    copy = shutil.copytree(bundle, tmp_path / folder)
    assert aeonnx("deploy", "kserve", copy, *URI, "-o", "x.yaml").exit_code == 0
    assert yaml.safe_load(Path("x.yaml").read_text())["metadata"]["name"] == name


@pytest.mark.parametrize("folder", ["1", "🙂", "2.vae", "a" * 60])
def test_a_folder_that_makes_no_name(
    aeonnx: Cli, bundle: Path, tmp_path: Path, folder: str
) -> None:
    copy = shutil.copytree(bundle, tmp_path / folder)
    result = aeonnx("deploy", "kserve", copy, *URI, "-o", "x.yaml")
    assert result.exit_code == 2
    assert "--name: expected at most 53 lower-case letters, digits and -" in result.stderr
    assert f"made of the folder's name {folder!r}" in result.stderr
    assert not Path("x.yaml").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--name", "Vae"), "beginning with a letter, got 'Vae'\n"),
        (("--name", "vae-"), "got 'vae-'\n"),
        (("--name", ""), "got ''\n"),
        (("--name", "vae\n"), "got 'vae\\n'\n"),
        (("--triton", "25.01"), "--triton: expected 25.03 or newer, whose onnxruntime runs all"),
        (("--triton", "26.13"), "--triton: expected a release such as 26.07, got '26.13'"),
        (("--triton", "26.07-py3"), "--triton: expected a release such as 26.07, got '26.07-py3'"),
        (("--memory", "4"), "--memory: expected a size such as 4Gi or 512Mi, got '4'"),
        (("--memory", "4Gi\n  x: y"), "--memory: expected a size"),
        (("--cpus", "0"), "'--cpus': 0 is not in the range"),
    ],
)
def test_options_that_do_not_fit(
    aeonnx: Cli, bundle: Path, words: tuple[str, ...], message: str
) -> None:
    result = aeonnx("deploy", "kserve", bundle, *URI, "-o", "x.yaml", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("x.yaml").exists()


@pytest.mark.parametrize(
    "uri",
    ["repo", "/mnt/repo", "s3:/b", "://b", "s3://", "s3://a b", 's3://a"b', "s3://a\nb", "é://a"],
)
def test_an_address_that_is_none(aeonnx: Cli, bundle: Path, uri: str) -> None:
    result = aeonnx("deploy", "kserve", bundle, f"--storage-uri={uri}", "-o", "x.yaml")
    assert result.exit_code == 2
    assert "--storage-uri: expected the address of the model repository, such as s3://bucket/" in (
        result.stderr
    )
    assert not Path("x.yaml").exists()


@pytest.mark.parametrize(
    "uri", ["gs://b/r", "pvc://claim/r", "https://a.blob.core.windows.net/c/r?x=y&z={w}#'%41"]
)
def test_other_storages(aeonnx: Cli, bundle: Path, uri: str) -> None:
    assert aeonnx("deploy", "kserve", bundle, f"--storage-uri={uri}", "-o", "x.yaml").exit_code == 0
    document = yaml.safe_load(Path("x.yaml").read_text())
    assert document["spec"]["predictor"]["model"]["storageUri"] == uri


def test_a_file_is_not_replaced_unasked(aeonnx: Cli, bundle: Path) -> None:
    Path("x.yaml").write_text("mine")
    result = aeonnx("deploy", "kserve", bundle, *URI, "-o", "x.yaml")
    assert result.exit_code == 1
    assert "x.yaml exists already: pass --force to replace it" in result.stderr
    assert Path("x.yaml").read_text() == "mine"
    assert aeonnx("deploy", "kserve", bundle, *URI, "-o", "x.yaml", "--force").exit_code == 0


def test_a_graph_that_no_known_triton_runs(aeonnx: Cli, bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "vae")
    path = copy / "manifest.json"
    contents: Any = json.loads(path.read_text())
    contents["parts"]["encoder"]["fp32"]["min_onnxruntime"] = "2.0"
    path.write_text(json.dumps(contents))
    result = aeonnx("deploy", "kserve", copy, *URI, "-o", "x.yaml")
    assert result.exit_code == 1
    assert "encoder (fp32) has opset 18 and IR 8, and needs onnxruntime 2.0" in result.stderr
    assert not Path("x.yaml").exists()


def test_no_bundle(aeonnx: Cli) -> None:
    result = aeonnx("deploy", "kserve", "nowhere", *URI, "-o", "x.yaml")
    assert result.exit_code == 1
    assert "no bundle at nowhere" in result.stderr
