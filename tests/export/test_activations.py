from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from aeonnx.export.verify.activations import waking_rows
from aeonnx.manifest import TensorSpec
from aeonnx.models import Part

X = TensorSpec("x", ("batch", 6), range=(0.0, 1.0))
Y = TensorSpec("y", ("batch", 2))


def sleeping_part() -> tuple[Part, nn.Linear]:
    """Two units; the second stays at 0 unless the last three inputs alone are high."""
    linear = nn.Linear(6, 2)
    weight = torch.tensor([[1.0] * 6, [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0]])
    linear.load_state_dict({"weight": weight, "bias": torch.tensor([0.0, -0.5])})
    return Part(nn.Sequential(linear, nn.ReLU()), (X,), (Y,)), linear


def test_a_sleeping_unit_is_woken_within_the_range() -> None:
    part, linear = sleeping_part()
    rows = np.full((5, 6), 0.5, dtype=np.float32)
    assert linear(torch.from_numpy(rows))[:, 1].max() < 0
    woken = waking_rows(part, rows)
    assert woken.shape == (1, 6)
    assert woken.dtype == np.float32
    assert woken.min() >= 0
    assert woken.max() <= 1
    assert linear(torch.from_numpy(woken))[0, 1] > 0


def test_units_that_are_awake_or_dead_give_no_rows() -> None:
    part, linear = sleeping_part()
    awake = np.array([[0, 0, 0, 1, 1, 1]], dtype=np.float32)
    assert waking_rows(part, awake).shape == (0, 6)
    with torch.no_grad():
        linear.bias[1] = -100.0
    assert waking_rows(part, awake).shape == (0, 6)


def test_channels_of_a_convolution_are_units() -> None:
    convolution = nn.Conv2d(1, 2, 3, bias=True)
    weight = torch.stack([torch.ones(1, 3, 3), torch.ones(1, 3, 3) * -1])
    weight[1, 0, 1, 1] = 2.0
    convolution.load_state_dict({"weight": weight, "bias": torch.zeros(2)})
    spec = TensorSpec("x", ("batch", 1, 5, 5), range=(0.0, 1.0))
    part = Part(nn.Sequential(convolution, nn.ReLU()), (spec,), (Y,))
    rows = np.full((3, 1, 5, 5), 0.5, dtype=np.float32)
    woken = waking_rows(part, rows)
    assert len(woken) == 1
    value: Tensor = convolution(torch.from_numpy(woken))
    assert value[:, 1].max() > 0
