"""Which release of Triton runs a bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.deploy.conftest import edited

Cli = Callable[..., Result]
Bundles = Callable[[str], Path]


def test_a_graph_that_no_known_triton_runs(aeonnx: Cli, copy: Callable[..., Path]) -> None:
    bundle = copy()

    def change(parts: Any) -> None:
        parts["decoder"]["fp32"] |= {"min_onnxruntime": "1.99", "opset": 30, "ir_version": 15}

    edited(bundle, change)
    result = aeonnx("deploy", "triton", bundle, "-o", "repo")
    assert result.exit_code == 1
    assert (
        "decoder (fp32) has opset 30 and IR 15, and needs onnxruntime 1.99; the newest Triton "
        "known here, 26.07, has 1.27.0: export the part with a lower --opset"
    ) in result.stderr
    assert not Path("repo").exists()
    assert aeonnx("deploy", "triton", bundle, "-o", "repo", "--part", "encoder").exit_code == 0


@pytest.mark.parametrize(
    ("needed", "release"),
    [
        ("1.6", "24.04"),
        ("1.17", "24.04"),
        ("1.17.4", "24.05"),
        ("1.21", "25.03"),
        ("1.24.3", "26.04"),
    ],
)
def test_the_lowest_release_that_is_new_enough(
    aeonnx: Cli, copy: Callable[..., Path], needed: str, release: str
) -> None:
    bundle = copy()
    edited(bundle, lambda parts: parts["decoder"]["fp32"].update(min_onnxruntime=needed))
    words = ("-o", "repo", "--part", "decoder", "--part", "encoder", "--json")
    assert json.loads(aeonnx("deploy", "triton", bundle, *words).stdout)["triton"] == release


@pytest.mark.parametrize("version", ["", "new", "1.", "1.x", "-1"])
def test_a_manifest_without_a_version_of_onnxruntime(
    aeonnx: Cli, copy: Callable[..., Path], version: str
) -> None:
    bundle = copy()
    edited(bundle, lambda parts: parts["decoder"]["fp32"].update(min_onnxruntime=version))
    result = aeonnx("deploy", "triton", bundle, "-o", "repo")
    assert result.exit_code == 1
    assert f"min_onnxruntime: expected a version such as 1.17, got {version!r}" in result.stderr
