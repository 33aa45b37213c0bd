"""Buffers that stay in place, and recordings by power of two: on the CPU, and on a GPU if any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import aeonnx
from aeonnx.errors import InputError
from aeonnx.runtime.io_binding import CudaGraphRunner, IOBinding

Maker = Callable[..., Path]


def latents(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, 20)).astype(np.float32)


@pytest.fixture
def vae(bundle_of: Maker) -> aeonnx.Bundle:
    return aeonnx.load(bundle_of(), ["cpu"])


def test_a_bound_graph_gives_the_same_again_and_again(vae: aeonnx.Bundle) -> None:
    bound = IOBinding(vae.session("decoder"), vae.variant("decoder"), 4)
    for seed in (1, 2):
        z = latents(4) * seed
        bound.set_inputs({"z": z})
        bound.run()
        np.testing.assert_array_equal(bound.output("reconstruction"), vae.decode(z))
    assert bound.outputs["reconstruction"].shape() == [4, 1, 28, 28]
    with pytest.raises(InputError, match=r"z: expected \[4, 20\], as bound, got \[3, 20\]"):
        bound.set_inputs({"z": latents(3)})


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8])
def test_fewer_rows_than_recorded_are_filled_up(vae: aeonnx.Bundle, rows: int) -> None:
    replayed = CudaGraphRunner(vae.session("decoder"), vae.variant("decoder"))
    z = latents(rows)
    (found,) = replayed.values({"z": z}, ["reconstruction"])
    np.testing.assert_allclose(found, vae.decode(z), atol=1e-6)
    into = np.zeros_like(found)
    replayed.run_into({"z": z}, {"reconstruction": into})
    np.testing.assert_array_equal(into, found)


def test_a_seed_is_not_filled_up(vae: aeonnx.Bundle) -> None:
    replayed = CudaGraphRunner(vae.session("sampler"), vae.variant("sampler"))
    inputs = {"seed": np.array([7]), "index": np.arange(3)}
    z, image = replayed.values(inputs, ["z", "image"])
    np.testing.assert_array_equal(image, vae.generate(3, 7, pixels=True))
    assert z.shape == (3, 20)


@pytest.mark.gpu
def test_recordings_on_cuda_give_what_the_cpu_gives(bundle_of: Maker, vae: aeonnx.Bundle) -> None:
    graphs = aeonnx.load(bundle_of(), ["cuda"], cuda_graph=True)
    for rows in (1, 3, 64, 1, 2000):
        z = latents(rows)
        np.testing.assert_allclose(graphs.decode(z), vae.decode(z), atol=2e-6)
    assert graphs.provider == "CUDAExecutionProvider"
