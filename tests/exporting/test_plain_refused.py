"""What `aeonnx.export` says about modules, examples and ranges that do not go together."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from torch import Tensor, nn

import aeonnx as library
from aeonnx.errors import AeonnxError, ParityError, UsageError

Cli = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("few_rows")

X = torch.rand(4, 6, generator=torch.Generator().manual_seed(0))
CONV = nn.Conv2d(3, 3, 3, padding=1)


class Returns(nn.Module):
    """Returns something made of its input."""

    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor) -> Any:
        return self.make(x)


@pytest.mark.parametrize(
    "bounds", [(1, 0), (0, 0), 255, (0, 1, 2), "01", (0, float("nan")), ("a", 1)]
)
def test_a_range_is_two_numbers(bounds: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        library.export("m", tmp_path / "b", denoiser=nn.Tanh(), example=X, range=bounds)
    assert str(refused.value) == (
        f"range: expected (lowest, highest), such as (0, 1), or None, got {bounds!r}"
    )


def test_a_range_may_be_a_list_or_an_array(tmp_path: Path) -> None:
    for bounds in ([-1, 1], np.array([-1, 1])):
        given: Any = bounds
        library.export("m", tmp_path / "b", denoiser=nn.Tanh(), example=X, range=given, force=True)
        assert library.load(tmp_path / "b").inputs("denoiser")[0].range == (-1, 1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"example": X.round() * 255, "range": (0, 1)},
            "example: expected values in [0, 1], the range, got 0 to 255",
        ),
        (
            {"example": X * float("nan"), "range": (0, 1)},
            "example: expected values in [0, 1], the range, got nan to nan",
        ),
        ({"encoder": None}, "encoder: expected a torch.nn.Module, got None: leave it out"),
        (
            {"denoiser": nn.Tanh},
            "denoiser: expected a torch.nn.Module, got <class 'torch.nn.modules.activation.Tanh'>",
        ),
        (
            {"denoiser": Returns(lambda x: (x, None))},
            "aeonnx.export: expected denoiser to return tensors, in a tuple or by names in lower "
            "case that are not those of its inputs, got None for denoised_2: wrap it in",
        ),
        ({"denoiser": Returns(lambda x: {"x": x})}, "inputs, got x, the name of an input: wrap"),
        ({"denoiser": Returns(lambda x: {"Y": x})}, "inputs, got the name Y: wrap"),
        ({"denoiser": Returns(lambda _: ())}, "inputs, got nothing: wrap"),
    ],
)
def test_what_does_not_fit_is_named(options: dict[str, Any], text: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"denoiser": nn.Tanh(), "example": X, **options}
    with pytest.raises(UsageError, match=re.escape(text)):
        library.export("m", tmp_path / "b", **given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (CONV, (3, 16, 24)),
        (nn.Sequential(nn.BatchNorm2d(3), CONV), (3, 16, 24)),
        (nn.Conv1d(2, 3, 1), (2, 9)),
        (nn.Linear(6, 6), (6,)),
    ],
)
def test_an_example_without_an_axis_of_rows(
    module: nn.Module, shape: tuple[int, ...], tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as refused:
        library.export("m", tmp_path / "b", denoiser=module, example=torch.rand(shape))
    assert str(refused.value) == (
        "example: expected an array of one row or more, whose first axis is that of rows, got one "
        f"row {[*shape]} without it: pass example[None], {[1, *shape]}"
    )
    library.export("m", tmp_path / "b", denoiser=module, example=torch.rand(shape)[None])


def test_an_output_that_leaves_its_range_is_told_once(tmp_path: Path) -> None:
    module = Returns(lambda x: 3 * x - 1)
    with pytest.raises(ParityError) as refused:
        library.export("m", tmp_path / "b", denoiser=module, example=X, range=(0, 1))
    first, line, advice = str(refused.value).split("\n  ")
    assert first == "graph and torch differ, nothing was written:"
    assert line == "denoiser: denoised: expected values in [0, 1], got -1 to 2"
    assert advice == "Clamp such an output in the module, or declare the range that it has"


class Levels(nn.Module):
    """x [n, 6] -> two latents, of 3 and 2 numbers."""

    def __init__(self, *, named: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.low, self.high, self.named = nn.Linear(6, 3), nn.Linear(6, 2), named

    def forward(self, x: Tensor) -> Any:
        low, high = self.low(x), self.high(x)
        return {"high": high, "low": low} if self.named else (low, high)


class FromLevels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 6)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        made: Tensor = self.layer(torch.cat([low, high], 1))
        return made


class FromLevelsAndLabel(FromLevels):
    def forward(self, low: Tensor, high: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(low, high) * (label + 1).unsqueeze(1)


@pytest.mark.parametrize("named", [False, True])
def test_a_decoder_gets_as_many_outputs_as_it_takes(named: bool, tmp_path: Path) -> None:
    encoder, decoder = Levels(named=named), FromLevels()
    library.export("m", tmp_path / "b", encoder=encoder, decoder=decoder, example=X)
    bundle = library.load(tmp_path / "b")
    names = {spec.name for spec in bundle.inputs("decoder")}
    assert names == ({"low", "high"} if named else {"z", "high"})
    assert bundle.outputs("encoder")[0].shape == ("batch", 3)  # of what feeds the first input
    with torch.no_grad():
        expected = decoder(encoder.low(X), encoder.high(X)).numpy()
    np.testing.assert_allclose(bundle.reconstruct(X.numpy()), expected, atol=1e-6)


def test_other_inputs_of_the_example_come_last(tmp_path: Path) -> None:
    encoder, decoder = Levels(), FromLevelsAndLabel()
    example = (X, torch.tensor([0, 1, 2, 3]))
    library.export("m", tmp_path / "b", encoder=encoder, decoder=decoder, example=example)
    bundle = library.load(tmp_path / "b")
    assert [spec.name for spec in bundle.inputs("decoder")] == ["z", "high", "label"]
    with torch.no_grad():
        expected = decoder(*encoder(X), torch.full((4,), 2)).numpy()
    np.testing.assert_allclose(bundle.reconstruct(X.numpy(), label=2), expected, atol=1e-6)


def test_a_decoder_that_takes_more_than_there_is(tmp_path: Path) -> None:
    with pytest.raises(AeonnxError, match="decoder, called on the example, raised TypeError: .*hi"):
        library.export(
            "m", tmp_path / "b", encoder=nn.Linear(6, 3), decoder=FromLevels(), example=X
        )


def test_the_command_line_says_what_needs_no_parts(aeonnx: Cli) -> None:
    Path("nets_alone.py").write_text("from torch import nn\nWhole = lambda: nn.Linear(2, 2)\n")
    try:
        result = aeonnx("export", "--from", "module:nets_alone:Whole", "-o", "b")
    finally:
        sys.modules.pop("nets_alone", None)
    assert result.exit_code == 2
    assert result.stderr.endswith(
        "got a Linear without one. In Python, aeonnx.export(NAME, encoder=..., decoder=..., "
        "example=x) takes modules without parts(), see docs/tasks/your-own-model.md\n"
    )
