"""fp16 keeps in fp32 what float16 overflows on or loses, as calibration inputs show it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import Result

import aeonnx as aeonnx_package
from aeonnx.exporting.verify import trial
from aeonnx.runtime import verify
from tests.support import graph_file

MODULE = """
import torch
from torch import nn

from aeonnx.models import Part, image, latent


class Scaled(nn.Module):
    def forward(self, h):
        return 1e-3 * torch.sqrt(torch.abs(1e6 * h))


class Whitened(nn.Module):
    def forward(self, h):
        h = 1e-3 * (h - h.mean(1, keepdim=True))
        return h / torch.sqrt((h * h).sum(1, keepdim=True) + 1e-7)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.lstm(x.flatten(1, 2))[0]).flatten(1)


class Mine(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = nn.Sequential(nn.Linear(16, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))

    def parts(self):
        x, y, z = image("x", (1, 8, 8), "i"), image("y", (1, 8, 8), "i"), latent("z", 16, "z")
        encoder, decoder = Part(self.encoder, (x,), (z,)), Part(self.decoder, (z,), (y,))
        return {"encoder": encoder, "decoder": decoder}


def make(*layers):
    torch.manual_seed(0)
    return Mine(nn.Sequential(nn.Flatten(), nn.Linear(64, 64), *layers, nn.Linear(64, 16)))


def plain():
    return make()


def overflows():
    return make(Scaled())


def loses():
    return make(Whitened())


def normed():
    return make(nn.Unflatten(1, (4, 16)), nn.GroupNorm(2, 4), nn.Flatten())


def recurrent():
    torch.manual_seed(0)
    return Mine(Recurrent())
"""


@pytest.fixture
def halved(aeonnx: Callable[..., Result]) -> Iterator[Callable[[str], Result]]:
    """`aeonnx export --precision fp16` of the encoder of one of the module's factories, into b."""
    Path("halves.py").write_text(MODULE)
    np.save("x.npy", np.random.default_rng(0).random((40, 1, 8, 8), np.float32))

    def export(factory: str) -> Result:
        return aeonnx(
            "export", "--from", f"module:halves:{factory}", "-o", "b", "--part", "encoder",
            "--calibration", "x.npy", "--precision", "fp16",
        )  # fmt: skip

    yield export
    sys.modules.pop("halves", None)


@pytest.mark.shortened(1)
@pytest.mark.parametrize("factory", ["overflows", "loses", "normed"])
def test_what_float16_does_not_hold_stays_in_fp32(
    halved: Callable[[str], Result], factory: str
) -> None:
    result = halved(factory)
    assert result.exit_code == 0, result.stderr
    bundle = aeonnx_package.load("b")
    assert verify(bundle).passed
    x = np.load("x.npy")
    full, half = (bundle.session("encoder", name).run({"x": x})["z"] for name in ("fp32", "fp16"))
    assert np.abs(full - half).max() < 0.01 * full.std()
    sizes = [bundle.variant("encoder", name).bytes for name in ("fp32", "fp16")]
    assert sizes[1] < 0.7 * sizes[0]  # the layers with weights are in float16 all the same


def test_no_number_goes_through_float16_between_nodes_that_stay(
    halved: Callable[[str], Result],
) -> None:
    assert halved("loses").exit_code == 0
    graph = onnx.load(graph_file(Path("b"), "encoder", "fp16")).graph
    made = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        source = made.get(node.input[0])
        if node.op_type == "Cast" and source is not None and source.op_type == "Cast":
            kinds = [item.attribute[0].i for item in (source, node)]
            assert kinds != [onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT]


def test_a_plain_graph_is_float16_from_end_to_end(halved: Callable[[str], Result]) -> None:
    assert halved("plain").exit_code == 0
    graph = onnx.load(graph_file(Path("b"), "encoder", "fp16")).graph
    assert [node.op_type for node in graph.node].count("Cast") == 2


def test_a_graph_that_kills_onnxruntime_is_refused_by_name(
    halved: Callable[[str], Result],
) -> None:
    """Of an LSTM behind which a linear layer goes over time; the process must live on."""
    result = halved("recurrent")
    assert result.exit_code == 3
    assert "encoder in fp16: onnxruntime " in result.stderr
    assert "crashes on it (SIG" in result.stderr
    assert "Nothing was written: choose parts with --part, or leave the precision out" in (
        result.stderr
    )
    assert not Path("b").exists()
    assert not [*Path().glob(".*")]


def test_a_graph_that_does_not_end_is_refused(
    halved: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_PATIENCE", 0.01)
    result = halved("plain")
    assert result.exit_code == 3
    assert "encoder in fp16: onnxruntime " in result.stderr
    assert "does not run it in 0.01 s" in result.stderr
    assert not Path("b").exists()
