from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aeonnx import models
from aeonnx.errors import UnknownNameError, UsageError
from aeonnx.models import ModelConfig
from aeonnx.models.sae import StackedAutoencoder
from aeonnx.models.vae import reparameterize

NAMES = ["ae", "dae", "sae", "sdae", "vae"]
DIGITS = tuple("0123456789")
PARTS = {
    "ae": ["encoder", "decoder", "reconstructor", "scorer"],
    "dae": ["encoder", "decoder", "denoiser", "scorer"],
    "sae": ["encoder", "decoder", "reconstructor", "scorer"],
    "sdae": ["encoder", "decoder", "denoiser", "scorer", "classifier"],
    "vae": ["encoder", "decoder", "reconstructor", "scorer"],
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
    assume(arch in models.archs(model))
    classes = DIGITS if models.classifies(model) else ()
    config = ModelConfig(model, arch, shape, tuple(hidden), latent, classes)
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
        model = models.build(models.configure(name, "mlp", (1, 28, 28), classes=DIGITS))
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
    one = [(128, 784), (64, 128), (32, 64), (64, 32), (128, 64), (784, 128)]
    assert widths("sae") == 3 * one
    up = [(1000, 784), (1000, 1000), (1000, 1000)]
    assert widths("sdae") == [*up, (784, 1000), *up[1:], (10, 1000)]
    assert widths("vae") == [(400, 784), (40, 400), (400, 20), (784, 400)]


@pytest.mark.parametrize("name", NAMES)
def test_whole_is_decoder_after_encoder(name: str) -> None:
    arch = "mlp" if name == "sdae" else "conv"
    parts = models.build(models.configure(name, arch, (1, 28, 28), classes=DIGITS)).eval().parts()
    x = torch.rand(3, 1, 28, 28)
    encoded = parts["encoder"].module(x)
    z = encoded[0] if isinstance(encoded, tuple) else encoded
    torch.testing.assert_close(
        parts[PARTS[name][2]].module(x), parts["decoder"].module(z), rtol=0, atol=0
    )


def test_reparameterize_draws_from_the_posterior() -> None:
    mu = torch.tensor([[1.0, -2.0]]).expand(200_000, 2)
    logvar = torch.tensor([[0.0, -2.0]]).expand(200_000, 2)
    eps = torch.randn(mu.shape, generator=torch.Generator().manual_seed(0))
    z = reparameterize(mu, logvar, eps)
    torch.testing.assert_close(z.mean(0), mu[0], rtol=0, atol=0.01)
    torch.testing.assert_close(z.var(0), logvar[0].exp(), rtol=0.02, atol=0)


def test_the_vae_alone_has_a_prior() -> None:
    configs = {name: models.configure(name, "mlp", (1, 8, 8), classes=DIGITS) for name in NAMES}
    priors = {name: models.build(config).prior for name, config in configs.items()}
    assert priors == {name: "standard-normal" if name == "vae" else None for name in NAMES}


def test_the_stack_splits_at_the_last_latent() -> None:
    """x -> whole -> whole -> encoder | decoder: the parts in a row are the three in a row."""
    model = models.build(models.configure("sae", "mlp", (1, 28, 28))).eval()
    assert isinstance(model, StackedAutoencoder)
    x = torch.rand(3, 1, 28, 28)
    first, second, third = model.autoencoders
    expected = third.encoder(second(first(x)))  # type: ignore[operator]
    parts = model.parts()
    torch.testing.assert_close(parts["encoder"].module(x), expected, rtol=0, atol=0)
    assert parts["decoder"].module is third.decoder


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    config = models.configure("sdae", "mlp", (1, 28, 28), classes=("a", "b", "c"))
    parts = models.build(config).eval().parts()
    logits, probabilities = parts["classifier"].module(torch.rand(5, 1, 28, 28))
    assert logits.shape == (5, 3)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(5))
    torch.testing.assert_close(probabilities, torch.softmax(logits, 1))


@pytest.mark.parametrize(("side", "layers"), [(28, 2), (64, 2), (65, 3), (256, 4), (1024, 6)])
def test_large_images_get_more_layers(side: int, layers: int) -> None:
    config = models.configure("ae", "conv", (3, side, side + 9))
    assert config.hidden == (32, *(64,) * (layers - 1))


def test_widths_can_be_chosen() -> None:
    config = models.configure("vae", "conv", (3, 20, 30), hidden=(8, 16, 24), latent_size=7)
    assert (config.hidden, config.latent_size) == ((8, 16, 24), 7)
    encoder = models.build(config).parts()["encoder"].module.eval()
    assert encoder(torch.rand(2, 3, 20, 30))[0].shape == (2, 7)
    with pytest.raises(UsageError, match=r"sizes of vae: expected sizes above 0, got .*-1"):
        models.configure("vae", "mlp", (1, 28, 28), hidden=(-1,))
    with pytest.raises(UsageError, match="the width of one hidden layer or more, got none"):
        models.configure("vae", "conv", (1, 28, 28), hidden=())


@pytest.mark.parametrize("shape", [(4, 256, 256), (2, 1, 1), (1, 1, 40), (3, 255, 3)])
def test_extreme_shapes_work(shape: tuple[int, int, int]) -> None:
    config = models.configure("ae", "conv", shape, hidden=(2, 3), latent_size=4)
    whole = models.build(config).eval().parts()["reconstructor"].module
    assert whole(torch.rand(1, *shape)).shape == (1, *shape)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown model 'vea'\. Did you mean 'vae'\?"):
        models.configure("vea", "mlp", (1, 28, 28))
    with pytest.raises(UnknownNameError, match=r"architecture of ae 'cnn'.*Known: conv, mlp"):
        models.configure("ae", "cnn", (1, 28, 28))


def test_a_size_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="expected sizes above 0"):
        ModelConfig("ae", "mlp", (1, 28, 28), (4, 0), 3)
