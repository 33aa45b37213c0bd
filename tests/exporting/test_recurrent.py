"""Recurrent layers are exported for sequences of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import aeonnx


class Recurrent(nn.Module):
    """x [n, 3, time] -> [n, 4, time]."""

    def __init__(self, kind: type[nn.RNNBase], *, first: bool, both: bool, **options: str) -> None:
        super().__init__()
        self.first = first
        self.layer = kind(3, 5, num_layers=2, batch_first=first, bidirectional=both, **options)
        self.last = nn.Linear(10 if both else 5, 4)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.transpose(1, 2)
        found, _ = self.layer(rows if self.first else rows.transpose(0, 1))
        made: Tensor = self.last(found if self.first else found.transpose(0, 1))
        return made.transpose(1, 2)


@pytest.mark.usefixtures("few_rows")
@pytest.mark.shortened(1)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_any_length(tmp_path: Path, kind: type[nn.RNNBase], first: bool, both: bool) -> None:
    torch.manual_seed(0)
    module = Recurrent(kind, first=first, both=both)
    x = np.random.default_rng(0).normal(size=(2, 3, 12)).astype(np.float32)
    aeonnx.export("recurrent", tmp_path / "b", encoder=module, example=x)
    bundle = aeonnx.load(tmp_path / "b")
    for rows, length in ((1, 12), (3, 7), (2, 40)):
        given = np.random.default_rng(length).normal(size=(rows, 3, length)).astype(np.float32)
        with torch.no_grad():
            expected = module(torch.from_numpy(given)).numpy()
        np.testing.assert_allclose(bundle.run("encoder", x=given)["z"], expected, atol=2e-5)
