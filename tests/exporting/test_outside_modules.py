"""Modules from elsewhere with more in them than plain weights, and weights from a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

import aeonnx as aeonnx_package
from aeonnx.runtime import verify

KEPT = '''
import warnings

import torch
from torch import nn

from aeonnx.models import Part, image, latent

warnings.simplefilter("ignore")  # of old weight_norm


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 64)
        self.shift = torch.zeros(64, requires_grad=True) + 0.25

    def forward(self, z):
        return torch.sigmoid(self.body(z) + self.shift).reshape(-1, 1, 8, 8)


class Kept(nn.Module):
    extra = None

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
        self.decoder = Decoder()

    def parts(self):
        x, z = image("x", (1, 8, 8), "pictures"), latent("z", 3, "latent")
        y = image("reconstruction", (1, 8, 8), "pictures")
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (y,)),
        }


class WithState(Kept):
    def get_extra_state(self):
        return self.extra

    def set_extra_state(self, state):
        self.extra = state


def build():
    return Kept()


def other():
    return Kept(seed=1)


def old_weight_norm():
    model = Kept()
    model.decoder.body = nn.utils.weight_norm(model.decoder.body)
    return model


def anew():
    """Whose parts are made at each call."""
    model = Kept()
    parts = model.parts

    def fresh():
        torch.seed()
        return parts() | {"reconstructor": Part(
            nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Unflatten(1, (1, 8, 8)),
            nn.Sigmoid()), parts()["encoder"].inputs, parts()["decoder"].outputs)}

    model.parts = fresh
    return model


def with_state(extra):
    def make():
        model = WithState()
        model.extra = extra
        return model

    return make


def lazy():
    model = Kept()
    model.encoder[1] = nn.LazyLinear(3)
    return model


def too_large():
    model = Kept()
    # One number, seen 2^29 + 1 times: what a graph of 2 GB and 4 bytes would store.
    model.encoder.wide = nn.Parameter(torch.zeros(1).expand(2**29 + 1), requires_grad=False)
    return model


def meta():
    with torch.device("meta"):
        return Kept()


def halved():
    return Kept().half()


def bfloat16():
    return Kept().bfloat16()


nothing = with_state(None)
numbers = with_state({"scale": torch.ones(3), "steps": 7, "name": "x", "bits": (b"1", 2.5)})
more_numbers = with_state({"scale": torch.ones(3), "steps": 8, "name": "x", "bits": (b"1", 2.5)})
odd = with_state({"who": object()})
'''


@pytest.fixture
def kept(aeonnx: Callable[..., Result]) -> Iterator[Callable[..., Result]]:
    """The command line in a folder with kept.py."""
    Path("kept.py").write_text(KEPT)
    sys.modules.pop("kept", None)
    yield aeonnx
    sys.modules.pop("kept", None)


def made(factory: str) -> Any:
    sys.path.insert(0, ".")
    try:
        import kept  # type: ignore[import-not-found]
    finally:
        sys.path.remove(".")
    return getattr(kept, factory)()


@pytest.mark.parametrize(
    ("factory", "part"),
    [
        ("nothing", "encoder"),
        ("numbers", "encoder"),
        ("odd", "encoder"),
        ("old_weight_norm", "decoder"),
        ("anew", "reconstructor"),
    ],
)
def test_what_modules_keep_beside_weights_is_no_hindrance(
    kept: Callable[..., Result], factory: str, part: str
) -> None:
    result = kept("export", "--from", f"module:kept:{factory}", "-o", "b", "--part", part)
    assert result.exit_code == 0, result.stderr
    assert verify(aeonnx_package.load("b")).passed


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        ("lazy", "encoder: 1.weight has no shape yet (a Lazy module that never ran): "),
        ("meta", "encoder: 1.weight is on the device meta, which holds no values: "),
        (
            "too_large",
            "encoder: expected weights of at most 2 GB, the most that one ONNX file can hold, got "
            "2.0 GB: divide it into several parts",
        ),
        ("halved", "encoder: 1.weight is torch.float16, expected torch.float32: call .float() "),
        ("bfloat16", "encoder: 1.weight is torch.bfloat16, expected torch.float32: call "),
    ],
)
def test_weights_that_no_graph_can_have_are_refused_in_words(
    kept: Callable[..., Result], factory: str, told: str
) -> None:
    result = kept("export", "--from", f"module:kept:{factory}", "-o", "b")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {told}")
    assert not Path("b").exists()


def test_lazy_weights_and_those_without_numbers_come_from_a_file(
    kept: Callable[..., Result],
) -> None:
    torch.save(made("build").state_dict(), "w.pth")
    for factory in ("lazy", "meta"):
        model = ("--from", f"module:kept:{factory}", "--weights", "w.pth")
        result = kept("export", *model, "-o", factory, "--part", "encoder")
        assert result.exit_code == 0, result.stderr


def test_extra_state_tells_models_apart(kept: Callable[..., Result]) -> None:
    part = ("--part", "encoder", "-o", "b", "-m", "kept")
    assert kept("export", "--from", "module:kept:numbers", *part).exit_code == 0
    again = kept("export", "--from", "module:kept:numbers", *part)
    assert again.exit_code == 0, again.stderr
    other = kept("export", "--from", "module:kept:more_numbers", *part)
    assert other.exit_code == 1
    assert "b holds parts of another checkpoint" in other.stderr


def test_weights_from_a_file_are_loaded_and_proven(kept: Callable[..., Result]) -> None:
    state = {f"module.{name}": value for name, value in made("other").state_dict().items()}
    torch.save({"state_dict": state}, "w.ckpt")
    result = kept("export", "--from", "module:kept:build", "--weights", "w.ckpt", "-o", "b")
    assert result.exit_code == 0, result.stderr
    x = torch.rand(4, 1, 8, 8)
    expected = made("other").encoder(x).detach().numpy()
    given = aeonnx_package.load("b").encode(x.numpy())
    assert abs(given - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (
            ("--from", "module:kept:build", "--weights", "none.pth"),
            1,
            "--weights none.pth: there is no such file",
        ),
        (("--from", "module:kept:build", "--weights", "."), 1, "--weights .: it is a folder"),
        (
            ("-m", "vae", "--weights", "kept.py"),
            2,
            "--weights is for --from: for a model of aeonnx, pass the file as --checkpoint",
        ),
        (
            ("--from", "module:kept:build", "--checkpoint", "kept.py"),
            2,
            "with --from, pass a file with the module's weights as --weights",
        ),
        (("--from", "module:kept:build", "--weights", "kept.py"), 1, "cannot load kept.py safely"),
    ],
)
def test_weights_that_have_no_place_are_refused(
    kept: Callable[..., Result], options: tuple[str, ...], code: int, text: str
) -> None:
    result = kept("export", *options, "-o", "b")
    assert result.exit_code == code
    assert text in result.stderr


def test_weights_of_another_module_are_refused(kept: Callable[..., Result]) -> None:
    torch.save(torch.nn.Linear(2, 2).state_dict(), "w.pth")
    result = kept("export", "--from", "module:kept:build", "--weights", "w.pth", "-o", "b")
    assert result.exit_code == 1
    assert "w.pth does not fit this Kept: encoder.1.weight: missing" in result.stderr
