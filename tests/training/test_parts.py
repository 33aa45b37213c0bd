"""Corruption, noise, losses, schedules and recipes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from aeonnx.errors import UnknownNameError, UsageError
from aeonnx.training import losses
from aeonnx.training.corruption import CORRUPTIONS, Corruption
from aeonnx.training.engine.distributed import Ranks
from aeonnx.training.options import recipe_options
from aeonnx.training.random import Noise, seeded
from aeonnx.training.schedule import SCHEDULES, factor


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def corrupted(corrupt: Corruption, x: Tensor, seed: int = 0) -> Tensor:
    return corrupt(x, *corrupt.draw(Noise(noise(seed), len(x)), *x.shape[1:]))


@pytest.mark.parametrize("kind", list(CORRUPTIONS))
def test_corruption_stays_in_range_and_follows_its_seed(kind: str) -> None:
    x = torch.rand(50, 1, 28, 28, generator=noise(1))
    corrupt = Corruption(kind, 0.4)
    first = corrupted(corrupt, x, 2)
    assert first.shape == x.shape
    assert ((first.min() >= 0) & (first.max() <= 1)) == (not corrupt.unbounded)
    assert not torch.equal(first, x)
    assert torch.equal(first, corrupted(corrupt, x, 2))
    if kind != "jpeg":  # at one level it draws nothing
        assert not torch.equal(first, corrupted(corrupt, x, 3))


def test_corruption_levels_mean_what_they_say() -> None:
    x = torch.full((200, 1, 28, 28), 0.5)
    masked = corrupted(Corruption("masking", 0.3), x)
    assert (masked == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    salted = corrupted(Corruption("salt-pepper", 0.3), x)
    assert (salted == 0).float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert (salted == 1).float().mean().item() == pytest.approx(0.15, abs=0.01)
    noisy = corrupted(Corruption("gaussian", 0.1), x)
    assert noisy.std().item() == pytest.approx(0.1, abs=0.005)
    white = corrupted(Corruption("awgn", 0.9), x)  # a clipped one would have 0.4
    assert white.std().item() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("level", [0.0, -0.1, 1.5, float("nan")])
def test_corruption_level_out_of_range_is_refused(level: float) -> None:
    with pytest.raises(UsageError, match="corruption level: expected a number above 0 and up to 1"):
        Corruption("gaussian", level)


def test_losses_are_those_of_the_distributions() -> None:
    generator = noise()
    logits = torch.randn(5, 1, 4, 4, generator=generator)
    x = torch.randint(0, 2, (5, 1, 4, 4), generator=generator).float()
    expected = -Bernoulli(logits=logits).log_prob(x).sum() / 5
    torch.testing.assert_close(losses.bernoulli(logits, x), expected)
    mu, logvar = torch.randn(5, 3, generator=generator), torch.randn(5, 3, generator=generator)
    posterior = Normal(mu, torch.exp(0.5 * logvar))
    expected = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(losses.kl_divergence(mu, logvar), expected)


def test_negative_psnr_weighs_all_levels_of_noise_alike() -> None:
    """Of two images whose errors differ by a factor of 10, both pull equally hard."""
    x = torch.full((2, 1, 8, 8), 0.5)
    off = torch.stack([torch.full((1, 8, 8), 0.01), torch.full((1, 8, 8), 0.1)])
    made = (x + off).requires_grad_()
    loss = losses.negative_psnr(made, x)
    assert loss.item() == pytest.approx(-30.0, abs=0.1)  # the mean of -40 and -20
    loss.backward()  # type: ignore[no-untyped-call]
    assert made.grad is not None
    pull = (made.grad * off).flatten(1).sum(1)
    assert (pull[0] / pull[1]).item() == pytest.approx(1.0, rel=0.02)
    perfect = x.clone().requires_grad_()
    losses.negative_psnr(perfect, x).backward()  # type: ignore[no-untyped-call]
    assert perfect.grad is not None
    assert torch.isfinite(perfect.grad).all()


def test_psnr_of_a_known_error() -> None:
    x = torch.zeros(2, 1, 4, 4)
    assert losses.psnr(x + 0.1, x).item() == pytest.approx(20.0, abs=1e-4)


def test_recipes_refuse_options_that_they_do_not_take() -> None:
    with pytest.raises(UsageError, match="vae takes no --corruption, it takes: --beta, --kl-w"):
        recipe_options("vae", {"corruption": "masking"})
    with pytest.raises(UsageError, match="ae takes no --beta, it takes: no option of its own"):
        recipe_options("ae", {"beta": 2.0})
    options = recipe_options("dae", {"corruption_level": 0.2})
    assert options == {"corruption": "gaussian", "corruption_level": 0.2}


@pytest.mark.parametrize(
    ("model", "given", "text"),
    [
        ("dae", {"corruption": "maskng"}, "unknown corruption 'maskng'. Did you mean 'masking'"),
        (
            "sdae",
            {"corruption_level": 2},
            "corruption level: expected a number above 0 and up to 1, or two such as 0.02-0.3, got",
        ),
        ("sdae", {"dropout": 1.0}, "dropout: expected a number 0 or more and below 1, got 1.0"),
        ("sdae", {"denoising": -1.0}, "denoising: expected a number 0 or more, got -1.0"),
        ("sdae", {"pretrain_epochs": 0}, "pretrain epochs: expected 1 or more, got 0"),
        ("sae", {"pretrain_epochs": 1.5}, "pretrain epochs: expected a whole number, got 1.5"),
        ("vae", {"beta": -0.5}, "beta: expected a number 0 or more, got -0.5"),
        ("vae", {"beta": float("nan")}, "beta: expected a number 0 or more, got nan"),
        ("vae", {"kl_warmup": 1.0}, "kl warmup: expected a number 0 or more and below 1"),
        ("vae", {"pixels": "grey"}, "unknown pixels 'grey'.*Known: binary, intensities"),
    ],
)
def test_recipes_refuse_values_out_of_range(
    model: str, given: dict[str, str | float], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        recipe_options(model, given)


@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_schedules_stay_below_one_and_end_low(schedule: str) -> None:
    course = [factor(schedule, step / 100) for step in range(101)]
    assert max(course) == pytest.approx(1)
    assert min(course) >= 0
    if schedule != "constant":
        assert course[-1] < 1e-5
    if schedule == "one-cycle":
        assert course[0] == pytest.approx(1 / 25)
        assert course.index(max(course)) == 30
    with pytest.raises(UnknownNameError, match="unknown schedule 'cosin'. Did you mean 'cosine'"):
        factor("cosin", 0)


@given(size=st.integers(1, 40), processes=st.integers(1, 8), seed=st.integers(0, 2**40))
def test_noise_does_not_depend_on_the_number_of_processes(
    size: int, processes: int, seed: int
) -> None:
    def draws(rows: slice) -> tuple[Tensor, Tensor]:
        drawn = Noise(seeded(noise(), seed, 3), size, rows)
        return drawn.normal(3), drawn.uniform(2, 2)

    whole = draws(slice(None))
    shares = [draws(Ranks(rank, processes).share(size)) for rank in range(min(size, processes))]
    for alone, parts in zip(whole, zip(*shares, strict=True), strict=True):
        for rank, part in enumerate(parts):
            assert torch.equal(part, alone[rank::processes])


@given(images=st.integers(1, 50), processes=st.integers(1, 8))
def test_weights_make_the_mean_of_means_the_mean(images: int, processes: int) -> None:
    values = torch.arange(images, dtype=torch.float64)
    ranks = [Ranks(rank, processes) for rank in range(processes)]
    means = [values[rank.share(images)].mean() * rank.weight(images) for rank in ranks]
    assert float(sum(means)) / processes == pytest.approx(float(values.mean()))
