"""Measure classical methods on MNIST: PCA for compression, image filters for denoising.

`quality.py` runs this as its row `classical`. Every filter has several settings; the one with the
best PSNR on a few noisy training images is measured on test images.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from bm3d import bm3d
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, estimate_sigma
from torchvision.datasets import MNIST

__all__ = ["Found", "linear_denoiser", "mean_psnr", "measure", "noisy", "pca_mse"]

Array = NDArray[np.floating]
Filter = Callable[[Array], Array]

COMPONENTS = (3, 12, 20, 32)
FEW = ("NLM", "BM3D")  # too slow for all test images


@dataclass(frozen=True)
class Found:
    """One row: `value` on `images` test images, in `seconds` without the search for settings."""

    what: str
    setting: str
    value: float
    images: int
    seconds: float


def load(root: Path) -> tuple[Array, Array]:
    """Training and test images of MNIST: float32 [60000, 28, 28] and [10000, 28, 28] in [0, 1]."""
    train, test = (MNIST(str(root), train=part).data.numpy() for part in (True, False))
    return train.astype(np.float32) / 255, test.astype(np.float32) / 255


def pca_mse(train: Array, test: Array, components: int) -> float:
    """Test error of the best linear code (PCA): mean squared error over pixels and images.

    The mean and the leading eigenvectors of the covariance come from all of `train`, in float64;
    reconstructions are not clipped.

    Args:
        train, test: [N, H, W] and [M, H, W] in [0, 1].
        components: length of the code.
    """
    flat = train.reshape(len(train), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    flat -= mean
    _, vectors = np.linalg.eigh(flat.T @ flat / len(flat))  # in ascending order
    basis = vectors[:, vectors.shape[1] - components :]
    centred = test.reshape(len(test), -1).astype(np.float64) - mean
    return float(np.mean((centred - centred @ basis @ basis.T) ** 2))


def noisy(test: Array, sigma: float, seed: int) -> NDArray[np.float32]:
    """`test` plus independent N(0, sigma^2) on every pixel, clipped to [0, 1]."""
    noise = np.random.default_rng(seed).standard_normal(test.shape, dtype=np.float32)
    return np.clip(test + np.float32(sigma) * noise, 0, 1).astype(np.float32)


def mean_psnr(denoised: Array, clean: Array) -> float:
    """Mean over images [N, H, W] of -10 log10(mean squared error of the image), dB, peak 1."""
    errors = np.mean((denoised.astype(np.float64) - clean) ** 2, axis=(1, 2))
    return float(np.mean(-10 * np.log10(errors)))


def _median(image: Array, size: int) -> Array:
    return np.clip(median_filter(image, size), 0, 1)


def _tv(image: Array, weight: float) -> Array:
    return np.clip(denoise_tv_chambolle(image, weight), 0, 1)


def _nl_means(image: Array, strength: float) -> Array:
    sigma = float(estimate_sigma(image))
    settings = {"patch_size": 5, "patch_distance": 6, "fast_mode": False}
    return np.clip(denoise_nl_means(image, h=strength * sigma, sigma=sigma, **settings), 0, 1)


def _bm3d(image: Array, sigma: float) -> Array:
    return np.clip(bm3d(image, sigma), 0, 1)


# [28, 28] in [0, 1] -> the same, denoised. The first word is the method, the rest its setting.
FILTERS: dict[str, Filter] = {
    **{f"median {size}x{size}": partial(_median, size=size) for size in (3, 5)},
    **{f"TV weight {w:g}": partial(_tv, weight=w) for w in (0.1, 0.2, 0.3, 0.4, 0.6, 0.8)},
    **{f"NLM h {h:g} sigma": partial(_nl_means, strength=h) for h in (0.4, 0.6, 0.8, 1.0, 1.2)},
    **{f"BM3D sigma {s:g}": partial(_bm3d, sigma=s) for s in (0.2, 0.3, 0.4, 0.5, 0.7)},
}


def denoise(name: str, images: Array) -> Array:
    """`images` [N, H, W] through the filter `FILTERS[name]`, one by one."""
    return np.stack([FILTERS[name](image) for image in images])


def best_setting(method: str, images: Array, clean: Array) -> str:
    """The name in `FILTERS` of the method's setting with the highest mean PSNR."""
    names = [name for name in FILTERS if name.split()[0] == method]
    return max(names, key=lambda name: mean_psnr(denoise(name, images), clean))


def linear_denoiser(train: Array, noisy_train: Array, test: Array) -> NDArray[np.float64]:
    """Denoise with the affine map of least squared error (ridge 1e-3), fitted on all of `train`.

    Unlike the filters, it learns that clipped noise brightens the background.

    Args:
        train, noisy_train: [N, H, W] in [0, 1], in pairs.
        test: noisy images [M, H, W].
    """
    flat, target = (part.reshape(len(part), -1).astype(np.float64) for part in (noisy_train, train))
    flat = np.hstack([flat, np.ones((len(flat), 1))])
    weights = np.linalg.solve(flat.T @ flat + 1e-3 * np.eye(flat.shape[1]), flat.T @ target)
    inputs = np.hstack([test.reshape(len(test), -1), np.ones((len(test), 1))])
    return np.clip(inputs @ weights, 0, 1).reshape(test.shape)


def measure(root: Path, sigma: float, seed: int, few: int, tune: int) -> list[Found]:
    """All rows: PCA, the noisy images, a linear denoiser, the filters.

    Args:
        root: holds MNIST/raw.
        sigma: standard deviation of the noise; noisy images are clipped to [0, 1].
        seed: seed of the noise.
        few: number of test images for slow filters.
        tune: number of training images for the choice of settings.
    """
    train, test = load(root)
    images = noisy(test, sigma, seed)
    found = []

    def add(what: str, setting: str, run: Callable[[], float], count: int) -> None:
        began = time.perf_counter()
        value = run()
        found.append(Found(what, setting, value, count, round(time.perf_counter() - began, 1)))
        print(found[-1], flush=True)

    for components in COMPONENTS:
        error = partial(pca_mse, train, test, components)
        add("PCA, test MSE", f"{components} components", error, len(test))
    for count in (len(test), few):
        level = partial(mean_psnr, images[:count], test[:count])
        add("noisy, PSNR in dB", f"sigma {sigma:g}", level, count)
    noisy_train = noisy(train, sigma, seed + 1)
    add(
        "linear map, PSNR in dB",
        f"learned from {len(train)} images",
        lambda: mean_psnr(linear_denoiser(train, noisy_train, images), test),
        len(test),
    )
    for method in dict.fromkeys(name.split()[0] for name in FILTERS):
        name = best_setting(method, noisy_train[:tune], train[:tune])
        count = few if method in FEW else len(test)
        level = partial(_level, name, images[:count], test[:count])
        add(f"{method}, PSNR in dB", name.removeprefix(f"{method} "), level, count)
    return found


def _level(name: str, images: Array, clean: Array) -> float:
    return mean_psnr(denoise(name, images), clean)
