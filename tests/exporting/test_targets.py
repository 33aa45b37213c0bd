"""Fixed batches and profiles of engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import Result

import aeonnx as aeonnx_package
from aeonnx.exporting import ExportOptions, export
from aeonnx.exporting.targets import TARGETS
from aeonnx.runtime import verify
from tests.support import graph_file

Maker = Callable[..., Path]
load = aeonnx_package.load
SLOW = pytest.mark.slow


@pytest.mark.parametrize("batch", [pytest.param(1, marks=SLOW), 5])
def test_a_fixed_batch_is_in_every_graph_and_any_rows_still_run(
    run_of: Maker, bundle_of: Maker, tmp_path: Path, batch: int
) -> None:
    parts = ("decoder", "sampler")
    options = ExportOptions(
        "vae", tmp_path / "b", run_of(), parts, static_batch=batch, precisions=("int8",)
    )
    export(options)
    bundle = load(tmp_path / "b")
    assert verify(bundle).passed
    for path in (tmp_path / "b").glob("*.onnx"):
        graph = onnx.load(path).graph
        for value in (*graph.input, *graph.output):
            dims = value.type.tensor_type.shape.dim
            assert not any(dim.dim_param for dim in dims)
            assert value.name == "seed" or dims[0].dim_value == batch
    assert bundle.variant("decoder").parity_batches == (batch,)
    free = load(bundle_of())
    z = np.random.default_rng(0).standard_normal((13, 20)).astype(np.float32)
    np.testing.assert_allclose(bundle.decode(z), free.decode(z), atol=1e-6)
    np.testing.assert_allclose(bundle.generate(7, 1), free.generate(7, 1), atol=1e-6)


@pytest.mark.shortened(2)
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_target_chooses_opset_and_batch(
    aeonnx: Callable[..., Result], run_of: Maker, target: str
) -> None:
    arguments = ("--checkpoint", run_of(), "--part", "decoder", "--target", target)
    result = aeonnx("export", "-m", "vae", "-o", "b", *arguments)
    profile = TARGETS[target]
    assert result.exit_code == 0, result.stderr
    graph = onnx.load(graph_file(Path("b"), "decoder"))
    assert graph.opset_import[0].version == profile.opset
    first = graph.graph.input[0].type.tensor_type.shape.dim[0]
    assert first.dim_value == (profile.batch or 0)
    assert verify(load("b")).passed


@pytest.mark.shortened(1)
@pytest.mark.parametrize(
    "target",
    [
        target if target in ("opencv", "openvino") else pytest.param(target, marks=SLOW)
        for target in sorted(TARGETS)
    ],
)
def test_a_target_leaves_out_the_sampler_that_it_cannot_run(
    aeonnx: Callable[..., Result], run_of: Maker, target: str
) -> None:
    result = aeonnx("export", "-m", "vae", "--checkpoint", run_of(), "-o", "b", "--target", target)
    profile = TARGETS[target]
    samples = not profile.lacking & {"BitwiseXor"} and profile.opset >= 18
    assert result.exit_code == 0, result.stderr
    assert bool([*Path("b").glob("sampler.*.onnx")]) == samples
    assert ("sampler left out" in result.stdout) == (not samples)
    assert verify(load("b")).passed


def test_operators_that_a_target_lacks_are_named(
    aeonnx: Callable[..., Result], run_of: Maker
) -> None:
    result = aeonnx(
        "export", "-m", "vae", "--checkpoint", run_of(), "-o", "b",
        "--target", "tensorrt-8", "--precision", "int8", "--part", "decoder",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "(int8) needs DynamicQuantizeLinear, MatMulInteger, which tensorrt-8 does not run" in (
        result.stderr
    )
    assert not Path("b").exists()
