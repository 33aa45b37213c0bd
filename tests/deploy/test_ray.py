"""`aeonnx deploy ray`: the file as Ray Serve reads it, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from aeonnx.scale.serve import Arguments

Cli = Callable[..., Result]
Bundles = Callable[[str], Path]

# Ray warns of what it uses itself.
pytestmark = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\.")


@pytest.fixture
def bundle(deployable: Bundles) -> Path:
    return deployable("vae")


def read(path: str) -> Any:
    """A file, which Ray's own schema takes, and whose arguments the application takes."""
    schema = pytest.importorskip("ray.serve.schema")
    found = yaml.safe_load(Path(path).read_text())
    config = schema.ServeDeploySchema.model_validate(found)
    assert config.model_dump(exclude_unset=True, mode="json") == found  # no name is unknown
    Arguments(**found["applications"][0]["args"])
    return found


def test_the_whole_document(aeonnx: Cli, bundle: Path) -> None:
    result = aeonnx("deploy", "ray", bundle, "-o", "serve.yaml")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "serve.yaml: vae on Ray Serve\n\nNext:\n  serve run serve.yaml\n"
    assert read("serve.yaml") == {
        "proxy_location": "EveryNode",
        "http_options": {"host": "127.0.0.1", "port": 8000, "request_timeout_s": 35.0},
        "applications": [
            {
                "name": "aeonnx",
                "route_prefix": "/",
                "import_path": "aeonnx.scale.serve:app",
                "args": {
                    "bundles": [str(bundle)],
                    "precision": "fp32",
                    "host": "127.0.0.1",
                    "gpu": False,
                    "cpus": 1,
                    "max_batch": 64,
                    "max_queue": 1024,
                    "timeout": 30.0,
                },
                "deployments": [
                    {
                        "name": "Bundles",
                        "num_replicas": 1,
                        "max_ongoing_requests": 128,
                        "max_queued_requests": 1024,
                        "health_check_period_s": 10.0,
                        "health_check_timeout_s": 30.0,
                        "graceful_shutdown_timeout_s": 35.0,
                        "ray_actor_options": {"num_cpus": 1, "num_gpus": 0},
                    }
                ],
            }
        ],
    }


def test_options_are_in_the_document(aeonnx: Cli, deployable: Bundles) -> None:
    words = (
        *("--replicas", 2, "--max-replicas", 8, "--gpu", "--cpus", 3, "--precision", "auto"),
        *("--max-batch", 16, "--max-queue", 100, "--timeout", 2.5, "--token-file", "token"),
        *("--host", "0.0.0.0", "--port", 80),  # noqa: S104
    )
    bundles = (deployable("vae"), deployable("rows"))
    result = aeonnx("deploy", "ray", *bundles, "-o", "x.yaml", *words)
    assert result.exit_code == 0, result.stderr
    document = read("x.yaml")
    assert document["http_options"] == {"host": "0.0.0.0", "port": 80, "request_timeout_s": 7.5}  # noqa: S104
    (application,) = document["applications"]
    assert application["args"] == {
        "bundles": [str(bundle) for bundle in bundles],
        "precision": "auto",
        "host": "0.0.0.0",  # noqa: S104
        "gpu": True,
        "cpus": 3,
        "max_batch": 16,
        "max_queue": 100,
        "timeout": 2.5,
        "token_file": str(Path("token").absolute()),
    }
    (deployment,) = application["deployments"]
    assert "num_replicas" not in deployment
    scaling = {"min_replicas": 2, "max_replicas": 8, "target_ongoing_requests": 16}
    assert deployment["autoscaling_config"] == scaling
    assert (deployment["max_ongoing_requests"], deployment["max_queued_requests"]) == (32, 100)
    assert deployment["ray_actor_options"] == {"num_cpus": 3, "num_gpus": 1}


def test_stdout_gets_the_document_alone(aeonnx: Cli, bundle: Path) -> None:
    result = aeonnx("deploy", "ray", bundle, "-o", "-")
    assert yaml.safe_load(result.stdout)["applications"][0]["name"] == "aeonnx"
    assert result.stderr == ""
    result = aeonnx("deploy", "ray", bundle, "-o", "-", "--json")
    assert result.exit_code == 2
    assert "--json prints to stdout, and so does -o -" in result.stderr


def test_json_says_what_was_written(aeonnx: Cli, bundle: Path) -> None:
    result = aeonnx("deploy", "ray", bundle, "-o", "x.yaml", "--json")
    assert json.loads(result.stdout) == {"output": "x.yaml", "bundles": [str(bundle)]}


@pytest.mark.parametrize("parent", ["a b", 'a"b', "a\\b: #c", "ä🙂", "- 'x'", "true"])
def test_any_path_is_read_as_it_is(aeonnx: Cli, bundle: Path, tmp_path: Path, parent: str) -> None:
    copy = shutil.copytree(bundle, tmp_path / parent / "vae")
    assert aeonnx("deploy", "ray", copy, "-o", "x.yaml").exit_code == 0
    assert read("x.yaml")["applications"][0]["args"]["bundles"] == [str(copy)]


@pytest.mark.parametrize("parent", ["a\nb", "a\x85b", "a\u2028b", "a\udc80b"])
def test_a_path_that_no_line_can_have(
    aeonnx: Cli, bundle: Path, tmp_path: Path, parent: str
) -> None:
    copy = shutil.copytree(bundle, tmp_path / parent / "vae")
    result = aeonnx("deploy", "ray", copy, "-o", "x.yaml")
    assert result.exit_code == 2
    assert "expected paths of printable characters, got " in result.stderr
    assert not Path("x.yaml").exists()


def test_bundles_that_cannot_be_served_together(aeonnx: Cli, bundle: Path, tmp_path: Path) -> None:
    same, odd = (shutil.copytree(bundle, tmp_path / name) for name in ("other/vae", "with a space"))
    result = aeonnx("deploy", "ray", bundle, same, "-o", "x.yaml")
    assert result.exit_code == 2
    assert f"{same}: a bundle of this name is served already" in result.stderr
    result = aeonnx("deploy", "ray", odd, "-o", "x.yaml")
    assert result.exit_code == 2
    assert f"{odd}: expected a folder whose name has letters, digits, _, - and ." in result.stderr
    result = aeonnx("deploy", "ray", "nowhere", "-o", "x.yaml")
    assert result.exit_code == 1
    assert "no bundle at " in result.stderr
    assert not Path("x.yaml").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--max-queue", "63"), "--max-queue: expected --max-batch, 64, or more, got 63"),
        (
            ("--replicas", "3", "--max-replicas", "2"),
            "--max-replicas: expected --replicas, 3, or more, got 2",
        ),
        (("--precision", "int4"), "unknown precision 'int4'. Did you mean 'int8'?"),
        (("--timeout", "1e9"), "--timeout: expected seconds above 0, to a day, got 1e+09"),
        (("--host", ""), "--host: expected an address such as 127.0.0.1 or 0.0.0.0, got ''"),
        (("--host", "example.org"), "or 0.0.0.0, got 'example.org'"),
        (("--port", "0"), "'--port': 0 is not in the range"),
    ],
)
def test_options_that_do_not_fit(
    aeonnx: Cli, bundle: Path, words: tuple[str, ...], message: str
) -> None:
    result = aeonnx("deploy", "ray", bundle, "-o", "x.yaml", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("x.yaml").exists()


def test_a_file_is_not_replaced_unasked(aeonnx: Cli, bundle: Path) -> None:
    Path("x.yaml").write_text("mine")
    result = aeonnx("deploy", "ray", bundle, "-o", "x.yaml")
    assert result.exit_code == 1
    assert "x.yaml exists already: pass --force to replace it" in result.stderr
    assert Path("x.yaml").read_text() == "mine"
    assert aeonnx("deploy", "ray", bundle, "-o", "x.yaml", "--force").exit_code == 0
    read("x.yaml")


def test_a_precision_that_a_bundle_lacks_is_refused(aeonnx: Cli, bundle: Path) -> None:
    result = aeonnx("deploy", "ray", bundle, "-o", "serve.yaml", "--precision", "int8")
    assert result.exit_code == 1
    assert (
        f"{bundle}: no part is there in int8, only in fp32: take --precision auto" in result.stderr
    )
    assert not Path("serve.yaml").exists()
