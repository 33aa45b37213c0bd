"""Engines with kernels of their own give a bundle's golden vectors too."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from engines import ENGINES, Engine, disagreements
from onnx import numpy_helper

from aeonnx import models, runtime
from tests.support import graph_file

QUICK = "onnx.reference"
"""The engine that comes with what export needs."""


def engine_of(name: str) -> Engine:
    if ENGINES[name].version() is None:
        pytest.skip(f"{name} is not installed: pip install --group engines, cargo for tract")
    return ENGINES[name]


def cases() -> list[object]:
    """Every engine with every model; the default run takes one engine and one model."""
    return [
        pytest.param(
            name,
            model,
            arch,
            marks=[] if (name, model, arch) == (QUICK, "vae", "mlp") else pytest.mark.slow,
        )
        for name in ENGINES
        for model in models.names()
        for arch in models.archs(model, one_size=True)
    ]


@pytest.mark.parametrize(("name", "model", "arch"), cases())
def test_engine_agrees(
    name: str, model: str, arch: str, bundle_of: Callable[[str, str], Path]
) -> None:
    engine, bundle = engine_of(name), runtime.load(bundle_of(model, arch), ["cpu"])
    results = engine.replay(bundle)
    assert {result.part for result in results} == bundle.manifest.parts.keys()
    failed = {result.part for result in results if result.failed}
    assert failed == engine.cannot.keys() & bundle.manifest.parts.keys(), "the list is true"
    assert disagreements(engine, results) == []


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == QUICK else pytest.mark.slow) for name in ENGINES],
)
def test_a_wrong_weight_is_seen(name: str, bundle_copy: Path) -> None:
    engine, path = engine_of(name), graph_file(bundle_copy, "decoder")
    graph = onnx.load(path)
    bias = next(item for item in graph.graph.initializer if item.name.endswith("bias"))
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 0.01, bias.name))
    onnx.save(graph, path)
    wrong = disagreements(engine, engine.replay(runtime.load(bundle_copy, ["cpu"])))
    assert [line.split(":")[0] for line in wrong] == ["decoder"]
    assert "off by" in wrong[0]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == QUICK else pytest.mark.slow) for name in ENGINES],
)
def test_a_graph_that_does_not_load_is_said(name: str, bundle_copy: Path) -> None:
    engine, path = engine_of(name), graph_file(bundle_copy, "decoder")
    shutil.copyfile(graph_file(bundle_copy, "encoder"), path)
    wrong = disagreements(engine, engine.replay(runtime.load(bundle_copy, ["cpu"])))
    assert [line.split(":")[0] for line in wrong] == ["decoder"]
    assert "off by" not in wrong[0]
