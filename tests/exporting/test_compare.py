"""The gate must refuse graphs that are broken on purpose, and pass those that are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper

from aeonnx import checkpoint, models
from aeonnx.errors import BundleError, ParityError
from aeonnx.exporting import ExportOptions, export, parts
from aeonnx.exporting.capture.graph import build_graph
from aeonnx.exporting.capture.program import Captured, capture, program_of
from aeonnx.exporting.verify.compare import compare
from aeonnx.exporting.verify.inputs import real_inputs, rows_of
from aeonnx.exporting.verify.probes import Rows, probes
from aeonnx.exporting.verify.runs import compare_runs
from aeonnx.models import ModelConfig, Part
from aeonnx.runtime import Report, Session
from tests.support import graph_file

Maker = Callable[..., Path]


@dataclass(frozen=True)
class Judged:
    """Parts of a trained model, and the inputs that their graphs are compared on."""

    parts: Mapping[str, Part]
    rows: Callable[[str], Rows]


@pytest.fixture(scope="module")
def vae(run_of: Maker) -> Judged:
    trained = checkpoint.load(run_of(), "vae")
    parts = trained.model.parts()
    real = real_inputs(trained, parts)
    return Judged(parts, cache(lambda name: rows_of(parts[name], program_of(parts[name]), real)[0]))


def judge(name: str, graph: ModelProto, vae: Judged, path: Path) -> Report:
    """What the gate says of `graph` as the given part."""
    onnx.save(graph, path)
    return compare(name, vae.parts[name], Session(path, ["cpu"]), vae.rows(name))


def nudge(graph: ModelProto, index: int, place: int, by: float) -> str:
    """Change one weight; returns its name."""
    weights = [item for item in graph.graph.initializer if item.data_type == onnx.TensorProto.FLOAT]
    tensor = weights[index % len(weights)]
    values = numpy_helper.to_array(tensor).copy()
    values.flat[place % values.size] += by
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return str(tensor.name)


def remove(graph: ModelProto, op_type: str) -> None:
    """Take out the first node of a kind and join its ends."""
    node = next(node for node in graph.graph.node if node.op_type == op_type)
    source, target = node.input[0], node.output[0]
    graph.graph.node.remove(node)
    for other in graph.graph.node:
        other.input[:] = [source if name == target else name for name in other.input]
        other.output[:] = [target if name == source else name for name in other.output]
        other.input[:] = [target if name == source else name for name in other.input]


@pytest.mark.parametrize("name", ["encoder", "decoder", "reconstructor"])
def test_graphs_as_exported_pass(name: str, bundle_of: Maker, vae: Judged, tmp_path: Path) -> None:
    graph = onnx.load(graph_file(bundle_of(), name))
    report = judge(name, graph, vae, tmp_path / "g.onnx")
    assert report.passed, report.failures
    assert all(0 < check.needed <= check.tolerance for check in report.checks)


@pytest.mark.shortened(1)
@given(index=st.integers(0, 3), place=st.integers(0, 10**6), sign=st.sampled_from([-1, 1]))
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_one_weight_changed_by_a_thousandth_is_refused(
    name: str,
    index: int,
    place: int,
    sign: int,
    bundle_of: Maker,
    vae: Judged,
    tmp_path: Path,
) -> None:
    graph = onnx.load(graph_file(bundle_of(), name))
    changed = nudge(graph, index, place, sign * 1e-3)
    report = judge(name, graph, vae, tmp_path / "g.onnx")
    assert not report.passed, f"{changed} at {place} went unseen"
    assert "tolerance" in report.failures[0]
    assert "it would pass at" in report.failures[0]


@pytest.mark.parametrize(
    ("name", "op_type"), [("encoder", "Mul"), ("decoder", "Mul"), ("decoder", "Sigmoid")]
)
def test_a_removed_activation_is_refused(
    name: str, op_type: str, bundle_of: Maker, vae: Judged, tmp_path: Path
) -> None:
    graph = onnx.load(graph_file(bundle_of(), name))
    remove(graph, op_type)
    report = judge(name, graph, vae, tmp_path / "g.onnx")
    assert not report.passed
    assert any("it would pass at" in failure for failure in report.failures)


def test_a_batch_frozen_in_the_signature_is_refused(
    bundle_of: Maker, vae: Judged, tmp_path: Path
) -> None:
    graph = onnx.load(graph_file(bundle_of(), "decoder"))
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    report = judge("decoder", graph, vae, tmp_path / "g.onnx")
    assert report.failures == (
        "decoder: input z: expected axes ['batch', 20], got [1, 20]",
        "decoder: output reconstruction: expected axes ['batch', 1, 28, 28], got [1, 1, 28, 28]",
    )


def test_a_batch_frozen_inside_the_graph_is_refused(
    bundle_of: Maker, vae: Judged, tmp_path: Path
) -> None:
    graph = onnx.load(graph_file(bundle_of(), "decoder"))
    reshape = next(node for node in graph.graph.node if node.op_type == "Reshape")
    sizes = next(item for item in graph.graph.initializer if item.name == reshape.input[1])
    frozen = np.array([1, 1, 28, 28], dtype=np.int64)
    sizes.CopyFrom(numpy_helper.from_array(frozen, sizes.name))
    report = judge("decoder", graph, vae, tmp_path / "g.onnx")
    assert report.failures == (
        "decoder: output reconstruction: expected axes ['batch', 1, 28, 28], got [1, 1, 28, 28]",
    )


def test_swapped_outputs_are_refused(bundle_of: Maker, vae: Judged, tmp_path: Path) -> None:
    graph = onnx.load(graph_file(bundle_of(), "encoder"))
    mu, logvar = graph.graph.output
    renamed = {mu.name: logvar.name, logvar.name: mu.name}
    for node in graph.graph.node:
        node.output[:] = [renamed.get(name, name) for name in node.output]
    report = judge("encoder", graph, vae, tmp_path / "g.onnx")
    assert {failure.split(" ")[0] for failure in report.failures} >= {
        "encoder.mu",
        "encoder.logvar",
    }


def test_a_renamed_output_is_refused(bundle_of: Maker, vae: Judged, tmp_path: Path) -> None:
    graph = onnx.load(graph_file(bundle_of(), "decoder"))
    graph.graph.node[-1].output[0] = graph.graph.output[0].name = "image"
    report = judge("decoder", graph, vae, tmp_path / "g.onnx")
    assert report.failures == (
        "decoder: outputs: expected ['reconstruction'], the graph has ['image']",
    )


def test_all_outputs_that_differ_are_reported(vae: Judged) -> None:
    encoder = vae.parts["encoder"]
    rows = probes(encoder.inputs, {})

    def reference(inputs: dict) -> dict:
        flat = inputs["x"].reshape(len(inputs["x"]), -1)[:, :20].astype(np.float64)
        return {"mu": flat, "logvar": flat}

    def single(inputs: dict) -> dict:
        return {name: value.astype(np.float32) for name, value in reference(inputs).items()}

    def off(inputs: dict) -> dict:
        return {name: value + np.float32(0.5) for name, value in single(inputs).items()}

    def late(inputs: dict) -> dict:
        """Right for one row, wrong in a batch."""
        return single(inputs) if len(inputs["x"]) == 1 else off(inputs)

    def frozen(inputs: dict) -> dict:
        if len(inputs["x"]) > 1:
            raise BundleError("g.onnx failed on inputs {'x': [2, 1, 28, 28]}")
        return single(inputs)

    def empty(inputs: dict) -> dict:
        return {name: value * np.float32("nan") for name, value in single(inputs).items()}

    def perturbed(inputs: dict, draw: int) -> dict:
        return reference(inputs) if draw >= 0 else {}

    torch_like = SimpleNamespace(single=single, double=reference, perturbed=perturbed)
    assert compare_runs("e", encoder, single, torch_like, rows).passed
    failures = compare_runs("e", encoder, off, torch_like, rows).failures
    named = dict.fromkeys(failure.split(" ")[0] for failure in failures)
    assert [*named] == ["e.mu", "e.logvar"]
    assert "max abs 0.5," in failures[0]
    failures = compare_runs("e", encoder, late, torch_like, rows).failures
    assert any("a row alone and the same row in a batch of 32 differ" in text for text in failures)
    failures = compare_runs("e", encoder, frozen, torch_like, rows).failures
    assert failures == ("e (fp32): g.onnx failed on inputs {'x': [2, 1, 28, 28]}",)
    failures = compare_runs("e", encoder, empty, torch_like, rows).failures
    assert any("mu: NaN or infinite values at batch 1" in text for text in failures)


@given(
    model=st.sampled_from(models.names()),
    arch=st.sampled_from(["mlp", "conv"]),
    part=st.sampled_from(["encoder", "decoder", "classifier", "scorer"]),
    shape=st.tuples(st.integers(1, 3), st.integers(6, 20), st.integers(6, 20)),
    hidden=st.lists(st.integers(2, 9), min_size=1, max_size=2),
    latent=st.integers(1, 5),
    opset=st.integers(13, 22),
    seed=st.integers(0, 999),
)
@settings(max_examples=6, deadline=None, derandomize=True)
def test_any_size_and_opset_passes(
    tmp_path_factory: pytest.TempPathFactory,
    model: str,
    arch: str,
    shape: tuple[int, int, int],
    hidden: list[int],
    latent: int,
    opset: int,
    part: str,
    seed: int,
) -> None:
    assume(arch in models.archs(model))
    classes = ("a", "b", "c") if models.classifies(model) else ()
    config = ModelConfig(model, arch, shape, tuple(hidden), latent, classes)
    torch.manual_seed(seed)
    parts = models.build(config).eval().parts()
    assume(part in parts)
    path = tmp_path_factory.mktemp("any") / "g.onnx"
    path.write_bytes(build_graph(parts[part], opset, {}).data)
    rows = probes(parts[part].inputs, {})
    report = compare(part, parts[part], Session(path, ["cpu"]), rows)
    assert report.passed, report.failures


@pytest.mark.parametrize("seed", [49, 131, 140])
def test_a_right_graph_of_a_narrow_model_passes(tmp_path: Path, seed: int) -> None:
    # Torch sums so few outputs in blocks; its own error is up to 9x less than a running sum's.
    torch.manual_seed(seed)
    encoder = (
        models.build(ModelConfig("vae", "mlp", (3, 14, 10), (2,), 1, ())).eval().parts()["encoder"]
    )
    path = tmp_path / "g.onnx"
    path.write_bytes(build_graph(encoder, 21, {}).data)
    report = compare("encoder", encoder, Session(path, ["cpu"]), probes(encoder.inputs, {}))
    assert report.passed, report.failures


def test_a_part_that_fails_is_never_written(
    run_of: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(part: Part, opset: int) -> Captured:
        made = capture(part, opset)
        if part.inputs[0].name == "z":
            nudge(made.graph, 0, 0, 0.1)
        return made

    monkeypatch.setattr(parts, "capture", broken)
    with pytest.raises(ParityError) as caught:
        export(ExportOptions("vae", tmp_path / "bundle", run_of(), ("encoder", "decoder")))
    text = str(caught.value)
    assert text.startswith("graph and torch differ, nothing was written:")
    assert "decoder.reconstruction (fp32): max abs" in text
    assert "decoder(encoder).reconstruction" in text
    assert "encoder.mu" not in text
    assert not (tmp_path / "bundle").exists()
