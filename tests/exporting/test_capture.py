"""Capture: no operation is lost on the way, and none is added."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnxscript.rewriter.rules import common as rules
from torch import Tensor, nn

from aeonnx.errors import GraphError
from aeonnx.exporting.capture import translation
from aeonnx.exporting.capture.program import capture
from tests.graphs import FEATURES, Of, eager, op_types, part_of, rows, run

epsilons = st.floats(-12.0, -5.0).map(lambda power: 10.0**power)
factors = st.one_of(
    st.sampled_from([1 + 2.0**-23, 1.000004, 0.999999, 1 - 2.0**-24]),
    st.floats(1 - 1e-5, 1 + 1e-5).filter(lambda factor: np.float32(factor) != 1),
)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(epsilons, min_size=4, max_size=4), st.lists(factors, min_size=4, max_size=4))
def test_small_terms_and_factors_near_one_stay(eps: list[float], factor: list[float]) -> None:
    def every(x: Tensor) -> tuple[Tensor, ...]:
        low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
        made = [
            result
            for e in eps
            for result in (
                x + e,
                e + x,
                x - e,
                torch.log(x.abs() + e),
                x / (x.norm(dim=1, keepdim=True) + e),
                (x - low) / (high - low + e),
                x * torch.rsqrt(x.square().mean(1, keepdim=True) + e),  # PixelNorm
            )
        ]
        return tuple(made + [result for f in factor for result in (x * f, f * x, x / f)])

    part = part_of(Of(every), outputs=7 * len(eps) + 3 * len(factor))
    x = rows()
    outputs = run(part, x)
    for name, ours, torchs in zip(part.outputs, outputs, eager(part, x), strict=True):
        np.testing.assert_allclose(ours, torchs, rtol=5e-6, atol=0, err_msg=name.name)
        assert np.isfinite(ours).all()
    for e, position in zip(eps, range(0, 7 * len(eps), 7), strict=True):
        assert (outputs[position][0] == np.float32(e)).all()


@pytest.mark.parametrize(
    ("function", "rule", "lost"),
    [
        (lambda x: x.exp() + 1e-9, rules.add_0_rule, "1 Add"),
        (lambda x: x.exp() - 1e-9, rules.sub_0_rule, "1 Sub"),
        (lambda x: x * 1.000004, rules.mul_by_1_rule, "1 Mul"),
        (lambda x: x / 1.000004, rules.div_by_1_rule, "1 Div"),
    ],
)
def test_an_operation_that_a_pass_drops_is_missed(
    monkeypatch: pytest.MonkeyPatch, function: Callable[..., Tensor], rule: object, lost: str
) -> None:
    part = part_of(Of(function))
    monkeypatch.setattr(translation, "_RULES", (*translation._RULES, rule))
    with pytest.raises(GraphError, match=f"simplifying the graph lost {lost}: please report"):
        capture(part, 18)


def test_constants_are_folded_as_torch_folds_them() -> None:
    weight = torch.randn(FEATURES, 3, generator=torch.Generator().manual_seed(0))
    layer = nn.Linear(FEATURES, 3)

    def standardised(x: Tensor, layer: nn.Linear) -> Tensor:
        kept = layer.weight
        kept = (kept - kept.mean(1, keepdim=True)) / (kept.std(1, keepdim=True) + 1e-10)
        return x @ (kept.T * weight.exp().log1p())

    part = part_of(Of(standardised, layer=layer))
    x = rows()
    np.testing.assert_allclose(run(part, x)[0], eager(part, x)[0], rtol=2e-6, atol=1e-6)
    assert op_types(part.module) == ["MatMul"]


@pytest.mark.parametrize(
    ("module", "sizes", "expected"),
    [
        (nn.Sequential(nn.Linear(4, 3), nn.SiLU()), (4,), ["Gemm", "Sigmoid", "Mul"]),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), (2, 5, 5), ["Conv"]),
        (
            nn.Sequential(nn.ConvTranspose2d(2, 3, 3), nn.BatchNorm2d(3)),
            (2, 5, 5),
            ["ConvTranspose"],
        ),
        (nn.Sequential(nn.ZeroPad2d(1), nn.Dropout(), nn.Conv2d(2, 3, 3)), (2, 5, 5), ["Conv"]),
        (nn.Flatten(), (2, 3), ["Reshape"]),
        (Of(lambda x: x.chunk(2, 1)[0].exp()), (4,), ["Split", "Exp"]),
        (
            nn.GroupNorm(2, 4),
            (4, 5, 5),
            ["Reshape", "InstanceNormalization", "Shape", "Reshape", "Mul", "Add"],
        ),
        (nn.LayerNorm(4), (3, 4), ["LayerNormalization"]),
        (nn.Upsample(scale_factor=2, mode="bilinear"), (2, 3, 3), ["Resize"]),
        (Of(lambda x: x.clamp(-1, 1).clamp(0, 2).relu()), (4,), ["Clip"]),
        (Of(lambda x: x[:, None].transpose(1, 2).transpose(1, 2) * 2), (4,), ["Unsqueeze", "Mul"]),
    ],
)  # fmt: skip
def test_graphs_have_no_more_operators_than_they_need(
    module: nn.Module, sizes: tuple[int, ...], expected: list[str]
) -> None:
    assert op_types(module, *sizes) == expected


def test_the_program_runs_as_the_module_does_with_gradients() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GELU(), nn.Flatten())
    program = capture(part_of(module, 1, 5, 5), 18).program
    x = torch.from_numpy(rows(1, 5, 5)).requires_grad_()
    y = torch.fx.Interpreter(program.module()).run(x)
    torch.testing.assert_close(y, module(x))
    (mine,) = torch.autograd.grad(y.sum(), x)
    (theirs,) = torch.autograd.grad(module(x).sum(), x)
    torch.testing.assert_close(mine, theirs)
