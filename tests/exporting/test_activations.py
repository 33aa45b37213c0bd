from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from aeonnx.bundle import TensorSpec
from aeonnx.exporting.capture.program import program_of
from aeonnx.exporting.verify import traced
from aeonnx.exporting.verify.activations import Activations, activation_rows
from aeonnx.exporting.verify.inputs import rows_of
from aeonnx.models import Part
from aeonnx.runtime.session import Array

X = TensorSpec("x", ("batch", 6), range=(0.0, 1.0))
Y = TensorSpec("y", ("batch", 2))

Function = Callable[[Tensor], Tensor]

FUNCTIONS: dict[str, Function] = {
    "relu": F.relu,
    "relu in place": lambda h: F.relu(h.clone(), inplace=True),
    "relu, method in place": lambda h: h.clone().relu_(),
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "celu": F.celu,
    "selu": F.selu,
    "gelu": F.gelu,
    "gelu by tanh": lambda h: F.gelu(h, approximate="tanh"),
    "gelu by hand": lambda h: 0.5 * h * (1 + torch.erf(h / 2**0.5)),
    "silu": F.silu,
    "silu by hand": lambda h: h * torch.sigmoid(h),
    "mish": F.mish,
    "hardswish": F.hardswish,
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softsign": F.softsign,
    "softplus": F.softplus,
    "prelu": nn.PReLU(2, init=0.01),
    "rrelu": lambda h: F.rrelu(h, 0.01, 0.05),
    "glu": lambda h: F.glu(torch.cat([torch.ones_like(h), h], 1), 1),
    "threshold": lambda h: F.threshold(h, 0.1, 0.0),
    "clamp": lambda h: h.clamp(min=0),
    "clamp_min": lambda h: h.clamp_min(0.0),
    "clamp to 6": lambda h: h.clamp(0, 6),
    "maximum": lambda h: torch.maximum(h, torch.zeros_like(h)),
    "maximum with a number": lambda h: torch.maximum(h, torch.tensor(0.0)),
    "where": lambda h: torch.where(h > 0, h, 0.01 * h),
    "masked_fill": lambda h: h.masked_fill(h < 0, 0.0),
    "times a mask": lambda h: h * (h > 0),
    "squared relu": lambda h: torch.relu(h) ** 2,
    "relu, scaled": lambda h: 3 * torch.relu(h) + 1,
    "module": nn.Sequential(nn.Dropout(), nn.GELU()),
}

NOT_FUNCTIONS: dict[str, Function] = {
    "affine": lambda h: 2 * h + 1,
    "exp": torch.exp,
    "square": torch.square,
    "sin": torch.sin,
    "abs": torch.abs,
    "softmax": lambda h: h.softmax(1),
    "leaky on half": lambda h: F.leaky_relu(h, 0.5),
    "round": torch.round,
}


class Net(nn.Module):
    """A function of a linear layer."""

    def __init__(self, linear: nn.Linear, function: Function) -> None:
        super().__init__()
        self.linear = linear
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.linear(x))


def linear(weight: Sequence[Sequence[float]] | Tensor, bias: Sequence[float]) -> nn.Linear:
    weight = torch.as_tensor(weight)
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": torch.tensor(bias)})
    return layer


def sleeping() -> nn.Linear:
    """Two units; the second is far below 0 unless the last three inputs alone are high."""
    return linear([[1.0] * 6, [-20.0] * 3 + [20.0] * 3], [-3.0, -10.0])


def found(
    module: nn.Module,
    inputs: tuple[TensorSpec, ...],
    rows: dict[str, Array],
    outputs: tuple[TensorSpec, ...] = (Y,),
) -> Activations:
    """What is found in a part, captured as the export does: with a batch of 2, or a fixed one."""
    part = Part(module.eval(), inputs, outputs)
    example = tuple(
        torch.from_numpy(rows[spec.name][:2] if spec.shape[0] == "batch" else rows[spec.name])
        for spec in inputs
    )
    batch = torch.export.Dim("batch")
    shapes = tuple({0: batch} if spec.shape[0] == "batch" else {} for spec in inputs)
    program = torch.export.export(module, example, dynamic_shapes=shapes)
    return activation_rows(part, program, rows)


def dense(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(0.45, 0.55, shape).astype(np.float32)


class All(nn.Module):
    """Each function of one linear layer: [batch, functions, units]."""

    def __init__(self, layer: nn.Linear, functions: dict[str, Function]) -> None:
        super().__init__()
        self.linear = layer
        self.functions = list(functions.values())
        self.modules_among = nn.ModuleList(f for f in self.functions if isinstance(f, nn.Module))

    def forward(self, x: Tensor) -> Tensor:
        before = self.linear(x)
        return torch.stack([function(before) for function in self.functions], 1)


def test_inactive_units_of_all_functions_are_activated_within_the_range() -> None:
    net = All(sleeping(), FUNCTIONS).eval()
    rows = dense(8, 6)
    assert net.linear(torch.from_numpy(rows))[:, 1].max() < -5
    result = found(net, (X,), {"x": rows})
    assert (result.units, result.inactive) == (2 * len(FUNCTIONS), 0)
    x = torch.from_numpy(result.rows["x"])
    assert x.shape[1:] == (6,)
    assert x.dtype == torch.float32
    assert x.min() > 0
    assert x.max() <= 1
    # A weight of the unit shows at the output: its slope is not small, nor are its inputs.
    for place, name in enumerate(FUNCTIONS):
        shows = max(
            torch.autograd.grad(net(row[None])[0, place, 1], net.linear.weight)[0][1].abs().min()
            for row in x
        )
        assert shows > 0.005, name


@pytest.mark.parametrize("name", ["gelu", "glu", "relu in place"])
def test_a_unit_has_one_row(name: str) -> None:
    result = found(Net(sleeping(), FUNCTIONS[name]), (X,), {"x": dense(8, 6)})
    assert (result.units, result.inactive, len(result.rows["x"])) == (2, 0, 1)


def test_what_passes_all_signals_has_no_units() -> None:
    result = found(All(sleeping(), NOT_FUNCTIONS), (X,), {"x": dense(8, 6)})
    assert (result.units, result.inactive) == (0, 0)
    assert result.rows["x"].shape == (0, 6)


@pytest.mark.parametrize("function", [F.softshrink, F.hardshrink, F.tanhshrink])
def test_shrinking_functions_are_inactive_around_zero(function: Function) -> None:
    small = linear([[0.01] * 6, [-1.0] * 3 + [1.0] * 3], [0.0, 0.0])
    result = found(Net(small, function), (X,), {"x": dense(8, 6)})
    assert (result.units, result.inactive) == (2, 1)  # the first cannot leave [0, 0.06]
    before = small(torch.from_numpy(result.rows["x"]))[:, 1]
    assert before.abs().max() > 0.5


@pytest.mark.parametrize("function", [torch.sigmoid, torch.tanh, F.hardtanh, F.hardsigmoid])
def test_saturation_on_either_side_is_inactive(function: Function) -> None:
    both = linear([[-20.0] * 3 + [20.0] * 3] * 2, [-30.0, 30.0])
    result = found(Net(both, function), (X,), {"x": dense(8, 6)})
    assert (result.units, result.inactive) == (2, 0)
    before = both(torch.from_numpy(result.rows["x"]))
    assert (before.abs() < 4).any(0).all()


def test_units_that_given_rows_activate_and_dead_ones_give_no_rows() -> None:
    rows = {"x": np.array([[0.1, 0.1, 0.1, 1, 1, 1], [1, 1, 1, 1, 1, 1]], dtype=np.float32)}
    result = found(Net(sleeping(), F.gelu), (X,), rows)
    assert (result.units, result.inactive, len(result.rows["x"])) == (2, 0, 0)
    dead = sleeping()
    with torch.no_grad():
        dead.bias[1] = -100.0
    result = found(Net(dead, F.gelu), (X,), rows)
    assert (result.units, result.inactive, len(result.rows["x"])) == (2, 1, 0)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), low=st.floats(-2, 0.5), wide=st.floats(0.5, 3))
def test_of_a_linear_layer_all_units_are_found_that_the_range_allows(
    seed: int, low: float, wide: float
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(12, 6)).astype(np.float32) * 3
    bias = rng.normal(size=12).astype(np.float32) * 8
    high = low + wide
    spec = TensorSpec("x", ("batch", 6), range=(low, high))
    rows = rng.uniform(low, high, (4, 6)).astype(np.float32)
    net = Net(linear(torch.from_numpy(weight), bias.tolist()), F.relu)
    result = found(net, (spec,), {"x": rows})
    most = np.maximum(weight * low, weight * high).sum(1) + bias
    everything = np.concatenate([rows, result.rows["x"]])
    assert everything.min() >= low - 1e-6
    assert everything.max() <= high + 1e-6
    reached = (everything @ weight.T + bias).max(0)
    assert (reached[most > 3] > 0).all()  # not those that only a corner would activate
    assert result.inactive <= (most <= 3).sum()
    assert result.inactive >= (most <= 0).sum()


def test_many_units_share_few_rows() -> None:
    torch.manual_seed(0)
    wide = nn.Linear(64, 512)
    with torch.no_grad():
        wide.bias -= 0.7
    spec = TensorSpec("x", ("batch", 64), range=(0.0, 1.0))
    rows = dense(8, 64)
    assert (wide(torch.from_numpy(rows)) < 0).all(0).sum() > 400
    result = found(Net(wide, F.gelu), (spec,), {"x": rows})
    most = (wide.weight.clamp(min=0).sum(1) + 0.05 * wide.weight.clamp(max=0).sum(1)) + wide.bias
    assert result.units == 512
    assert result.inactive <= (most < 0.5).sum() < 10
    assert len(result.rows["x"]) <= 64


def test_more_units_than_rows_may_be_kept_are_counted() -> None:
    """Each unit is active at one place only, so that each needs a row of its own."""
    units = 80
    weight = torch.eye(units) * 40 - 20.0  # x_i high, and all others low
    net = Net(linear(weight, [-10.0] * units), F.relu)
    spec = TensorSpec("x", ("batch", units), range=(-1.0, 1.0))
    result = found(net, (spec,), {"x": dense(4, units)})
    before = net.linear(torch.from_numpy(result.rows["x"]))
    assert len(result.rows["x"]) <= 64
    assert result.inactive == units - int((before > 0.05).any(0).sum())


def test_deeper_layers_and_channels_of_convolutions() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GELU(), nn.Conv2d(4, 16, 3), nn.ReLU(True)
    ).eval()
    with torch.no_grad():
        net[3].bias -= 0.25
    spec = TensorSpec("x", ("batch", 1, 9, 9), range=(0.0, 1.0))
    rows = dense(8, 1, 9, 9)
    result = found(net, (spec,), {"x": rows})
    assert result.units == 20
    seen = net(torch.from_numpy(np.concatenate([rows, result.rows["x"]])))
    silent = int((seen.amax((0, 2, 3)) == 0).sum())
    assert result.inactive == silent
    assert silent < int((net(torch.from_numpy(rows)).amax((0, 2, 3)) == 0).sum())


class Tokens(nn.Module):
    """[batch, 5, 6] -> 8 features of 5 tokens, laid out in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.linear = nn.Linear(6, 8)
        with torch.no_grad():
            self.linear.weight.copy_(torch.eye(8, 6) * 3 + torch.eye(8).roll(6, 0)[:, :6] * 3)
            self.linear.bias.fill_(-6)

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "tokens first":
            return F.gelu(self.linear(x.transpose(0, 1))).transpose(0, 1)
        if self.way == "joined":
            return F.gelu(self.linear(x.reshape(-1, 6))).reshape(-1, 5, 8)
        if self.way == "features first":
            return F.gelu(self.linear(x).transpose(1, 2))
        return F.gelu(self.linear(x))


@pytest.mark.parametrize("way", ["batch first", "tokens first", "joined", "features first"])
def test_units_of_tokens_are_features(way: str) -> None:
    torch.manual_seed(1)
    net = Tokens(way)
    spec = TensorSpec("x", ("batch", 5, 6), range=(-4.0, 4.0))
    rows = dense(8, 5, 6)
    assert (net.linear(torch.from_numpy(rows)) < -0.5).all()
    result = found(net, (spec,), {"x": rows})
    assert (result.units, result.inactive) == (8, 0)
    assert (net.linear(torch.from_numpy(result.rows["x"])) > 0).any(0).any(0).all()


class Conditional(nn.Module):
    """Units 0 and 1 need a label, 2 a scale and an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3, 3)
        self.linear = linear([[1.0] * 6, [1.0] * 6, [20.0] * 6], [-10.0, -10.0, -130.0])
        with torch.no_grad():
            self.embedding.weight.copy_(
                torch.tensor([[0.0, 0.0, 0.0], [8.0, 0.0, 0.0], [0.0, 8.0, 0.0]])
            )

    def forward(self, label: Tensor, scale: Tensor, x: Tensor) -> Tensor:
        return F.gelu(self.linear(x) + self.embedding(label) + scale[:, None])


def test_inputs_are_pushed_together_and_integers_come_from_the_given_rows() -> None:
    label = TensorSpec("label", ("batch",), dtype="int64")
    scale = TensorSpec("scale", ("batch",))
    rows = {
        "label": np.arange(9) % 3,
        "scale": np.linspace(-1, 1, 9, dtype=np.float32),
        "x": dense(9, 6) / 10,
    }
    net = Conditional()
    result = found(net, (label, scale, X), rows)
    assert (result.units, result.inactive) == (3, 1)  # 20 * 6 + 2.6 - 130 is below 0
    assert result.rows["label"].dtype == np.int64
    assert set(result.rows["label"]) == {1, 2}
    assert len(result.rows["label"]) == len(result.rows["scale"]) == len(result.rows["x"])
    deviation, mean = rows["scale"].std(), rows["scale"].mean()
    assert np.abs(result.rows["scale"] - mean).max() <= 4 * deviation + 1e-6
    given_units = net(*(torch.from_numpy(value) for value in result.rows.values()))
    assert (given_units[:, :2].amax(0) > 0).all()


def test_integer_inputs_alone_are_looked_at_and_not_pushed() -> None:
    class Codes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(3, 2)
            with torch.no_grad():
                self.embedding.weight.copy_(torch.tensor([[1.0, -9], [-9, -9], [-9, -9]]))

        def forward(self, codes: Tensor) -> Tensor:
            return F.relu(self.embedding(codes))

    spec = TensorSpec("codes", ("batch", 5), dtype="int64")
    result = found(Codes(), (spec,), {"codes": np.arange(20).reshape(4, 5) % 3})
    assert (result.units, result.inactive) == (2, 1)
    assert result.rows["codes"].shape == (0, 5)


def test_inputs_without_rows_stay_as_they_are() -> None:
    class Heated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = sleeping()

        def forward(self, heat: Tensor, x: Tensor) -> Tensor:
            return F.relu(self.linear(x) * heat) * torch.tanh(heat)

    heat = TensorSpec("heat", (1,))
    rows = {"heat": np.full(1, 0.5, dtype=np.float32), "x": dense(8, 6)}
    result = found(Heated(), (heat, X), rows)
    assert (result.units, result.inactive) == (3, 0)  # tanh of what all rows share is one
    assert result.rows["heat"].tolist() == [0.5]
    assert result.rows["x"].shape == (1, 6)


def test_a_part_that_never_reaches_the_rest_of_its_model() -> None:
    class Split(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = Net(sleeping(), nn.ReLU())
            self.decoder = nn.Sequential(nn.Linear(2, 6), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return self.encoder(x)

    result = found(Split(), (X,), {"x": dense(8, 6)})
    assert (result.units, result.inactive, len(result.rows["x"])) == (2, 0, 1)


def test_a_graph_of_a_fixed_batch_runs_at_it() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = sleeping()

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.linear(x) + torch.zeros(3, 2))

    spec = TensorSpec("x", (3, 6), range=(0.0, 1.0))
    module = Fixed().eval()
    program = torch.export.export(module, (torch.zeros(3, 6),))
    part = Part(module, (spec,), (TensorSpec("y", (3, 2)),))
    result = activation_rows(part, program, {"x": dense(8, 6)})
    assert (result.units, result.inactive, len(result.rows["x"])) == (2, 0, 1)


def test_a_graph_that_runs_at_the_traced_batch_alone_is_filled_up() -> None:
    """As where the capture took a size for a constant and did not say so."""
    net = Net(sleeping(), F.relu).eval()
    batch = torch.export.Dim("batch")
    program = torch.export.export(net, (torch.zeros(2, 6),), dynamic_shapes=({0: batch},))
    graph = program.graph
    node = next(item for item in graph.nodes if item.op == "call_function")
    with graph.inserting_before(node):
        baked = graph.call_function(torch.ops.aten.reshape.default, (node.args[0], [2, 6]))
    baked.meta["val"] = node.args[0].meta["val"]
    node.replace_input_with(node.args[0], baked)
    result = activation_rows(Part(net, (X,), (Y,)), program, {"x": dense(7, 6)})
    assert (result.units, result.inactive, len(result.rows["x"])) == (2, 0, 1)


def test_units_of_a_graph_that_fails_while_running_are_inactive() -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = sleeping()
            self.register_buffer("table", torch.ones(10))

        def forward(self, x: Tensor) -> Tensor:
            places = (x.sum(1) * 1e6).long()
            return F.relu(self.linear(x) * self.table[places][:, None])

    module = Fails().eval()
    batch = torch.export.Dim("batch")
    program = torch.export.export(module, (torch.zeros(2, 6),), dynamic_shapes=({0: batch},))
    result = activation_rows(Part(module, (X,), (Y,)), program, {"x": dense(8, 6)})
    assert (result.units, result.inactive, len(result.rows["x"])) == (2, 2, 0)


class Odd(nn.Module):
    """Casts, recurrence, sizes that depend on data, no gradient."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.linear = nn.Linear(6, 8)
        self.lstm = nn.LSTM(6, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "lstm":
            return F.relu(self.lstm(x[:, None])[0][:, 0])
        if self.way == "float64":
            return F.relu(self.linear(x).double() - 2).float() + F.relu(self.linear(x))
        if self.way == "sizes":
            return F.relu(self.linear(x)) + F.relu(torch.nonzero(x[0] > 0).float()).sum()
        if self.way == "rounded":
            return F.relu(self.linear(torch.round(x)))
        with torch.no_grad():
            return F.relu(self.linear(x) - 0.3)


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")  # of torch itself
@pytest.mark.parametrize("way", ["lstm", "float64", "sizes", "rounded", "no_grad"])
def test_odd_modules_have_their_units_counted(way: str) -> None:
    torch.manual_seed(0)
    result = found(Odd(way), (X,), {"x": dense(8, 6)})
    assert result.units == (16 if way == "float64" else 8)
    assert 0 <= result.inactive < result.units


def test_rows_at_once_are_bounded_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Watched(nn.Module):
        def forward(self, h: Tensor) -> Tensor:
            return F.relu(h)

    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), Watched())
    spec = TensorSpec("x", ("batch", 1, 16, 16), range=(0.0, 1.0))
    monkeypatch.setattr(traced, "_MEMORY", 12 * 3 * 16 * 16 * 10)
    run = traced.Prefix._one

    def one(self: traced.Prefix, inputs: list[Tensor], measure: traced.Measure) -> list[Tensor]:
        sizes.append(len(inputs[0]))
        return run(self, inputs, measure)

    monkeypatch.setattr(traced.Prefix, "_one", one)
    found(net, (spec,), {"x": dense(9, 1, 16, 16)})
    assert max(sizes) == 6  # a row has 256 + 1024 elements before the function


def test_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from aeonnx.exporting.verify import activations

    rows, passes = dense(8, 6), []
    run = traced.Prefix._one

    def one(self: traced.Prefix, inputs: list[Tensor], measure: traced.Measure) -> list[Tensor]:
        passes.append(len(inputs[0]))
        return run(self, inputs, measure)

    monkeypatch.setattr(traced.Prefix, "_one", one)
    monkeypatch.setattr(activations, "_CHEAP", 0.0)
    wide = nn.Linear(6, 4000)
    with torch.no_grad():
        wide.bias -= 100.0  # beyond what any input may do
    result = found(Net(wide, F.relu), (X,), {"x": rows})
    assert (result.units, result.inactive) == (4000, 4000)
    assert sum(passes) <= 12 * len(rows)


def test_the_gates_inputs_activate_units_of_the_documented_example() -> None:
    """512 weights of dormant GELUs were wrong by a half, and the gate passed."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 4), nn.GELU(), nn.Linear(4, 2))
    net[0].load_state_dict(sleeping_four().state_dict())
    part = Part(net.eval(), (X,), (Y,))
    found, _ = rows_of(part, program_of(part), {})
    rows = torch.from_numpy(found.values["x"])
    right = net(rows)
    with torch.no_grad():
        net[2].weight[:, 3] += 0.5
    assert (net(rows) - right).abs().max() > 0.1


def sleeping_four() -> nn.Linear:
    return linear([[1.0] * 6] * 3 + [[-20.0] * 5 + [40.0]], [-1.0, -2.0, -3.0, -30.0])
