"""The network of `--arch unet`: the transform of its blocks, and what it does to any image."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch
import torch.nn.functional as F  # noqa: N812  # the name that all torch code uses
from hypothesis import given
from hypothesis import strategies as st

from aeonnx._util.cosines import cosines
from aeonnx.models._unet import UNet


@given(st.integers(1, 64))
def test_cosines_are_those_of_scipy(size: int) -> None:
    expected = scipy.fft.dct(np.eye(size), norm="ortho", axis=0)
    np.testing.assert_allclose(cosines(size), expected, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_blocks_are_transformed_without_a_loss(channels: int) -> None:
    blocks = UNet(channels, (4, 8)).blocks
    x = torch.rand(2, channels, 8, 12)
    transformed = F.conv2d(x, blocks, stride=2)
    torch.testing.assert_close(F.conv_transpose2d(transformed, blocks, stride=2), x)
    means = F.avg_pool2d(x, 2).mean(1)
    torch.testing.assert_close(transformed[:, 0], means * (4 * channels) ** 0.5)
    even = F.conv2d(torch.ones(1, channels, 2, 2), blocks, stride=2)[0, :, 0, 0]
    torch.testing.assert_close(even[1:], torch.zeros(4 * channels - 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_new_network_changes_nothing_and_a_trained_one_is_homogeneous(channels: int) -> None:
    network = UNet(channels, (4, 8))
    x = torch.rand(1, channels, 16, 16)
    assert torch.equal(network(x), x)
    torch.manual_seed(0)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    assert not torch.allclose(network(x), x, atol=1e-3)
    torch.testing.assert_close(network(7 * x), 7 * network(x))
