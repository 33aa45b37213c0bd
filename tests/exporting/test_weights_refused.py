"""Files that do not fit a module, or cannot be read safely."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aeonnx.checkpoint import load_weights
from aeonnx.errors import CheckpointError
from tests.exporting.test_weights import network


class Whole(nn.Module):
    pass


class Ran:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('the pickle ran')",))


REFUSED: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "missing": (
        lambda s: {("0.wieght" if k == "0.weight" else k): v for k, v in s.items()},
        "does not fit this Sequential: 0.weight: missing (the file has 0.wieght); 0.wieght: not in "
        "this module. Build the module as it was trained, or give its own weights",
    ),
    "unexpected": (
        lambda s: {**s, "4.weight": torch.ones(2)},
        "does not fit this Sequential: 4.weight: not in this module",
    ),
    "other shapes": (
        lambda s: {**s, "3.weight": torch.ones(2, 4)},
        "3.weight: expected shape [2, 3], got [2, 4]",
    ),
    "integers": (
        lambda s: {**s, "3.weight": torch.ones(2, 3, dtype=torch.int8)},
        "3.weight: expected torch.float32, got torch.int8",
    ),
    "complex": (
        lambda s: {**s, "3.weight": torch.ones(2, 3, dtype=torch.complex64)},
        "3.weight: expected torch.float32, got torch.complex64",
    ),
    "sparse": (
        lambda s: {**s, "3.weight": s["3.weight"].to_sparse()},
        "3.weight: expected a plain array of numbers, got one with the layout torch.sparse_coo",
    ),
    "not finite": (lambda s: {**s, "3.bias": s["3.bias"] / 0}, "3.bias: NaN or infinite weights"),
    "too large in float64": (
        lambda s: {**s, "3.bias": torch.full((2,), 1e300, dtype=torch.float64)},
        "3.bias: NaN or infinite weights",
    ),
    "another module": (
        lambda _: {"conv.weight": torch.ones(1)},
        "0.weight: missing (the file has conv.weight); 0.bias: missing; ",
    ),
    "a whole module": (
        lambda _: Whole(),
        "It holds Python objects (tests.exporting.test_weights_refused.Whole), and reading these "
        "runs code from the file. If you trust the file, save the weights alone: "
        "torch.save(torch.load(path, weights_only=False).state_dict(), 'weights.pth') for a whole "
        "module",
    ),
    "code": (lambda _: Ran(), "cannot load"),
    "code beside weights": (lambda s: {"state_dict": s, "callback": Ran()}, "cannot load"),
    "no weights": (lambda _: {"epoch": 3}, "holds a dict without a state_dict. Accepted are a"),
    "a number": (lambda _: 7, "holds a int without a state_dict"),
}
"""By name: what is saved, and why it is refused."""


@pytest.mark.parametrize("form", REFUSED)
def test_what_does_not_fit_is_refused_in_words(tmp_path: Path, form: str) -> None:
    make, said = REFUSED[form]
    torch.save(make(network(0).state_dict()), tmp_path / "w.pth")
    module = network(1)
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(CheckpointError) as caught:
        load_weights(module, tmp_path / "w.pth")
    assert said in str(caught.value)
    if form not in ("missing", "unexpected"):
        assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


def test_a_program_of_torchscript_is_refused_with_the_way(tmp_path: Path) -> None:
    with pytest.warns((DeprecationWarning, FutureWarning)):
        torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "w.pt"))
    with pytest.raises(CheckpointError, match=r"torch\.save\(torch\.jit\.load\(path\)\.state_dict"):
        load_weights(nn.Linear(2, 2), tmp_path / "w.pt")


def test_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot read .*w\.pth: No such file"):
        load_weights(network(0), tmp_path / "w.pth")
