"""The simulated rounding, held against what float32 really loses."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from aeonnx.bundle import TensorSpec
from aeonnx.exporting.verify.reference import Reference
from aeonnx.models import Part


class Of(nn.Module):
    """A function, with layers that it uses."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x, *self.layers)


def attention(x: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(x, x.flip(1), x)


IMAGE = (4, 12, 12)
TOKENS = (6, 16)
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(400, 20), (400,)),
    "linear of tokens": (nn.Linear(16, 5), TOKENS),
    "conv1d": (nn.Conv1d(6, 4, 3), TOKENS),
    "conv2d": (nn.Conv2d(4, 8, 3, groups=2), IMAGE),
    "conv3d": (nn.Conv3d(2, 4, 3), (2, 6, 6, 6)),
    "conv transposed": (nn.ConvTranspose2d(4, 8, 4, 2, 1), IMAGE),
    "batch norm": (nn.BatchNorm2d(4), IMAGE),
    "group norm": (nn.GroupNorm(2, 4), IMAGE),
    "instance norm": (nn.InstanceNorm2d(4, affine=True), IMAGE),
    "layer norm": (nn.LayerNorm(16), TOKENS),
    "weight norm": (nn.utils.parametrizations.weight_norm(nn.Linear(16, 5)), TOKENS),
    "spectral norm": (nn.utils.parametrizations.spectral_norm(nn.Linear(16, 5)), TOKENS),
    "lstm": (Of(lambda x, lstm: lstm(x)[0], nn.LSTM(16, 8, 2, batch_first=True)), TOKENS),
    "gru": (Of(lambda x, gru: gru(x)[0], nn.GRU(16, 8, batch_first=True)), TOKENS),
    "attention": (Of(attention), TOKENS),
    "transformer": (nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), TOKENS),
    "einsum": (Of(lambda x: torch.einsum("btc,bsc->bts", x, x)), TOKENS),
    "softmax": (Of(lambda x: x.mul(4).softmax(-1)), TOKENS),
    "mean": (Of(lambda x: x.mean((1, 2))), IMAGE),
    "variance": (Of(lambda x: x.var((2, 3))), IMAGE),
    "standard deviation": (Of(lambda x: x.std(-1, correction=0)), TOKENS),
    "norm": (Of(lambda x: functional.normalize(x, dim=-1)), TOKENS),
    "gelu": (nn.GELU(), TOKENS),
    "in place": (Of(lambda x: x.clone().mul_(1.7).add_(0.3).sigmoid_()), TOKENS),
    "resize": (nn.Upsample(scale_factor=1.5, mode="bilinear"), IMAGE),
}


def reference(module: nn.Module, shape: tuple[int, ...]) -> Reference:
    x, y = (TensorSpec(name, ("batch", *shape)) for name in ("x", "y"))
    return Reference(Part(module.eval(), (x,), (y,)))


def lost(value: np.ndarray, double: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(value - double))))


@pytest.mark.parametrize("name", LAYERS)
def test_an_operator_loses_about_what_float32_does(name: str) -> None:
    torch.manual_seed(0)
    module, shape = copy.deepcopy(LAYERS[name])
    x = {"x": np.random.default_rng(0).normal(size=(16, *shape)).astype(np.float32)}
    torch_like = reference(module, shape)
    double = torch_like.double(x)["y"]
    assert double.dtype == np.float64
    real = lost(torch_like.single(x)["y"], double)
    assert real > 0
    for draw in range(3):
        perturbed = torch_like.perturbed(x, draw)["y"]
        assert 0.3 < lost(perturbed, double) / real < 9
        assert np.array_equal(perturbed, torch_like.perturbed(x, draw)["y"])


def test_what_float32_keeps_is_kept() -> None:
    def exact(x: Tensor) -> Tensor:
        whole = (x * 4).round().unsqueeze(-1).mean(-1)  # of one number
        return torch.relu(whole).flip(1).cumsum(1).clamp(max=50).reshape(len(x), -1) * 0.5

    torch_like = reference(Of(exact), TOKENS)
    x = {"x": np.random.default_rng(0).normal(size=(4, *TOKENS)).astype(np.float32)}
    for draw in range(3):
        assert np.array_equal(torch_like.perturbed(x, draw)["y"], torch_like.double(x)["y"])


class Casting(nn.Module):
    """Computes in float32 whatever it is given, as many modules from elsewhere do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)
        self.norm = nn.LayerNorm(16)
        self.scale = torch.rand(16)  # no buffer

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.layer(x).float() * self.scale + torch.tensor(0.1)
        with torch.no_grad():
            hidden = self.norm(hidden.to(torch.float32)).type_as(x)
        return hidden + torch.zeros(16, dtype=torch.float32)


def test_casts_to_float32_do_not_narrow_the_truth() -> None:
    torch.manual_seed(0)
    module = Casting()
    x = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    double = reference(module, (16,)).double({"x": x})["y"]
    linear, norm = copy.deepcopy(module.layer).double(), copy.deepcopy(module.norm).double()
    with torch.no_grad():
        hidden = linear(torch.from_numpy(x).double()) * module.scale.double()
        by_hand = norm(hidden + torch.tensor(0.1).double())
    assert np.abs(double - by_hand.numpy()).max() < 1e-13


@pytest.mark.parametrize("masks", [1, 2])
def test_what_masks_hide_stays_hidden(masks: int) -> None:
    """As in attention of transformers: scores plus the lowest number, twice of which overflows."""
    mask = torch.full((6, 6), torch.finfo(torch.float32).min).triu(1)

    def masked(x: Tensor) -> Tensor:
        scores = x @ x.transpose(1, 2)
        for _ in range(masks):
            scores = scores + mask
        return scores.softmax(-1) @ x

    part = Part(
        Of(masked).eval(),
        (TensorSpec("x", ("batch", *TOKENS)),),
        (TensorSpec("y", ("batch", *TOKENS)),),
    )
    x = {"x": np.random.default_rng(0).normal(size=(32, *TOKENS)).astype(np.float32)}
    reference = Reference(part)
    exact = reference.double(x)["y"]
    for draw in range(8):
        np.testing.assert_allclose(reference.perturbed(x, draw)["y"], exact, rtol=0, atol=1e-4)


def test_a_constant_image_shows_what_a_norm_amplifies() -> None:
    # Its variance is 0, so that 1 / sqrt(1e-5) multiplies the last bit of every mean.
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.InstanceNorm2d(8), nn.Conv2d(8, 4, 3))
    torch_like = reference(network, (1, 16, 16))
    flat = {"x": np.full((4, 1, 16, 16), 0.7, np.float32)}
    mixed = {"x": np.random.default_rng(0).random((4, 1, 16, 16)).astype(np.float32)}
    floors = [
        max(
            lost(torch_like.perturbed(x, draw)["y"], torch_like.double(x)["y"]) for draw in range(4)
        )
        for x in (flat, mixed)
    ]
    assert floors[0] > 10 * floors[1]


@pytest.mark.parametrize("norm", [nn.InstanceNorm2d(3), nn.GroupNorm(1, 3), nn.LayerNorm(8)])
def test_the_variance_of_large_equal_values_is_never_negative(norm: nn.Module) -> None:
    # E[x^2] - E[x]^2 of equal values near 1000 is off by hundredths: 1 / sqrt of it would be NaN.
    torch_like = reference(norm, (3, 8, 8))
    rows = np.random.default_rng(0).uniform(900, 1100, (64, 1, 1, 1)).astype(np.float32)
    flat = {"x": np.broadcast_to(rows, (64, 3, 8, 8)).copy()}
    for draw in range(8):
        assert np.isfinite(torch_like.perturbed(flat, draw)["y"]).all()


@pytest.mark.parametrize(("runs", "count"), [(1, 100), (1, 1292), (1, 5000), (4, 1152), (8, 800)])
def test_equal_terms_are_rounded_one_way(runs: int, count: int) -> None:
    # The mean of equal numbers is off by more than that of different ones, and a norm divides what
    # is left of a constant image by the square root of its epsilon. Each channel of a convolution
    # of a constant image is a run of equal numbers.
    mean = reference(Of(lambda x: x.mean(1, keepdim=True)), (count,))
    rng = np.random.default_rng(0)
    terms = np.repeat(rng.uniform(0.1, 1, (200, runs)), count // runs, 1)
    equal = {"x": terms.astype(np.float32)}
    given = np.add.accumulate(equal["x"], axis=1)[:, -1:] / np.float32(count)  # one by one
    lost_in_a_row = np.abs(given - mean.double(equal)["y"]).max()
    simulated = max(
        lost(mean.perturbed(equal, i)["y"], mean.double(equal)["y"]) for i in range(1, 5)
    )
    others = {"x": rng.uniform(0.1, 1, (200, count)).astype(np.float32)}
    right = mean.double(others)["y"]
    usual = max(lost(mean.perturbed(others, i)["y"], right) for i in range(1, 5))
    assert simulated > 3 * usual
    assert simulated < 10 * lost_in_a_row


@pytest.mark.parametrize(
    "reduced",
    [
        lambda x: x.mean(),
        lambda x: x.sum((1, -1), keepdim=True),
        lambda x: x.mean([0, 2], keepdim=True),
        lambda x: x.sum(-1, keepdim=True, dtype=torch.float32),
    ],
)
def test_sums_along_any_axes_lose_digits(reduced: Callable[[Tensor], Tensor]) -> None:
    torch_like = reference(Of(lambda x: x * 0 + reduced(x)), TOKENS)
    x = {"x": np.random.default_rng(0).random((4, *TOKENS)).astype(np.float32)}
    off = np.abs(torch_like.perturbed(x, 1)["y"] - torch_like.double(x)["y"]).max()
    assert 0 < off < 1e-4


def test_sums_of_integers_and_of_single_numbers_are_exact() -> None:
    counted = reference(Of(lambda x: x[:1, :1, :1].sum() + (x > 0.5).sum(1, keepdim=True)), TOKENS)
    x = {"x": np.full((4, *TOKENS), 0.75, np.float32)}
    assert np.array_equal(counted.perturbed(x, 1)["y"], counted.double(x)["y"])


def test_the_module_of_the_part_is_not_changed() -> None:
    module = Casting()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    torch_like = reference(module, (16,))
    x = np.ones((2, 16), np.float32)
    torch_like.double({"x": x})
    torch_like.perturbed({"x": x}, 1)
    assert module.scale.dtype == torch.float32
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert (x == 1).all()
