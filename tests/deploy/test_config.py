"""A written repository against its graphs, the golden vectors, and the runtime."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from triton_server import Served, ensemble_error
from tritonclient.grpc import model_config_pb2 as proto

import aeonnx as library
from aeonnx.bundle import manifest
from aeonnx.deploy.options import TritonOptions
from aeonnx.deploy.triton import write_repository
from tests.deploy.conftest import KINDS
from tests.deploy.served import Repository, config_in

Bundles = Callable[[str], Path]

TYPES = {
    onnx.TensorProto.FLOAT: proto.TYPE_FP32,
    onnx.TensorProto.UINT8: proto.TYPE_UINT8,
    onnx.TensorProto.INT64: proto.TYPE_INT64,
    onnx.TensorProto.BOOL: proto.TYPE_BOOL,
}


@pytest.fixture(params=KINDS)
def served(request: pytest.FixtureRequest, deployable: Bundles, tmp_path: Path) -> Served:
    """The bundle of a kind, its repository, and what runs that as Triton does."""
    folder = deployable(request.param)
    written = write_repository(TritonOptions(folder, tmp_path / "repo", max_batch=64))
    return Served(library.load(folder), written, Repository(tmp_path / "repo").infer)


def dims_of(value: onnx.ValueInfoProto) -> list[int]:
    return [
        dim.dim_value if dim.HasField("dim_value") else -1
        for dim in value.type.tensor_type.shape.dim
    ]


def test_every_tensor_of_every_graph_is_there(served: Served) -> None:
    output = served.written.output
    graphs = 0
    for part, variants in served.bundle.manifest.parts.items():
        for variant, entry in variants.items():
            pixels = "-uint8" if variant.endswith("-uint8") else ""
            model = output / f"{served.bundle.folder.name}.{part}{pixels}"
            version = {"fp32": "32", "fp16": "16", "int8": "8"}[variant.removesuffix("-uint8")]
            data = (model / version / "model.onnx").read_bytes()
            assert hashlib.sha256(data).hexdigest() == entry.sha256
            graph = onnx.load_from_string(data).graph
            config = config_in(model)
            for values, items in ((graph.input, config.input), (graph.output, config.output)):
                assert [value.name for value in values] == [item.name for item in items]
                for value, item in zip(values, items, strict=True):
                    _check_tensor(value, item, batches=config.max_batch_size > 0)
            graphs += 1
    assert graphs == len([*output.glob("*/*/model.onnx")])


def _check_tensor(value: onnx.ValueInfoProto, item: Any, *, batches: bool) -> None:
    dims = dims_of(value)
    assert item.data_type == TYPES[value.type.tensor_type.elem_type]
    if batches:
        assert dims.pop(0) == -1
    assert list(item.dims) == (dims or [1])
    assert item.HasField("reshape") == (not dims)
    assert not item.reshape.shape
    assert not getattr(item, "optional", False)  # which only inputs can be


def test_all_answers_are_within_the_tolerance_of_the_golden_vectors(served: Served) -> None:
    for model in served.written.models:
        for report in served.verify(model):
            assert report.passed, report.failures
            assert report.checks


def test_every_model_has_limits_and_warms_up(served: Served) -> None:
    for model in served.written.models:
        config = config_in(served.written.output / model.name)
        queue = config.dynamic_batching.default_queue_policy
        assert (queue.max_queue_size, queue.default_timeout_microseconds) == (1024, 30_000_000)
        assert queue.timeout_action == proto.ModelQueuePolicy.REJECT
        assert queue.allow_timeout_override
        assert [(group.kind, group.count) for group in config.instance_group] == [
            (proto.ModelInstanceGroup.KIND_CPU, 1)
        ]
        batches = [sample.batch_size for sample in config.model_warmup]
        assert batches == ([64, 1] if config.max_batch_size else [1])
        delay = config.dynamic_batching.max_queue_delay_microseconds
        assert delay == (500 if config.max_batch_size else 0)
        assert not config.parameters


BATCHED = {
    "vae.sampler": 0,  # its seed has no rows
    "fixed.encoder": 0,
    "fixed.decoder": 0,
    "fixed.sampler": 0,
    "fixed.reconstruct": 0,
    "conditional.sampler": 0,
}


def test_only_parts_whose_tensors_all_have_rows_batch(served: Served) -> None:
    for path in served.written.output.iterdir():
        assert config_in(path).max_batch_size == BATCHED.get(path.name, 64)


ENSEMBLES = {
    "variants": {"variants.reconstruct": 32, "variants.reconstruct-uint8": 32},
    "sdae": {"sdae.reconstruct": 32},
    "fixed": {"fixed.reconstruct": 32},
    "signal": {"signal.reconstruct": 32},
    "several": {"several.reconstruct": 32},
    "codec": {"codec.reconstruct": 32},
}


def test_there_is_an_ensemble_where_no_part_reconstructs(served: Served) -> None:
    found = {ensemble.name: ensemble.version for ensemble in served.written.ensembles}
    assert found == ENSEMBLES.get(served.bundle.folder.name, {})
    assert served.written.left_out == ()
    for ensemble in served.written.ensembles:
        assert ensemble_error(served, ensemble) == 0


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("variants", ()),
        ("fixed", ()),
        ("signal", ()),
        ("several", ("label", "gain")),
        ("codec", ()),
    ],
)
def test_an_ensemble_gives_what_the_runtime_reconstructs(
    deployable: Bundles, tmp_path: Path, kind: str, names: tuple[str, ...]
) -> None:
    bundle = library.load(deployable(kind))
    write_repository(TritonOptions(deployable(kind), tmp_path / "repo"))
    random = np.random.default_rng(0)
    golden = bundle.variant("encoder").golden[0].inputs["x"]
    x = bundle.read_golden(golden)[:4]
    more = {"label": np.arange(4), "gain": random.random(4, np.float32)}
    given = {name: more[name] for name in names}
    repository = Repository(tmp_path / "repo")
    batches = repository.configs[f"{kind}.reconstruct"].max_batch_size > 0
    tensors = {"x": x, **{name: value[:, None] for name, value in given.items()}}
    assert batches == (kind != "fixed")
    (made,) = repository.infer(f"{kind}.reconstruct", 32, tensors).values()
    np.testing.assert_allclose(made, bundle.reconstruct(x, **given), atol=1e-6)


def test_a_condition_of_both_parts_is_one_input(deployable: Bundles, tmp_path: Path) -> None:
    write_repository(TritonOptions(deployable("several"), tmp_path / "repo"))
    config = config_in(tmp_path / "repo/several.reconstruct")
    assert [item.name for item in config.input] == ["x", "label", "gain"]
    encode, decode = config.ensemble_scheduling.step
    assert dict(encode.input_map) == {"x": "x", "label": "label"}
    assert dict(encode.output_map) == {"z": "encoder.z", "top": "encoder.top"}
    assert dict(decode.input_map) == {
        "z": "encoder.z", "top": "encoder.top", "label": "label", "gain": "gain",
    }  # fmt: skip
    assert dict(decode.output_map) == {"y": "y"}


def test_most_rows_are_those_that_all_versions_were_compared_at(
    deployable: Bundles, tmp_path: Path
) -> None:
    folder = deployable("variants")
    write_repository(TritonOptions(folder, tmp_path / "repo"))
    for part, variants in manifest.read(folder).parts.items():
        lowest = min(max(entry.parity_batches) for entry in variants.values())
        assert config_in(tmp_path / f"repo/variants.{part}").max_batch_size == lowest
    assert config_in(tmp_path / "repo/variants.reconstruct").max_batch_size == 32


def test_one_value_per_row_has_an_axis_of_1_at_triton(deployable: Bundles, tmp_path: Path) -> None:
    write_repository(TritonOptions(deployable("several"), tmp_path / "repo"))
    repository = Repository(tmp_path / "repo")
    given = {"x": np.zeros((3, 6), np.float32), "label": np.zeros((3, 1), np.int64)}
    assert repository.infer("several.encoder", 32, given)["z"].shape == (3, 4)
    with pytest.raises(AssertionError):  # as Triton refuses it
        repository.infer("several.encoder", 32, given | {"label": np.zeros(3, np.int64)})
