"""Why a part cannot be captured is said in words, with the line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result

from aeonnx.errors import GraphError
from aeonnx.exporting.capture.program import capture
from aeonnx.models import Part
from tests.graphs import Of, eager, part_of, run

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


def five_axes(self, z):
    z = z[:, None, None, None]
    return torch.nn.functional.scaled_dot_product_attention(z, z, z)[:, 0, 0, 0]


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


VALUES = "control flow depends on a tensor's values"
NUMBER = "a tensor's value is converted to a Python number"
BF16 = "onnxruntime lacks most operators in bfloat16"
SIZES = "the code works only for some batch sizes"


@pytest.mark.parametrize(
    ("step", "reason", "code", "way"),
    [
        ("branching", VALUES, "if z.sum() > 0:", "choose between results with torch.where"),
        ("counted", NUMBER, "size = int(z.abs().sum())", "with torch.where"),
        ("looping", SIZES, "return torch.stack([row * 2 for row in z])", "the whole tensor"),
        ("baking", SIZES, "return z.view(2, 2, 2).flatten(1)", "x.reshape(x.shape[0], -1)"),
        ("listed", NUMBER, "return torch.tensor(np.tanh(z.tolist()), dtype=torch.float32)", ""),
        ("short", BF16, "step(self", "compute in float32"),
        ("cast_by_itself", BF16, "step(self", "without .bfloat16() and autocast"),
        (
            "unknown",
            "torch.onnx does not support the operator prims.bessel_j0",
            "step(self, self.linear",
            "write it with other operators",
        ),
        (
            "five_axes",
            "cannot translate this use of the operator aten.scaled_dot_product_attention (only 4D ",
            "step(self, self.linear",
            "write it with other operators",
        ),
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
    reason = ".data is captured as a constant, cut off from its input"
    assert f"{reason}, at tests/exporting/test_reasons.py:" in said
    assert said.endswith("): write .detach() instead of .data")


def test_state_that_forward_changes_is_refused(refusing: Callable[[str], Part]) -> None:
    with pytest.raises(GraphError, match="^forward changes calls: a graph has no state between"):
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
        result = aeonnx("export", "--from", "module:wrapped:build", "-o", "b")
    sys.modules.pop("wrapped", None)
    assert result.exit_code == 0, result.stderr
    assert len([*Path("b").glob("*.onnx")]) == 2


@pytest.mark.parametrize("step", ["branching", "baking", "unknown"])
def test_the_command_fails_in_words_and_writes_nothing(
    aeonnx: Callable[..., Result], step: str
) -> None:
    Path("refused.py").write_text(REFUSED + f"\n\ndef build():\n    return Mine({step})\n")
    result = aeonnx("export", "--from", "module:refused:build", "-m", "m", "-o", "b")
    sys.modules.pop("refused", None)
    assert result.exit_code == 1, result.stderr
    assert "encoder: " in result.stderr
    assert "refused.py:" in result.stderr
    assert "Traceback" not in result.stderr
    assert not Path("b").exists()
