"""Denoise photographs: PSNR, SSIM and speed beside BM3D and other methods without training.

    .venv/bin/pip install bm3d scikit-image PyWavelets opencv-python-headless
    .venv/bin/python benchmarks/photos.py --grey dist/grey dist/grey-8 --colour dist/colour

The test pictures of `AEONNX_DATA/photos` get gaussian noise, clipped to [0, 1] and not. The other
methods are told the level of the noise, and each has the parameter of its grid with the highest
mean PSNR on these very pictures; ours is told nothing. It takes the clipped picture in either case,
since a file has no values outside of its range, unless it was trained with `--corruption awgn`.
Every method runs on one core. Its speed is a ratio to that of BM3D, which denoises one picture in
the same run. All rows are kept in `benchmarks/results/photos.json`. The other methods and the
denoisers whose bundles are not given are not measured again; delete the file to do so. bm3d is free
for non-commercial use only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import bm3d
import cv2
import numpy as np
import numpy.typing as npt
from machine import describe
from PIL import Image, ImageDraw
from skimage import restoration
from skimage.metrics import structural_similarity

import aeonnx

Array = npt.NDArray[np.float32]
Method = Callable[[Array, float, float], Array]
"""(noisy [H, W] or [H, W, 3], sigma, parameter) -> denoised."""

SIGMAS = (15, 25, 50)
KEPT = Path("benchmarks/results/photos.json")
DATA = Path(os.environ.get("AEONNX_DATA", "../shared/data")) / "photos"
MUST = {"grey": 0.3, "colour": 0.2}
FASTER = 20
SQUARES, SIDE, HEAD = ((0, 150, 300), (4, 100, 200)), 240, 22
"""Of the picture: number of a test picture, top, left; pixels per side; pixels above."""


def _bm3d(noisy: Array, sigma: float, _: float) -> Array:
    run = bm3d.bm3d if noisy.ndim == 2 else bm3d.bm3d_rgb
    return np.asarray(run(noisy, sigma), np.float32)


def _means(noisy: Array, sigma: float, h: float) -> Array:
    axis = None if noisy.ndim == 2 else -1
    found: Array = restoration.denoise_nl_means(
        noisy, patch_size=5, patch_distance=8, h=h * sigma, sigma=sigma, channel_axis=axis
    )
    return found


def _variation(noisy: Array, sigma: float, weight: float) -> Array:
    axis = None if noisy.ndim == 2 else -1
    found: Array = restoration.denoise_tv_chambolle(noisy, weight=weight * sigma, channel_axis=axis)
    return found


def _bilateral(noisy: Array, sigma: float, factor: float) -> Array:
    found: Array = cv2.bilateralFilter(noisy, 0, factor * sigma, 2.0)
    return found


def _wavelets(noisy: Array, sigma: float, factor: float) -> Array:
    axis = None if noisy.ndim == 2 else -1
    found: Array = restoration.denoise_wavelet(
        noisy,
        sigma=factor * sigma,
        channel_axis=axis,
        convert2ycbcr=axis is not None,
        method="BayesShrink",
        mode="soft",
        rescale_sigma=axis is not None,  # YCbCr has another range than RGB
    )
    return found


METHODS: Mapping[str, tuple[Method, tuple[float, ...]]] = {
    "BM3D": (_bm3d, (1.0,)),
    "non-local means": (_means, (0.6, 0.8, 1.0)),
    "total variation": (_variation, (0.8, 1.2, 1.6)),
    "bilateral": (_bilateral, (2.0, 3.0, 4.0, 6.0)),
    "wavelets": (_wavelets, (0.8, 1.0, 1.2)),
}


@dataclass(frozen=True)
class Row:
    """Means over the test pictures, and the total time by the total size."""

    method: str
    colour: str
    sigma: int
    clipped: bool
    psnr: float
    ssim: float
    seconds: float
    """Seconds per megapixel."""
    faster: float
    """BM3D's seconds per megapixel by those of the method, on the same machine."""
    machine: str


def pictures(colour: str) -> list[Array]:
    """The test pictures, float32 [H, W] or [H, W, 3] in [0, 1]."""
    mode = "L" if colour == "grey" else "RGB"
    files = sorted((DATA / "test").glob("*.png"))
    if not files:
        raise SystemExit(f"{DATA / 'test'} holds no picture: set AEONNX_DATA")
    return [np.asarray(Image.open(path).convert(mode), np.float32) / 255 for path in files]


def noisy(clean: Array, sigma: int, place: int, *, clipped: bool) -> Array:
    """The picture with noise that is a function of level and place."""
    noise = np.random.default_rng([sigma, place]).standard_normal(clean.shape)
    found = (clean + sigma / 255 * noise).astype(np.float32)
    return found.clip(0, 1) if clipped else found


@cache
def reference(colour: str) -> float:
    """Seconds per megapixel of BM3D on this machine: median of three runs on one picture."""
    x = noisy(pictures(colour)[0], 25, 0, clipped=True)
    seconds = []
    for _ in range(3):
        began = time.process_time()
        _bm3d(x, 25 / 255, 0.0)
        seconds.append(time.process_time() - began)
    return statistics.median(seconds) / (x.shape[0] * x.shape[1]) * 1e6


def measured(
    name: str, run: Callable[[Array], Array], colour: str, sigma: int, *, clipped: bool
) -> Row:
    """Denoise all pictures."""
    psnr, ssim, seconds, pixels = [], [], 0.0, 0
    axis = None if colour == "grey" else -1
    for place, clean in enumerate(pictures(colour)):
        x = noisy(clean, sigma, place, clipped=clipped)
        began = time.process_time()  # of one core, whatever else runs
        found = run(x)
        seconds += time.process_time() - began
        pixels += clean.shape[0] * clean.shape[1]
        found = np.asarray(found, np.float32).clip(0, 1)
        psnr.append(-10 * np.log10(np.square(found - clean).mean(dtype=np.float64)))
        ssim.append(
            structural_similarity(
                clean,
                found,
                data_range=1.0,
                channel_axis=axis,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
        )
    taken = seconds / pixels * 1e6
    return Row(
        method=name,
        colour=colour,
        sigma=sigma,
        clipped=clipped,
        psnr=float(statistics.mean(psnr)),
        ssim=float(statistics.mean(ssim)),
        seconds=taken,
        faster=reference(colour) / taken,
        machine=describe(),
    )


def _key(name: str, colour: str, sigma: int, *, clipped: bool) -> str:
    return f"{name} {colour} {sigma} {'clipped' if clipped else 'unclipped'}"


def _keep(kept: dict[str, Any], key: str, found: Mapping[str, Any]) -> None:
    kept[key] = found
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    print(key, found, flush=True)


def _run(method: Method, sigma: int, parameter: float, x: Array) -> Array:
    return method(x, sigma / 255, parameter)


def others(colour: str, kept: dict[str, Any], sigmas: Sequence[int]) -> list[Row]:
    """All other methods at their best parameters; adds to `kept` what it measures.

    A method keeps its parameter for the unclipped pictures on the clipped ones.
    """
    rows = []
    for sigma, (name, (method, parameters)) in product(sigmas, METHODS.items()):
        for clipped in (False, True):
            key = _key(name, colour, sigma, clipped=clipped)
            if key not in kept:
                _keep(kept, key, _best(name, method, parameters, colour, sigma, clipped=clipped))
            parameters = (kept[key]["parameter"],)
            rows.append(Row(**kept[key]["row"]))
    return rows


def _best(
    name: str,
    method: Method,
    parameters: tuple[float, ...],
    colour: str,
    sigma: int,
    *,
    clipped: bool,
) -> dict[str, Any]:
    """The parameter with the highest mean PSNR, and its row."""
    found = {
        value: measured(name, partial(_run, method, sigma, value), colour, sigma, clipped=clipped)
        for value in parameters
    }
    best = max(found, key=lambda value: found[value].psnr)
    return {"parameter": best, "row": asdict(found[best])}


def denoiser_of(folder: Path, precision: str = "fp32") -> Callable[[Array], Array]:
    """The denoiser of a bundle, on one thread; it gets the picture clipped to its range."""
    bundle = aeonnx.load(folder, ["cpu"], threads=1, precision=precision)
    bounds = bundle.inputs("denoiser")[0].range

    def run(x: Array) -> Array:
        planes = x[None] if x.ndim == 2 else x.transpose(2, 0, 1)
        given = planes[None] if bounds is None else planes[None].clip(*bounds)
        found = bundle.denoise(np.ascontiguousarray(given))[0]
        return found[0] if x.ndim == 2 else found.transpose(1, 2, 0)

    return run


def ours(colour: str, folder: Path, kept: dict[str, Any], sigmas: Sequence[int]) -> None:
    """Measure the denoiser of a bundle in each precision of it, and add the rows to `kept`."""
    known = aeonnx.load(folder, ["cpu"]).manifest.parts["denoiser"]
    for precision in [name for name in ("fp32", "int8") if name in known]:
        run = denoiser_of(folder, precision)
        run(pictures(colour)[0])
        name = (
            f"aeonnx, {precision}"
            if known[precision].inputs[0].range
            else f"aeonnx, awgn, {precision}"
        )
        if known[precision].ensemble > 1:
            name += f", mean of {known[precision].ensemble} orientations"
        for sigma, clipped in product(sigmas, (False, True)):
            row = measured(name, run, colour, sigma, clipped=clipped)
            _keep(kept, _key(name, colour, sigma, clipped=clipped), {"row": asdict(row)})


def own(colour: str, kept: Mapping[str, Any], sigmas: Sequence[int]) -> list[Row]:
    """The rows of all denoisers that were measured, by name."""
    rows = [Row(**found["row"]) for found in kept.values()]
    mine = [
        row
        for row in rows
        if row.method.startswith("aeonnx") and row.colour == colour and row.sigma in sigmas
    ]
    return sorted(mine, key=lambda row: row.method)


def side_by_side(folder: Path, colour: str, target: Path) -> None:
    """Squares of two test pictures with noise of 25: clean, noisy, BM3D, ours; each pixel as is."""
    names = ["clean", "noisy", "BM3D", "aeonnx"]
    run, lines = denoiser_of(folder), []
    for place, top, left in SQUARES:
        clean = pictures(colour)[place]
        x = noisy(clean, 25, place, clipped=True)
        found = [clean, x, _bm3d(x, 25 / 255, 0.0), run(x)]
        square = slice(top, top + SIDE), slice(left, left + SIDE)
        lines.append(np.concatenate([each[square].clip(0, 1) for each in found], 1))
    whole = Image.fromarray(np.uint8(np.rint(np.concatenate(lines) * 255)))
    sheet = Image.new("RGB", (whole.width, whole.height + HEAD), "white")
    sheet.paste(whole.convert("RGB"), (0, HEAD))
    draw = ImageDraw.Draw(sheet)
    for column, name in enumerate(names):
        draw.text((column * SIDE + 6, 6), name, fill="black")
    sheet.save(target)


def table(rows: list[Row], colour: str, sigmas: Sequence[int]) -> str:
    """One line per method, with PSNR / SSIM of each level, and the speed."""
    cases = [(sigma, clipped) for sigma in sigmas for clipped in (False, True)]
    heads = [f"{sigma}{', clipped' if clipped else ''}" for sigma, clipped in cases]
    lines = [
        f"| {colour} | " + " | ".join(heads) + " | speed, of BM3D's |",
        "|---|" + "---|" * (len(heads) + 1),
    ]
    for name in dict.fromkeys(row.method for row in rows):
        at = {(row.sigma, row.clipped): row for row in rows if row.method == name}
        cells = [f"{at[case].psnr:.2f} / {at[case].ssim:.3f}" for case in cases]
        speed = statistics.median(row.faster for row in at.values())
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {speed:.0f} |")
    return "\n".join(lines)


def verdict(name: str, rows: list[Row], colour: str) -> str:
    """Decibels above BM3D at sigma 25, and times its speed."""
    at = {(row.method, row.clipped): row for row in rows if row.sigma == 25}
    gains = [at[name, clipped].psnr - at["BM3D", clipped].psnr for clipped in (False, True)]
    speed = statistics.median(row.faster for row in rows if row.method == name)
    return (
        f"{name}, {colour}, sigma 25: {gains[0]:+.2f} dB beside BM3D that gets the noise without "
        f"clipping, {gains[1]:+.2f} dB beside BM3D that gets the clipped picture (required: "
        f"{MUST[colour]:+.1f} dB); {speed:.0f} times its speed (required: {FASTER})."
    )


def machines(rows: list[Row]) -> str:
    """One line per machine, with the methods that it ran."""
    ran: dict[str, dict[str, None]] = {}
    for row in rows:
        ran.setdefault(row.machine, {})[row.method] = None
    return "\n".join(f"- {machine}: {'; '.join(methods)}." for machine, methods in ran.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grey", type=Path, nargs="+", default=[], help="bundles to measure")
    parser.add_argument("--colour", type=Path, nargs="+", default=[], help="bundles to measure")
    parser.add_argument("-o", type=Path, default=Path("benchmarks/results/photos.md"))
    parser.add_argument("--sigmas", type=int, nargs="+", default=SIGMAS, help="with 25 among them")
    given = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    text = ["# Denoising of photographs", ""]
    for colour, folders in (("grey", given.grey), ("colour", given.colour)):
        for folder in folders:
            ours(colour, folder, kept, given.sigmas)
            if aeonnx.load(folder, ["cpu"]).inputs("denoiser")[0].range:  # for the noise of files
                side_by_side(folder, colour, Path(f"docs/images/photos-{colour}.png"))
        rows = own(colour, kept, given.sigmas)
        if not rows:
            continue
        names = dict.fromkeys(row.method for row in rows)
        rows += others(colour, kept, given.sigmas)
        text += [table(rows, colour, given.sigmas), ""]
        text += [f"- {verdict(name, rows, colour)}" for name in names]
        text += ["", "Machines:", "", machines(rows), ""]
    if len(text) > 2:
        given.o.write_text("\n".join(text))
        print("\n".join(text))


if __name__ == "__main__":
    main()
