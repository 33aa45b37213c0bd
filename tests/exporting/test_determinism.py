"""Modules that are no function of their inputs are refused, and those that only look so are not."""

from __future__ import annotations

import datetime
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, indent

import numpy as np
import pytest
import torch
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import aeonnx as aeonnx_package
from aeonnx.errors import GraphError
from aeonnx.exporting.determinism.check import require_deterministic
from aeonnx.models import Part, latent

MINE = """
import datetime, functools, itertools, random, time, warnings
from datetime import datetime as moment
from time import time as now

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from aeonnx.models import Part, image, latent

calls = itertools.count()
kept = {}


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 16)
        self.set_up()

    def set_up(self):
        pass

    def forward(self, z):
        return torch.sigmoid(self.logits(self.layer(z))).reshape(-1, 1, 4, 4)


"""

BUILD = """

class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
        self.decoder = Decoder()

    def parts(self):
        x, z = image("x", (1, 4, 4), "pictures"), latent("z", 4, "latent")
        y = image("reconstruction", (1, 4, 4), "reconstructed pictures")
        encoder, decoder = Part(self.encoder, (x,), (z,)), Part(self.decoder, (z,), (y,))
        return {"encoder": encoder, "decoder": decoder}


def build():
    return Mine()
"""

Export = Callable[[str], Result]


@pytest.fixture
def export(aeonnx: Callable[..., Result]) -> Iterator[Export]:
    """Export a decoder whose class body is given, from a file of the user's."""

    def run(body: str) -> Result:
        before, _, body = body.rpartition("---")
        source = dedent(before) + "\n\nclass Decoder(Base):\n" + indent(dedent(body), "    ")
        Path("mine.py").write_text(MINE + source + BUILD)
        return aeonnx("export", "--from", "module:mine:build", "--part", "decoder", "-o", "b")

    yield run
    sys.modules.pop("mine", None)


RANDOM = {
    "randn_like": ("return y + torch.randn_like(y)", "torch.randn_like draws random numbers"),
    "rand": ("return y + torch.rand(16)", "torch.rand draws random numbers"),
    "in_place": ("return y + y.clone().normal_()", "torch.Tensor.normal_ draws random numbers"),
    "bernoulli": ("return y * torch.bernoulli(torch.full((16,), 0.5))", "torch.bernoulli draws"),
    "randperm": ("return y[:, torch.randperm(16)]", "torch.randperm draws random numbers"),
    "multinomial": (
        "return y + torch.multinomial(y.softmax(1), 1)", "torch.multinomial draws random numbers",
    ),
    "reparametrized": (
        "return torch.distributions.Normal(y, 1.0).rsample()",
        "torch.Tensor.normal_ draws random numbers",
    ),
    "gumbel": ("return F.gumbel_softmax(y)", "F.gumbel_softmax draws random numbers"),
    "seeded_by_the_step": (
        "kept['n'] = kept.get('n', 0) + 1; return y + torch.randn(16, generator="
        "torch.Generator().manual_seed(kept['n']))",
        "forward changes kept of the file mine",
    ),
}  # fmt: skip
NOISE = "Pass the random numbers as an input of the part, or draw them only if self.training"


@pytest.mark.parametrize(("line", "text"), RANDOM.values(), ids=RANDOM)
def test_torch_s_random_operators_are_named_with_their_line(
    export: Export, line: str, text: str
) -> None:
    result = export(f"def logits(self, y):\n    {line}\n")
    assert result.exit_code == 1, result.stderr
    assert "decoder: a graph must be a function of its inputs, and this module is" in result.stderr
    assert "gives another reconstruction (largest difference " in result.stderr
    assert text in result.stderr
    number = Path("mine.py").read_text().splitlines().index(f"        {line}") + 1
    assert f"mine.py:{number} ({line})" in result.stderr
    assert not Path("b").exists()
    if "draws" in text:
        assert "with other seeds" in result.stderr
        assert NOISE in result.stderr


REFUSED = {
    "dropout_that_is_always_on": (
        "def logits(self, y):\n    return F.dropout(y)",
        ("with other seeds", "F.dropout draws", "Write F.dropout(..., training=self.training)"),
    ),
    "dropout_module_in_training": (
        """
        def set_up(self):
            self.drop = nn.Sequential(nn.Linear(16, 16), nn.Dropout())
        def train(self, mode=True):
            return self
        def eval(self):
            self.drop.train()
            return self
        def logits(self, y):
            return self.drop(y)
        """,
        ("drop.1 (Dropout in training mode)", "Call eval() on it: forward must not call train()"),
    ),
    "training_mode_from_the_second_call_on": (
        """
        def set_up(self):
            self.drop = nn.Dropout()
        def logits(self, y):
            y = self.drop(y)
            self.drop.train()
            return y
        """,
        ("at a second call", "training of drop", "Call eval() on it"),
    ),
    "batch_norm_in_training": (
        """
        def set_up(self):
            self.norm = nn.BatchNorm1d(16)
        def logits(self, y):
            self.norm.train()
            y = self.norm(y)
            self.norm.eval()
            return y
        """,
        (
            "decoder: a row's reconstruction must not depend on the other rows of its batch",
            "mean and variance are those of the batch in norm (BatchNorm1d in training mode), at "
            "mine.py:",
            "Call eval() on it",
        ),
    ),
    "batch_norm_without_running_statistics": (
        """
        def set_up(self):
            self.norm = nn.BatchNorm1d(16, track_running_stats=False)
        def logits(self, y):
            return self.norm(y)
        """,
        ("those of the batch in norm (BatchNorm1d), at mine.py:", "track_running_stats=True"),
    ),
    "batch_norm_function_in_training": (
        """
        def set_up(self):
            self.register_buffer("mean", torch.zeros(16))
            self.register_buffer("variance", torch.ones(16))
        def logits(self, y):
            return F.batch_norm(y, self.mean, self.variance, training=True)
        """,
        ("those of the batch in Decoder, at mine.py:", "F.batch_norm(..., training=self.training)"),
    ),
    "maximum_of_the_batch": (
        "def logits(self, y):\n    return y / y.abs().max()",
        (
            "decoder: a row's reconstruction must not depend on the other rows of its batch, and",
            "Reduce over the axes within a row only, such as x.amax((1, 2, 3), keepdim=True)",
        ),
    ),
    "first_row_of_the_batch": (
        "def logits(self, y):\n    return y - torch.tensor(float(y[0, 0]))",
        ("must not depend on the other rows of its batch",),
    ),
    "spectral_norm_in_training": (
        """
        def set_up(self):
            self.mix = nn.utils.parametrizations.spectral_norm(nn.Linear(16, 16))
        def logits(self, y):
            self.mix.train()
            return self.mix(y)
        """,
        ("at a second call", "training of mix", "_u of mix.parametrizations.weight.0", "Call eval"),
    ),
    "numpy_s_generator": (
        """
        def logits(self, y):
            noise = np.random.randn(16).astype(np.float32)
            return y + torch.from_numpy(noise)
        """,
        (
            "with other seeds", "forward draws from numpy's global generator",
            "the first result that differs is in Decoder, at mine.py:",
            "(return y + torch.from_numpy(noise))", NOISE,
        ),
    ),
    "python_s_generator": (
        "def logits(self, y):\n    return y * random.random()",
        ("with other seeds", "forward draws from Python's global generator", NOISE),
    ),
    "a_rare_draw_of_python": (
        "def logits(self, y):\n    return -y if random.uniform(0, 1) < 1e-6 else y",
        ("with the smallest random numbers", "Python's global generator"),
    ),
    "a_rare_draw_of_numpy": (
        "def logits(self, y):\n    return -y if np.random.rand() > 1 - 1e-9 else y",
        ("with the largest random numbers", "numpy's global generator"),
    ),
    "numpy_without_a_seed": (
        "def logits(self, y):\n    return y + np.random.default_rng().normal()",
        ("on two fresh copies", "(return y + np.random.default_rng().normal())"),
    ),
    "numpy_generator_of_the_module": (
        """
        def set_up(self):
            self.rng = np.random.default_rng()
        def logits(self, y):
            return y + self.rng.normal()
        """,
        ("at a second call", "changes rng of Decoder, a generator of random numbers", NOISE),
    ),
    "torch_generator_of_the_module": (
        """
        def set_up(self):
            self.rng = torch.Generator()
        def logits(self, y):
            return y + torch.randn(16, generator=self.rng)
        """,
        ("at a second call", "torch.randn draws random numbers", NOISE),
    ),
    "time": (
        "def logits(self, y):\n    return y * (time.time() % 1)",
        ("time.time is read at mine.py:", "Pass the time as an input of the part"),
    ),
    "time_by_another_name": (
        "def logits(self, y):\n    return y * (int(now()) // 3600 % 24)",
        ("with another clock", "time.time is read at mine.py:", "Pass the time as an input"),
    ),
    "date": (
        "def logits(self, y):\n    return y * moment.now().hour",
        ("with another clock", "datetime.now is read at mine.py:", "Pass the time as an input"),
    ),
    "weekday": (
        "def logits(self, y):\n    return y * datetime.date.today().weekday()",
        ("with another clock", "is read at mine.py:", "Pass the time as an input"),
    ),
    "counter": (
        """
        steps = 0
        def logits(self, y):
            self.steps += 1
            return y * self.steps
        """,
        ("at a second call", "forward changes steps of Decoder", "In eval mode, forward must not"),
    ),
    "counter_of_the_file": (
        "def logits(self, y):\n    return y * next(calls)",
        ("forward changes calls of the file mine",),
    ),
    "counter_with_a_late_effect": (
        """
        def set_up(self):
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        def logits(self, y):
            self.steps += 1
            return y * (1 + self.steps // 1000)
        """,
        ("after a million calls", "forward changes steps of Decoder"),
    ),
    "moving_average": (
        """
        def set_up(self):
            self.register_buffer("mean", torch.zeros(16))
        def logits(self, y):
            self.mean.mul_(0.99).add_(y.mean(0), alpha=0.01)
            return y - self.mean
        """,
        ("at a second call", "forward changes mean of Decoder", "update it only if self.training"),
    ),
    "initialized_by_the_first_batch": (
        """
        def set_up(self):
            self.register_buffer("codes", torch.zeros(2, 16))
            self.register_buffer("initted", torch.tensor(False))
        def logits(self, y):
            if not self.initted:
                self.codes.copy_(y[:2])
                self.initted.fill_(True)
            return y @ self.codes.T @ self.codes
        """,
        ("after other rows", "forward changes codes of Decoder, initted of Decoder"),
    ),
    "attribute_made_by_the_first_call": (
        """
        def logits(self, y):
            if not hasattr(self, "centre"):
                self.centre = y.mean(0)
            return y - self.centre
        """,
        ("after other rows", "forward changes centre of Decoder"),
    ),
    "buffer_made_by_the_first_call": (
        """
        def logits(self, y):
            if not hasattr(self, "scale"):
                self.register_buffer("scale", y.abs().max())
            return y / self.scale
        """,
        ("after other rows", "forward changes scale of Decoder"),
    ),
    "kept_outside_the_module": (
        """
        def logits(self, y):
            if "mean" not in kept:
                kept["mean"] = y.mean(0)
            return y - kept["mean"]
        """,
        ("after other rows", "forward changes kept of the file mine"),
    ),
    "kept_in_the_class": (
        """
        mean = None
        def logits(self, y):
            if Decoder.mean is None:
                Decoder.mean = y.mean(0)
            return y - Decoder.mean
        """,
        ("after other rows", "forward changes mean of class Decoder"),
    ),
    "weights_that_forward_moves": (
        """
        def logits(self, y):
            self.layer.weight.data.mul_(0.999)
            return y
        """,
        ("at a second call", "forward changes weight of layer"),
    ),
    "unused_memory": (
        "def logits(self, y):\n    return y + torch.empty(16)",
        (
            "with other contents of uninitialized memory",
            "torch.empty returns uninitialized memory",
            "Write torch.zeros",
        ),
    ),
    "autograd_function_with_numpy": (
        """
        class Noise(torch.autograd.Function):
            @staticmethod
            def forward(ctx, y):
                return y * torch.from_numpy(np.random.rand(16).astype(np.float32))
            @staticmethod
            def backward(ctx, gradient):
                return gradient
        ---
        def logits(self, y):
            return Noise.apply(y)
        """,
        ("with other seeds", "forward draws from numpy's global generator", "at mine.py:"),
    ),
    "autograd_function_that_keeps_the_first_batch": (
        """
        class Centred(torch.autograd.Function):
            mean = None
            @staticmethod
            def forward(ctx, y):
                Centred.mean = y.mean(0) if Centred.mean is None else Centred.mean
                return y - Centred.mean
            @staticmethod
            def backward(ctx, gradient):
                return gradient
        ---
        def logits(self, y):
            return Centred.apply(y)
        """,
        ("after other rows", "forward changes mean of class Centred"),
    ),
}  # fmt: skip


@pytest.mark.shortened(8)
@pytest.mark.parametrize(("body", "texts"), REFUSED.values(), ids=REFUSED)
def test_what_changes_from_call_to_call_is_refused_with_its_cause(
    export: Export, body: str, texts: tuple[str, ...]
) -> None:
    result = export(body)
    assert result.exit_code == 1, result.stderr
    for text in texts:
        assert text in result.stderr
    assert not Path("b").exists()


@pytest.mark.parametrize(
    "line",
    ["return y + 0 * torch.randn_like(y)", "torch.manual_seed(0); return y + torch.randn(16)"],
    ids=["without_effect", "seeded_in_forward"],
)
def test_a_random_operator_is_refused_in_the_graph_if_its_effect_is_always_the_same(
    export: Export, line: str
) -> None:
    result = export(f"def logits(self, y):\n    {line}\n")
    assert result.exit_code == 1, result.stderr
    assert "is random: a graph must be a function of its inputs" in result.stderr
    assert not Path("b").exists()


RIGHT = {
    "batch_norm_in_eval": """
        def set_up(self):
            self.norm = nn.BatchNorm1d(16)
            self.drop = nn.Dropout()
        def logits(self, y):
            return F.dropout(self.drop(self.norm(y)), training=self.training)
        """,
    "noise_that_is_a_constant": """
        def set_up(self):
            torch.manual_seed(0)
            self.noise = torch.randn(16)
            self.table = np.random.default_rng(0).normal(size=16).astype(np.float32)
        def logits(self, y):
            return y + self.noise * torch.from_numpy(self.table)
        """,
    "grid_kept_by_its_shape": """
        def set_up(self):
            self.grids = {}
        def logits(self, y):
            if y.shape[1:] not in self.grids:
                self.grids[y.shape[1:]] = torch.arange(y.shape[1]) / 16
            return y + self.grids[y.shape[1:]]
        """,
    "grid_made_by_the_first_call": """
        grid = None
        @functools.lru_cache
        def scale(self, n):
            return 1 / n
        def logits(self, y):
            if self.grid is None:
                self.grid = torch.linspace(-1, 1, y.shape[1])
            return y + self.grid * self.scale(16)
        """,
    "counter_without_effect": """
        steps = 0
        def logits(self, y):
            self.steps += 1
            return y
        """,
    "clock_for_a_log": """
        def logits(self, y):
            begin = time.perf_counter()
            y = torch.tanh(y)
            self.seconds = time.perf_counter() - begin
            assert isinstance(moment.now(), moment)
            return y
        """,
    "draws_that_training_alone_uses": """
        def logits(self, y):
            dropped = random.uniform(0, 1) < 0.5
            kept = np.random.rand() < 0.5
            return y * 0 if self.training and dropped and kept else y
        """,
    "noise_that_is_not_returned": """
        def logits(self, y):
            sample = y + torch.randn_like(y)
            return y
        """,
    "memory_that_is_filled": """
        def logits(self, y):
            other = torch.empty_like(y)
            other.copy_(y)
            return other
        """,
    "old_weight_norm": """
        def set_up(self):
            warnings.simplefilter("ignore")
            self.mix = nn.utils.weight_norm(nn.Conv1d(1, 1, 3, padding=1))
        def logits(self, y):
            return self.mix(y[:, None])[:, 0]
        """,
    "new_weight_norm": """
        def set_up(self):
            self.mix = nn.utils.parametrizations.weight_norm(nn.Conv1d(1, 1, 3, padding=1))
        def logits(self, y):
            return self.mix(y[:, None])[:, 0]
        """,
    "old_spectral_norm": """
        def set_up(self):
            self.mix = nn.utils.spectral_norm(nn.Conv1d(1, 1, 3, padding=1))
        def logits(self, y):
            return self.mix(y[:, None])[:, 0]
        """,
    "new_spectral_norm": """
        def set_up(self):
            self.mix = nn.utils.parametrizations.spectral_norm(nn.Conv1d(1, 1, 3, padding=1))
        def logits(self, y):
            return self.mix(y[:, None])[:, 0]
        """,
    "lstm": """
        def set_up(self):
            self.lstm = nn.LSTM(4, 4, 2, batch_first=True, dropout=0.5)
        def logits(self, y):
            return self.lstm(y.reshape(-1, 4, 4))[0].flatten(1)
        """,
    "attention": """
        def set_up(self):
            self.mix = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        def logits(self, y):
            return self.mix(y.reshape(-1, 4, 4)).flatten(1)
        """,
    "instance_norm": """
        def set_up(self):
            self.norm = nn.InstanceNorm1d(4, affine=True)
        def logits(self, y):
            return self.norm(y.reshape(-1, 4, 4)).flatten(1)
        """,
    "autograd_function": """
        class Rounded(torch.autograd.Function):
            @staticmethod
            def forward(ctx, y):
                ctx.save_for_backward(y)
                return y.clamp(-1, 1) * 2 if ctx.needs_input_grad[0] else y.clamp(-1, 1) * 2
            @staticmethod
            def backward(ctx, gradient):
                return gradient
            @staticmethod
            def symbolic(graph, y):
                return graph.op("Neg", y)
        ---
        def logits(self, y):
            return Rounded.apply(y)
        """,
    "autograd_function_that_writes_into_its_input": """
        class Rectified(torch.autograd.Function):
            @staticmethod
            def forward(ctx, y):
                ctx.mark_dirty(y)
                return y.clamp_(min=0)
            @staticmethod
            def backward(ctx, gradient):
                return gradient
        ---
        def logits(self, y):
            y = y * 1
            Rectified.apply(y)
            return y
        """,
    "autograd_function_with_data": """
        class Tripled(torch.autograd.Function):
            @staticmethod
            def forward(ctx, y):
                y = y.data.clone()
                y.data.mul_(3)
                return y
            @staticmethod
            def backward(ctx, gradient):
                return gradient
        ---
        def logits(self, y):
            return Tripled.apply(y)
        """,
    "data_of_an_activation": """
        def logits(self, y):
            y.data.mul_(3)
            return y.data + 1
        """,
    "weights_clamped_in_forward": """
        def set_up(self):
            self.mix = nn.Linear(16, 16)
        def logits(self, y):
            self.mix.weight.data.clamp_(-0.1, 0.1)
            return self.mix(y)
        """,
    "a_dict_that_makes_what_it_is_asked_for": """
        from collections import OrderedDict

        class Making(OrderedDict):
            def __getitem__(self, key):
                made, words = super().__getitem__(key)
                return made(**words)

        LAYERS = Making(add=(nn.Identity, {}), wide=(nn.Bilinear, {"in1_features": 4,
                        "in2_features": 4, "out_features": 4}))
        ---
        def logits(self, y):
            return LAYERS["add"](y)
        """,
    "autograd_function_over_numpy": """
        class Tanh(torch.autograd.Function):
            @staticmethod
            def forward(ctx, y):
                return torch.from_numpy(np.tanh(y.detach().numpy()))
            @staticmethod
            def backward(ctx, gradient):
                return gradient
        ---
        def logits(self, y):
            return Tanh.apply(y)
        """,
}


@pytest.mark.shortened(7)
@pytest.mark.parametrize("body", RIGHT.values(), ids=RIGHT)
def test_what_only_looks_suspicious_is_exported(export: Export, body: str) -> None:
    result = export(body)
    assert result.exit_code == 0, result.stderr
    assert set(aeonnx_package.load("b").manifest.parts) == {"decoder"}


class Adding(nn.Module):
    """Adds what a function gives to its input."""

    def __init__(self, more: Callable[[Tensor], Tensor | float]) -> None:
        super().__init__()
        self.more = more

    def forward(self, z: Tensor) -> Tensor:
        return z + self.more(z)


def require(module: nn.Module, rows: int = 9) -> None:
    values = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
    part = Part(module, (latent("z", 4, "latent"),), (latent("y", 4, "sum"),))
    require_deterministic("adder", part, {"z": values})


def surroundings() -> tuple[object, ...]:
    clocks = (time.time, time.perf_counter_ns, datetime.datetime)
    settings = torch.are_deterministic_algorithms_enabled()
    generators = (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist())
    return clocks, settings, generators


def fails(_: Tensor) -> Tensor:
    random.random()
    np.random.rand()
    torch.rand(1)
    raise ArithmeticError("it is mine")


def test_what_a_module_raises_is_passed_on_and_the_surroundings_are_put_back() -> None:
    before = surroundings()
    with pytest.raises(ArithmeticError, match="it is mine"):
        require(Adding(fails))
    assert surroundings() == before
    with pytest.raises(GraphError, match="on two fresh copies|with other seeds"):
        require(Adding(lambda _: random.random() + np.random.rand() + torch.rand(1)))
    assert surroundings() == before
    require(Adding(lambda _: 1.0))
    assert surroundings() == before


class Counting(nn.Module):
    total = 0

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.calls = 0

    def forward(self, z: Tensor) -> Tensor:
        self.calls += 1
        Counting.total += 1
        self.mean += z.mean(0)
        return z.mul_(2)


def test_module_class_and_rows_are_as_they_were() -> None:
    module = Counting()
    rows = {"z": np.ones((9, 4), np.float32)}
    require_deterministic(
        "counter", Part(module, (latent("z", 4, "latent"),), (latent("y", 4, "sum"),)), rows
    )
    assert (module.calls, Counting.total) == (0, 0)
    assert not module.mean.any()
    assert (rows["z"] == 1).all()


def test_the_order_in_which_threads_add_up_is_no_reason_to_refuse() -> None:
    values = torch.arange(2.0**18).sin()
    index = torch.arange(2**18) % 4

    def added(_: Tensor) -> Tensor:
        return torch.zeros(4).index_put((index,), values, accumulate=True)

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _ in range(5):
            require(Adding(added))
    finally:
        torch.set_num_threads(threads)


def test_parts_of_several_inputs_of_one_row_and_with_unnamed_outputs() -> None:
    class Conditional(nn.Module):
        def forward(self, z: Tensor, label: Tensor) -> dict[str, object]:
            assert label.dtype == torch.int64
            return {"a": z * label[:, None], "b": [z, None, 3], "c": torch.rand(1)}

    z, label = latent("z", 4, "latent"), replace(latent("label", 4, "class"), dtype="int64")
    label = replace(label, shape=("batch",))
    part = Part(Conditional(), (z, label), (z,))
    rows = {"z": np.ones((1, 4), np.float32), "label": np.ones(1, np.int64)}
    with pytest.raises(GraphError, match=r"(?s)gives another value 5 of 5 .*torch.rand draws"):
        require_deterministic("decoder", part, rows)


LAYERS: tuple[Callable[[], nn.Module], ...] = (
    lambda: nn.Linear(4, 4),
    lambda: nn.BatchNorm1d(4),
    lambda: nn.LayerNorm(4),
    lambda: nn.GroupNorm(2, 4),
    lambda: nn.Dropout(0.5),
    lambda: nn.AlphaDropout(0.5),
    lambda: nn.RReLU(),
    lambda: nn.GELU(),
    lambda: nn.PReLU(),
    lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
    lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)),
    lambda: nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 2, 3, padding=1), nn.Flatten(),
                          nn.Linear(8, 4)),
    lambda: nn.Sequential(nn.Unflatten(1, (2, 2)), nn.InstanceNorm1d(2), nn.Flatten()),
    lambda: nn.Sequential(nn.Unflatten(1, (2, 2)),
                          nn.TransformerEncoderLayer(2, 1, 4, 0.5, batch_first=True), nn.Flatten()),
    lambda: nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Upsample(scale_factor=2, mode="bilinear"),
                          nn.MaxPool2d(2), nn.Flatten()),
)  # fmt: skip


@given(st.lists(st.sampled_from(LAYERS), min_size=1, max_size=6), st.integers(0, 99))
@settings(max_examples=15)
def test_modules_of_deterministic_layers_are_never_refused(
    layers: list[Callable[[], nn.Module]], seed: int
) -> None:
    torch.manual_seed(seed)
    require(nn.Sequential(*(layer() for layer in layers)))


DRAWS: dict[str, Callable[[Tensor], Tensor | float]] = {
    "torch": lambda z: torch.rand(z.shape),
    "numpy": lambda _: float(np.random.rand()),
    "python": lambda _: random.random(),
    "clock": lambda _: time.perf_counter(),
}


@given(
    st.lists(st.sampled_from(LAYERS), max_size=3),
    st.sampled_from(sorted(DRAWS)),
    st.lists(st.sampled_from(LAYERS[:2]), max_size=2),
)
@settings(max_examples=10)
def test_among_them_a_layer_that_draws_is_always_refused(
    before: list[Callable[[], nn.Module]], draw: str, after: list[Callable[[], nn.Module]]
) -> None:
    torch.manual_seed(0)
    layers = [*(layer() for layer in before), Adding(DRAWS[draw]), *(layer() for layer in after)]
    with pytest.raises(GraphError, match="must be a function of its inputs"):
        require(nn.Sequential(*layers))
