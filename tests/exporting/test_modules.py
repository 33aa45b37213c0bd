"""Modules as people have them: wrapped, with computed weights, or without numbers."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from aeonnx import models
from aeonnx.bundle import TensorSpec
from aeonnx.errors import GraphError
from aeonnx.exporting.capture.program import capture
from aeonnx.exporting.sources.modules import plain, require_exportable, unwrapped
from aeonnx.models import Part
from tests.graphs import FEATURES, Of, eager, rows, run


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, FEATURES)).eval()


def compiled(module: nn.Module) -> nn.Module:
    made = torch.compile(module)
    assert isinstance(made, nn.Module)
    return made


def old_weight_norm(*, ran: bool) -> nn.Module:
    module = layers()
    with pytest.warns(FutureWarning):
        torch.nn.utils.weight_norm(module[0])
    if ran:
        module(torch.ones(2, FEATURES))  # leaves a tensor with a history, which has no deepcopy
        with pytest.raises(RuntimeError, match="deepcopy"):
            copy.deepcopy(module)
    return module


def with_hook() -> nn.Module:
    module = layers()
    module[0].register_forward_hook(lambda _module, _inputs, output: output * 3)
    return module


def pruned() -> nn.Module:
    module = layers()
    torch.nn.utils.prune.l1_unstructured(  # type: ignore[no-untyped-call]
        module[0], "weight", 0.5
    )
    module(torch.ones(2, FEATURES))
    return module


def tied() -> nn.Module:
    module = layers()
    return nn.Sequential(module, module)


@pytest.mark.shortened(4)
@pytest.mark.parametrize(
    "module",
    [
        nn.DataParallel(layers()),
        compiled(layers()),
        nn.Sequential(nn.DataParallel(layers()), compiled(nn.DataParallel(layers()))),
        old_weight_norm(ran=False),
        old_weight_norm(ran=True),
        torch.nn.utils.parametrizations.weight_norm(nn.Linear(FEATURES, 3)),
        torch.nn.utils.spectral_norm(nn.Linear(FEATURES, 3)).eval(),
        torch.nn.utils.parametrizations.spectral_norm(nn.Linear(FEATURES, 3)).eval(),
        torch.nn.utils.parametrizations.orthogonal(nn.Linear(FEATURES, 3)),
        pruned(),
        with_hook(),
        tied(),
    ],
    ids=[
        "DataParallel", "compiled", "nested", "weight_norm", "weight_norm after a forward",
        "parametrised weight_norm", "spectral_norm", "parametrised spectral_norm", "orthogonal",
        "pruned", "hook", "tied",
    ],
)  # fmt: skip
def test_modules_as_people_have_them_are_captured(module: nn.Module) -> None:
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x = rows()
    part = Part(module, (TensorSpec("x", ("batch", FEATURES)),), (TensorSpec("y", ("batch", 3)),))
    expected = eager(Part(unwrapped(module), part.inputs, part.outputs), x)[0]
    np.testing.assert_allclose(run(part, x)[0], expected, rtol=1e-5, atol=1e-6)
    assert {"MatMul", "Gemm", "Tanh", "Mul", "Add"}.issuperset(
        node.op_type for node in capture(part, 18).graph.graph.node
    )
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    np.testing.assert_allclose(eager(part, x)[0], expected, rtol=1e-6, atol=1e-6)  # it still runs


def test_wrappers_and_computed_weights_are_gone_from_the_copy() -> None:
    module = nn.Sequential(compiled(nn.DataParallel(old_weight_norm(ran=True))))
    kinds = {type(inside) for inside in plain(module).modules()}
    assert kinds == {nn.Sequential, nn.Linear, nn.Tanh}
    assert "0.0.weight" in dict(plain(module).named_parameters())


def uninitialised() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(3))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (
            uninitialised(),
            "decoder: 0.weight has no shape yet (a Lazy module that never ran): call",
        ),
        (nn.Linear(4, 3, device="meta"), "decoder: weight is on the device meta, which holds no"),
        (
            nn.Embedding.from_pretrained(torch.zeros(1).expand(2**23, 80)),
            "decoder: expected weights of at most 2 GB, the most that one ONNX file can hold, got "
            "2.5 GB: divide it into several parts",
        ),
        (nn.Linear(4, 3).bfloat16(), "decoder: weight is torch.bfloat16, expected torch.float32"),
        (nn.Linear(4, 3).half(), "decoder: weight is torch.float16, expected torch.float32: call"),
        (nn.Linear(4, 3).double(), "decoder: weight is torch.float64, expected torch.float32"),
        (nn.BatchNorm1d(4).half(), "is torch.float16, expected torch.float32: call .float()"),
    ],
)
def test_weights_that_no_graph_can_have_are_refused(module: nn.Module, text: str) -> None:
    with pytest.raises(GraphError) as caught:
        require_exportable("decoder", module)
    assert text in str(caught.value)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_torchscript_is_refused() -> None:
    with pytest.raises(GraphError, match="^decoder: 0 is TorchScript, .* pass the nn.Module that"):
        require_exportable("decoder", nn.Sequential(torch.jit.script(nn.Tanh())))


def test_every_built_in_model_is_exportable() -> None:
    for name in ("ae", "vae"):
        model = models.build(models.configure(name, "conv", (1, 28, 28)))
        for part, declared in model.parts().items():
            require_exportable(part, declared.module)
    require_exportable("buffers in float64 are a table, not weights", Of(abs, norm=Table()))


class Table(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("schedule", torch.zeros(3, dtype=torch.float64))
