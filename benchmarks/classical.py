"""What classical methods reach on MNIST: PCA at compressing, image filters at denoising.

    AEONNX_DATA=FOLDER .venv/bin/python benchmarks/classical.py [--sigma 0.5] [-o FILE]

`AEONNX_DATA` holds `MNIST/raw/...`. Every filter comes in several settings; the one that is best on
a few noisy training images is measured on test images.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from bm3d import bm3d
from machine import describe
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, estimate_sigma
from torchvision.datasets import MNIST

__all__ = ["FILTERS", "best_setting", "denoise", "load", "mean_psnr", "noisy", "pca_mse"]

Array = NDArray[np.floating]
Filter = Callable[[Array], Array]

COMPONENTS = (3, 12, 20, 32)
FEW = ("NLM", "BM3D")  # too slow for all test images


def load(root: Path) -> tuple[Array, Array]:
    """Training and test images of MNIST: float32 [60000, 28, 28] and [10000, 28, 28] in [0, 1]."""
    train, test = (MNIST(str(root), train=part).data.numpy() for part in (True, False))
    return train.astype(np.float32) / 255, test.astype(np.float32) / 255


def pca_mse(train: Array, test: Array, components: int) -> float:
    """Test error of the best linear code: mean squared error over pixels and images.

    The mean and the leading eigenvectors of the covariance come from all of `train`, in float64;
    reconstructions are not clipped.

    Args:
        train, test: [N, H, W] and [M, H, W] in [0, 1].
        components: length of the code.
    """
    flat = train.reshape(len(train), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    flat -= mean
    _, vectors = np.linalg.eigh(flat.T @ flat / len(flat))  # eigenvalues rise
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


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sigma", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--few", type=int, default=200, help="test images for slow filters")
    parser.add_argument("--tune", type=int, default=20, help="training images for settings")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if "AEONNX_DATA" not in os.environ:
        parser.error("set AEONNX_DATA to the folder that holds MNIST/raw")
    train, test = load(Path(os.environ["AEONNX_DATA"]))

    lines = ["| what | setting | value | images | seconds |", "|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)

    def add(what: str, setting: str, value: str, images: int, started: float) -> None:
        taken = time.perf_counter() - started
        lines.append(f"| {what} | {setting} | {value} | {images} | {taken:.1f} |")
        print(lines[-1], flush=True)

    for components in COMPONENTS:
        started = time.perf_counter()
        error = pca_mse(train, test, components)
        add("PCA, test MSE", f"{components} components", f"{error:.5f}", len(test), started)

    images, few = noisy(test, arguments.sigma, arguments.seed), min(arguments.few, len(test))
    for count in (len(test), few):
        started = time.perf_counter()
        value = f"{mean_psnr(images[:count], test[:count]):.2f} dB"
        add("noisy, PSNR", f"sigma {arguments.sigma:g}", value, count, started)
    tune = train[: arguments.tune]
    noisy_tune = noisy(tune, arguments.sigma, arguments.seed + 1)
    for method in dict.fromkeys(name.split()[0] for name in FILTERS):
        name = best_setting(method, noisy_tune, tune)
        count = few if method in FEW else len(test)
        started = time.perf_counter()
        value = f"{mean_psnr(denoise(name, images[:count]), test[:count]):.2f} dB"
        add(f"{method}, PSNR", name.removeprefix(f"{method} "), value, count, started)

    text = (
        f"{describe('numpy', 'scipy', 'scikit-image', 'bm3d')}. PCA fitted on {len(train)} images, "
        "mean squared error on [0, 1] pixels. Filters on digits with clipped gaussian noise of "
        f"sigma {arguments.sigma:g}, settings chosen on {len(tune)} training images, the first "
        "test images where not all; seconds without that choice.\n\n" + "\n".join(lines) + "\n"
    )
    print(f"\n{text}")
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
