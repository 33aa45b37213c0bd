"""`aeonnx verify --against`: every graph of a bundle against the live model."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest
import torch
from click.testing import Result
from onnx import ModelProto
from torch import nn

from aeonnx import load
from aeonnx.bundle import Axis, TensorSpec, manifest
from aeonnx.exporting import ExportOptions, Source, export, verify_checkpoint
from aeonnx.models import Part
from tests.exporting.theirs import THEIRS

Maker = Callable[..., Path]


def edit(folder: Path, part: str, variant: str, change: Callable[[ModelProto], None]) -> None:
    """Change a graph, and the manifest with it, so that only torch can tell."""
    file = manifest.read(folder).parts[part][variant].file
    graph = onnx.load_model(folder / file)
    change(graph)
    data = graph.SerializeToString()
    (folder / file).write_bytes(data)
    document = json.loads((folder / "manifest.json").read_text())
    document["parts"][part][variant] |= {
        "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data),
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(document))


def off(graph: ModelProto, by: float) -> None:
    """Change the largest bias or scale of floats."""
    floats = [
        tensor
        for tensor in graph.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 1
    ]
    tensor = max(floats, key=lambda item: item.dims[0])
    changed = onnx.numpy_helper.to_array(tensor) + np.float32(by)
    tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))


@pytest.fixture(scope="module")
def everything(variants: Path, bundle_of: Maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Variants of encoder and decoder, and the sampler, in one bundle."""
    folder = shutil.copytree(variants, tmp_path_factory.mktemp("everything") / "b")
    whole = bundle_of()
    shutil.copytree(whole, folder, dirs_exist_ok=True, ignore=lambda *_: ["manifest.json"])
    document = json.loads((folder / "manifest.json").read_text())
    other = json.loads((whole / "manifest.json").read_text())
    document["parts"]["sampler"] = other["parts"]["sampler"]
    (folder / "manifest.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def to_change(everything: Path, tmp_path: Path) -> Path:
    return shutil.copytree(everything, tmp_path / "bundle")


def test_every_graph_has_its_lines(everything: Path, run_of: Maker) -> None:
    report = verify_checkpoint(load(everything), Source(run_of()))
    assert report.passed, report.failures
    compared = {(check.part, check.precision) for check in report.checks}
    assert compared == {
        *(
            (part, variant)
            for part in ("encoder", "decoder")
            for variant in ("fp32", "int8", "fp32-uint8", "int8-uint8")
        ),
        ("sampler", "fp32"),
        ("decoder(encoder)", "fp32"),
    }


@pytest.mark.shortened(2)
@pytest.mark.parametrize(
    ("part", "variant", "by", "told"),
    [
        ("decoder", "fp32", 1e-4, "decoder.reconstruction (fp32): max abs"),
        ("decoder", "int8", 1.0, "decoder (int8): reconstruction"),
        ("encoder", "int8", 1.0, "encoder (int8): "),
        ("decoder", "fp32-uint8", 0.5, "decoder (fp32-uint8): reconstruction: "),
        ("encoder", "int8-uint8", 5.0, "encoder.mu (int8-uint8): max abs"),
        ("sampler", "fp32", 0.5, "sampler: "),
    ],
)
def test_each_graph_that_is_wrong_is_named(
    to_change: Path, run_of: Maker, part: str, variant: str, by: float, told: str
) -> None:
    edit(to_change, part, variant, lambda graph: off(graph, by))
    report = verify_checkpoint(load(to_change), run_of())
    assert not report.passed
    wrong = [line for line in report.failures if line.startswith(told)]
    assert wrong, report.failures


class Sized(nn.Module):
    """A denoiser of grey pictures of any size."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        first, last = nn.Conv2d(1, 64, 3, padding=1), nn.Conv2d(64, 1, 3, padding=1)
        self.denoiser = nn.Sequential(first, nn.Sigmoid(), last, nn.Sigmoid())

    def parts(self) -> dict[str, Part]:
        shape = ("batch", 1, "height", "width")
        x, y = (TensorSpec(name, shape, range=(0.0, 1.0), kind="image") for name in "xy")
        axes = {name: Axis(min=4) for name in ("height", "width")}
        sizes = {"height": 12, "width": 12}
        return {"denoiser": Part(self.denoiser, (x,), (y,), axes=axes, sizes=sizes)}


def sized() -> nn.Module:
    return Sized()


def longer(graph: ModelProto) -> None:
    """Add to the output what the longest axis has more than 12 places, which is 0 as a rule."""
    nodes = graph.graph.node
    for node in nodes:
        node.output[:] = ["right" if name == "y" else name for name in node.output]
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array(12, np.float32), "usual"))
    for operator, inputs, output, more in (
        ("Shape", ["x"], "shape", {"start": 2}),
        ("ReduceMax", ["shape"], "longest", {"keepdims": 0}),
        ("Cast", ["longest"], "length", {"to": onnx.TensorProto.FLOAT}),
        ("Sub", ["length", "usual"], "unusual", {}),
        ("Add", ["right", "unusual"], "y", {}),
    ):
        nodes.append(onnx.helper.make_node(operator, inputs, [output], **more))


def test_variants_are_compared_at_each_size_of_their_golden_vectors(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((8, 1, 12, 12), np.float32))
    folder, target = tmp_path / "b", f"module:{__name__}:sized"
    wanted = {"precisions": ("fp16",), "io": ("uint8",), "calibration": tmp_path / "x.npy"}
    export(ExportOptions("sized", folder, from_source=target, **wanted))
    source = Source(from_source=target)
    report = verify_checkpoint(load(folder), source)
    assert report.passed, report.failures
    for variant in ("fp16", "fp32-uint8", "fp16-uint8"):
        checks = [check for check in report.checks if check.precision == variant]
        assert len({tuple(check.sizes.values()) for check in checks}) == 2, variant
    edit(folder, "denoiser", "fp16", longer)
    failures = verify_checkpoint(load(folder), source).failures
    assert [line for line in failures if line.startswith("denoiser: y: expected values in [0, 1]")]
    pixels = "denoiser (fp16-uint8): y: "  # they follow from the float graph, which is another now
    assert [line for line in failures if line.startswith(pixels)]


@pytest.fixture
def theirs(aeonnx: Callable[..., Result]) -> Iterator[Callable[..., Result]]:
    """The command line in a folder with theirs.py, other weights of it and pictures."""
    code = "def ours():\n    return Theirs(lambda mu, logvar: {'logvar': logvar, 'mu': mu})"
    Path("theirs.py").write_text(f"{THEIRS}\n{code}\n")
    np.save("pictures.npy", np.random.default_rng(0).random((40, 1, 8, 8), np.float32))
    sys.modules.pop("theirs", None)
    yield aeonnx
    sys.modules.pop("theirs", None)


def test_a_model_from_elsewhere_is_verified_and_measured(theirs: Callable[..., Result]) -> None:
    model = ("--from", "module:theirs:ours")
    parts = ("--part", "encoder", "--part", "sampler")
    more = ("--calibration", "pictures.npy", "--prior", "fitted", "--precision", "fp16", *parts)
    made = theirs("export", *model, "-o", "b", "--io", "uint8", *more)
    assert made.exit_code == 0, made.stderr
    result = theirs("verify", "b", *model, "--json")
    assert result.exit_code == 0, result.stderr
    checks = json.loads(result.stdout)["checks"]
    assert {"fp16", "fp16-uint8"} <= {item["precision"] for item in checks if item["noise_floor"]}
    assert "sampler" in {item["part"] for item in checks if item["noise_floor"] is not None}
    speed = theirs(
        "bench", "b", *model, "--part", "encoder", "--precision", "fp32", "--batch", "1",
        "--seconds", "0.05", "--json",
    )  # fmt: skip
    assert speed.exit_code == 0, speed.stderr
    (cell,) = json.loads(speed.stdout)["cells"]
    assert "torch" in cell["timings"], cell


def test_other_weights_are_not_the_bundles(theirs: Callable[..., Result]) -> None:
    model = ("--from", "module:theirs:ours")
    assert theirs("export", *model, "-o", "b", "--part", "encoder").exit_code == 0
    sys.path.insert(0, ".")
    import theirs as code  # type: ignore[import-not-found]

    sys.path.remove(".")
    state = code.ours().state_dict()
    torch.save(state, "same.pth")
    torch.save({name: value + 1 for name, value in state.items()}, "other.pth")
    result = theirs("verify", "b", *model, "--weights", "same.pth")
    assert result.exit_code == 0, result.stderr
    result = theirs("verify", "b", *model, "--weights", "other.pth")
    assert result.exit_code == 1
    assert "b was not exported from module:theirs:ours: its checkpoint id is " in result.stderr
    result = theirs("verify", "b", "--weights", "same.pth")
    assert result.exit_code == 2
    assert "--weights is for --from: for a model" in result.stderr
    result = theirs("bench", "b", *model, "--weights", "other.pth")
    assert result.exit_code == 1
    assert "was not exported from module:theirs:ours" in result.stderr
    result = theirs("verify", "b", *model, "--against", "same.pth")
    assert result.exit_code == 2
    assert "--against is for a model of aeonnx: with --from, pass a file" in result.stderr
