from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aeonnx import models
from aeonnx.errors import UnknownNameError
from aeonnx.models import ModelConfig
from aeonnx.models.vae import reparameterize

NAMES = ["ae", "dae", "vae"]
PARTS = {
    "ae": ["encoder", "decoder", "reconstructor"],
    "dae": ["encoder", "decoder", "denoiser"],
    "vae": ["encoder", "decoder", "reconstructor"],
}


@given(
    model=st.sampled_from(NAMES),
    arch=st.sampled_from(["mlp", "conv"]),
    shape=st.tuples(st.integers(1, 4), st.integers(5, 33), st.integers(5, 33)),
    hidden=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    latent=st.integers(1, 7),
    batch=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_parts_give_what_they_say(
    model: str,
    arch: str,
    shape: tuple[int, int, int],
    hidden: list[int],
    latent: int,
    batch: int,
) -> None:
    config = ModelConfig(model, arch, shape, tuple(hidden), latent)
    parts = models.build(config).eval().parts()
    assert list(parts) == PARTS[model]
    for part in parts.values():
        inputs = [torch.rand(batch, *spec.shape[1:]) for spec in part.inputs]
        result = part.module(*inputs)
        outputs = result if isinstance(result, tuple) else (result,)
        assert [tuple(value.shape) for value in outputs] == [
            (batch, *spec.shape[1:]) for spec in part.outputs
        ]
        for spec, value in zip(part.outputs, outputs, strict=True):
            if spec.range:
                assert spec.range[0] <= value.min()
                assert value.max() <= spec.range[1]


def test_default_widths_are_the_documented_ones() -> None:
    def widths(name: str) -> list[tuple[int, ...]]:
        model = models.build(models.configure(name, "mlp", (1, 28, 28)))
        return [tuple(value.shape) for value in model.parameters() if value.ndim == 2]

    assert widths("ae") == [
        (128, 784),
        (64, 128),
        (12, 64),
        (3, 12),
        (12, 3),
        (64, 12),
        (128, 64),
        (784, 128),
    ]
    assert widths("dae") == [(1024, 784), (256, 1024), (1024, 256), (784, 1024)]
    assert widths("vae") == [(400, 784), (40, 400), (400, 20), (784, 400)]


@pytest.mark.parametrize("name", NAMES)
def test_whole_is_decoder_after_encoder(name: str) -> None:
    parts = models.build(models.configure(name, "conv", (1, 28, 28))).eval().parts()
    x = torch.rand(3, 1, 28, 28)
    encoded = parts["encoder"].module(x)
    z = encoded[0] if isinstance(encoded, tuple) else encoded
    torch.testing.assert_close(
        parts[PARTS[name][2]].module(x), parts["decoder"].module(z), rtol=0, atol=0
    )


def test_reparameterize_draws_from_the_posterior() -> None:
    mu = torch.tensor([[1.0, -2.0]]).expand(200_000, 2)
    logvar = torch.tensor([[0.0, -2.0]]).expand(200_000, 2)
    z = reparameterize(mu, logvar, torch.Generator().manual_seed(0))
    torch.testing.assert_close(z.mean(0), mu[0], rtol=0, atol=0.01)
    torch.testing.assert_close(z.var(0), logvar[0].exp(), rtol=0.02, atol=0)


def test_the_vae_alone_has_a_prior() -> None:
    priors = {name: models.build(models.configure(name, "mlp", (1, 8, 8))).prior for name in NAMES}
    assert priors == {"ae": None, "dae": None, "vae": "standard-normal"}


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown model 'vea'\. Did you mean 'vae'\?"):
        models.configure("vea", "mlp", (1, 28, 28))
    with pytest.raises(UnknownNameError, match=r"architecture of ae 'cnn'.*Known: conv, mlp"):
        models.configure("ae", "cnn", (1, 28, 28))


def test_a_size_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="expected sizes above 0"):
        ModelConfig("ae", "mlp", (1, 28, 28), (4, 0), 3)
