"""Capture: nothing is lost on the way, and what cannot be captured is said in words."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnxscript.rewriter.rules import common as rules
from torch import Tensor, nn

from aeonnx import models
from aeonnx.errors import GraphError
from aeonnx.export import translated
from aeonnx.export.capture import capture
from aeonnx.export.graph import build_graph
from aeonnx.export.modules import plain, require_exportable, unwrapped
from aeonnx.manifest import TensorSpec
from aeonnx.models import Part

FEATURES = 4


class Of(nn.Module):
    """A function as a module, with what it needs."""

    def __init__(self, function: Callable[..., object], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.inner = nn.ModuleDict(modules)

    def forward(self, x: Tensor) -> object:
        return self.function(x, *self.inner.values())


def part_of(module: nn.Module, *sizes: int, outputs: int = 1) -> Part:
    x = TensorSpec("x", ("batch", *(sizes or (FEATURES,))))
    result = module.eval()(torch.zeros(1, *x.shape[1:]))  # type: ignore[arg-type]
    first = result[0] if isinstance(result, tuple) else result
    shape = ("batch", *first.shape[1:])
    return Part(module, (x,), tuple(TensorSpec(f"y{i}", shape) for i in range(outputs)))


def run(part: Part, x: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        build_graph(part, 18, {}).data, providers=["CPUExecutionProvider"]
    )
    outputs: list[np.ndarray] = session.run(None, {"x": x})
    return outputs


def eager(part: Part, x: np.ndarray) -> list[np.ndarray]:
    with torch.no_grad():
        result = part.module.eval()(torch.from_numpy(x))
    return [y.numpy() for y in (result if isinstance(result, tuple) else (result,))]


def rows(*sizes: int, count: int = 3) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((count, *(sizes or (FEATURES,))))
    x[0] = 0.0  # where an epsilon is all there is
    return x.astype(np.float32)


def op_types(module: nn.Module, *sizes: int) -> list[str]:
    return [node.op_type for node in capture(part_of(module, *sizes), 18).graph.graph.node]


epsilons = st.floats(-12.0, -5.0).map(lambda power: 10.0**power)
factors = st.one_of(
    st.sampled_from([1 + 2.0**-23, 1.000004, 0.999999, 1 - 2.0**-24]),
    st.floats(1 - 1e-5, 1 + 1e-5).filter(lambda factor: np.float32(factor) != 1),
)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
    for name, ours, torchs in zip(part.outputs, run(part, x), eager(part, x), strict=True):
        np.testing.assert_allclose(ours, torchs, rtol=5e-6, atol=0, err_msg=name.name)
        assert np.isfinite(ours).all()
    for e, position in zip(eps, range(0, 7 * len(eps), 7), strict=True):
        assert (run_once(part, x)[position][0] == np.float32(e)).all()


_RUNS: dict[int, list[np.ndarray]] = {}


def run_once(part: Part, x: np.ndarray) -> list[np.ndarray]:
    if id(part) not in _RUNS:
        _RUNS.clear()
        _RUNS[id(part)] = run(part, x)
    return _RUNS[id(part)]


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
    monkeypatch.setattr(translated, "_RULES", (*translated._RULES, rule))
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
    with pytest.raises(GraphError, match="^decoder: 0 is TorchScript, .* give the nn.Module that"):
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


REFUSED = """
import numpy as np
import torch
from torch import nn
from torch.autograd import Function

from aeonnx.models import Part, image, latent


class Encoder(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step, self.linear = step, nn.Linear(16, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        return self.step(self, self.linear(x.flatten(1)))


class Mine(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.encoder = Encoder(step)
        self.decoder = nn.Sequential(nn.Linear(4, 16), nn.Sigmoid(), nn.Unflatten(1, (1, 4, 4)))

    def parts(self):
        x, z = image("x", (1, 4, 4), "images"), latent("z", 4, "latent")
        y = image("reconstruction", (1, 4, 4), "images")
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (y,)),
        }


def branching(self, z):
    if z.sum() > 0:
        return z
    return -z


def counted(self, z):
    size = int(z.abs().sum())
    return z * size if size > 3 else z


def looping(self, z):
    return torch.stack([row * 2 for row in z])


def baking(self, z):
    return z.view(2, 2, 2).flatten(1)


def small_batches(self, z):
    return z * 2 if z.shape[0] > 5 else z


class Straight(Function):
    @staticmethod
    def forward(ctx, z):
        return z.data.sign()


class Listed(Function):
    @staticmethod
    def forward(ctx, z):
        return torch.tensor(np.tanh(z.tolist()), dtype=torch.float32)


def straight(self, z):
    return Straight.apply(z)


def listed(self, z):
    return Listed.apply(z)


def unknown(self, z):
    return torch.special.bessel_j0(z)


def drawing(self, z):
    return z + torch.randn_like(z)


def short(self, z):
    return z.bfloat16().tanh().float()


def rounded(self, z):
    return z.bfloat16().float()


def cast_by_itself(self, z):
    with torch.autocast("cpu", torch.bfloat16):
        return self.linear(z @ self.linear.weight).float()


def counting(self, z):
    self.calls += 1
    return z + 0 * self.calls


class Numbered(Function):
    @staticmethod
    def forward(ctx, z):
        return torch.from_numpy(np.tanh(z.numpy()))


class Detached(Function):
    @staticmethod
    def forward(ctx, z):
        return z.detach().tanh()


def numbered(self, z):
    return Numbered.apply(z)


def detached(self, z):
    return Detached.apply(z)
"""


@pytest.fixture
def refusing(
    aeonnx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Part]]:
    """The encoder of refused.py, in the working directory, with one of its steps."""
    del aeonnx  # chooses the folder
    Path("refused.py").write_text(REFUSED)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    import refused  # type: ignore[import-not-found]

    def encoder(step: str) -> Part:
        torch.manual_seed(0)
        part: Part = refused.Mine(getattr(refused, step)).parts()["encoder"]
        return part

    yield encoder
    sys.modules.pop("refused", None)


VALUES = "what happens next depends on a tensor's values"
NUMBER = "a Python number is made of a tensor's value"
BF16 = "onnxruntime lacks most operators in bfloat16"
SIZES = "the code fits only some sizes of the batch"


@pytest.mark.parametrize(
    ("step", "reason", "code", "way"),
    [
        ("branching", VALUES, "if z.sum() > 0:", "choose between results with torch.where"),
        ("counted", NUMBER, "size = int(z.abs().sum())", "with torch.where"),
        ("looping", SIZES, "return torch.stack([row * 2 for row in z])", "the whole tensor"),
        ("baking", SIZES, "return z.view(2, 2, 2).flatten(1)", "x.reshape(x.shape[0], -1)"),
        ("small_batches", SIZES, "return z * 2 if z.shape[0] > 5 else z", "--static-batch"),
        ("listed", NUMBER, "return torch.tensor(np.tanh(z.tolist()), dtype=torch.float32)", ""),
        ("short", BF16, "step(self", "compute in float32"),
        ("cast_by_itself", BF16, "step(self", "without .bfloat16() and autocast"),
        ("unknown", "it knows no operator prims.bessel_j0", "step(self, self.linear", "others"),
        ("drawing", "is random: a graph must be a function of its inputs", "step(self", "noise"),
    ],
)
def test_why_and_where_a_part_cannot_be_captured(
    refusing: Callable[[str], Part],
    capfd: pytest.CaptureFixture[str],
    step: str,
    reason: str,
    code: str,
    way: str,
) -> None:
    with pytest.raises(GraphError) as caught:
        capture(refusing(step), 18)
    said = str(caught.value)
    assert reason in said
    assert way in said
    lines = REFUSED.splitlines()
    place = next(number for number, line in enumerate(lines, 1) if code in line)
    assert f", at refused.py:{place} ({lines[place - 1].strip()}): " in said, said
    assert "\x1b" not in said
    assert said.isascii()
    assert capfd.readouterr() == ("", "")  # torch's own words are not printed beside ours


def test_a_value_that_the_capture_computed_is_no_constant() -> None:
    # numpy makes torch read the bytecode, where it loses track of .data.
    part = part_of(Of(lambda x: torch.from_numpy(np.tanh(x.numpy())) + x.data.exp()))
    with pytest.raises(GraphError) as caught:
        capture(part, 18)
    said = str(caught.value)
    assert "what .data gives is cut off from its input, at tests/export/test_capture.py:" in said
    assert said.endswith("): write .detach() instead of .data")


def test_state_that_forward_changes_is_refused(refusing: Callable[[str], Part]) -> None:
    with pytest.raises(GraphError, match="^forward changes calls: a graph keeps nothing from one"):
        capture(refusing("counting"), 18)


@pytest.mark.parametrize("step", ["numbered", "detached", "straight", "rounded"])
def test_custom_functions_are_captured_right(refusing: Callable[[str], Part], step: str) -> None:
    part = refusing(step)
    x = np.random.default_rng(0).random((3, 1, 4, 4), np.float32)
    np.testing.assert_allclose(run(part, x)[0], eager(part, x)[0], atol=1e-6)


def test_wrapped_modules_are_exported_from_the_command_line(aeonnx: Callable[..., Result]) -> None:
    Path("wrapped.py").write_text(
        REFUSED + "\n\ndef build():\n"
        "    model = Mine(numbered)\n"
        "    model.encoder = torch.compile(nn.DataParallel(model.encoder))\n"
        "    torch.nn.utils.weight_norm(model.decoder[0])\n"
        "    model.decoder(torch.ones(2, 4))\n"
        "    return model\n"
    )
    with pytest.warns(FutureWarning, match="weight_norm"):
        result = aeonnx("export", "--from-module", "wrapped:build", "-o", "b")
    sys.modules.pop("wrapped", None)
    assert result.exit_code == 0, result.stderr
    assert len([*Path("b").glob("*.onnx")]) == 2


@pytest.mark.parametrize("step", ["branching", "baking", "unknown"])
def test_the_command_fails_in_words_and_writes_nothing(
    aeonnx: Callable[..., Result], step: str
) -> None:
    Path("refused.py").write_text(REFUSED + f"\n\ndef build():\n    return Mine({step})\n")
    result = aeonnx("export", "--from-module", "refused:build", "-m", "m", "-o", "b")
    sys.modules.pop("refused", None)
    assert result.exit_code == 1, result.stderr
    assert "encoder: " in result.stderr
    assert "refused.py:" in result.stderr
    assert "Traceback" not in result.stderr
    assert not Path("b").exists()
