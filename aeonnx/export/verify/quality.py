"""What a variant in fewer bits costs, on test images: the gate that each of its outputs must pass.

Every output is held against the fp32 graph's, relative to its spread: the signal-to-noise ratio is
10 log10(variance / mean squared difference), where the variance is that over the images, averaged
over the numbers of a row. Where an output does not vary, as a collapsed latent does not, its mean
square takes the variance's place. Images, and latents by the images that the fp32 decoder makes of
them, may also lose only so much PSNR against the test images; scores of classes and whole numbers
must agree. What cannot be measured is refused.

The limits leave what is right: all 37 parts of the built-in models, trained for 10 epochs, have
48 dB or more in fp16 and 23 dB or more in int8. An offset of 1 % of the spread has 40 dB, one of
10 % has 20 dB. `benchmarks/losses.py` measures it.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from aeonnx.bundle import Quality, TensorSpec
from aeonnx.errors import QualityError
from aeonnx.models import Part
from aeonnx.runtime.batching import Run
from aeonnx.runtime.session import Array

__all__ = ["LIMITS", "Limits", "Loss", "Task", "measure", "speedup"]


@dataclass(frozen=True)
class Limits:
    """What a precision may cost.

    Args:
        psnr_drop: dB of PSNR against the test images.
        snr: the least signal-to-noise ratio, in dB.
        agreement: the least share of labels and whole numbers that stay.
    """

    psnr_drop: float
    snr: float
    agreement: float

    @property
    def noise(self) -> float:
        """The largest root mean square of the differences, as a share of the spread."""
        return math.pow(10.0, -self.snr / 20)


LIMITS = {"fp16": Limits(0.1, 42.0, 0.998), "int8": Limits(0.5, 21.0, 0.98)}

_TIMED_ROUNDS = 15
_NO_SPREAD = 1e-3  # of the root mean square: what varies less does not vary
_LOUDEST = 200.0  # dB, which stand for no difference at all

# Largest difference / root mean square, of right variants: errors of a bounded output gather where
# its last function is steep, at the edges of strokes.
_BOUNDED_PEAK, _UNBOUNDED_PEAK = 16.0, 6.0
_OWN_SHARE = 0.8  # of the tolerance, for the graph here: other machines have other int8 kernels


@dataclass(frozen=True)
class Task:
    """What a part is for, so that its outputs can be told good from bad.

    Args:
        inputs: of the part, for all images.
        images: float32 [n, C, H, W], what the outputs should lead to.
        bounds: range of these; None if unknown.
        classes: how many the model tells apart; 0 if none.
        latents: name of the output that is the latent; None without one.
        decode: latents -> images.
        decoded: what these images are.
    """

    inputs: Mapping[str, Array]
    images: Array
    bounds: tuple[float, float] | None
    classes: int
    latents: str | None
    decode: Callable[[Array], Array]
    decoded: TensorSpec


@dataclass(frozen=True)
class Loss:
    """What one output loses.

    Args:
        output: its name.
        found: what was measured, each with its limit.
        largest: |variant - fp32|.
        tolerance: of |variant - torch|, as it follows from the limit.
    """

    output: str
    found: tuple[Quality, ...]
    largest: float
    tolerance: float

    @property
    def failures(self) -> list[str]:
        """A line for each limit that is not kept."""
        return self.missed + self.too_large(self.largest)

    @property
    def missed(self) -> list[str]:
        """As `failures`, of what was measured."""
        return [_told(self.output, item) for item in self.found if not item.passed]

    def too_large(self, difference: float) -> list[str]:
        """A line about a difference that golden vectors could not allow elsewhere."""
        most = _OWN_SHARE * self.tolerance
        if difference <= most:
            return []
        return [f"{self.output} is off by up to {difference:.3g}, at most {most:.3g} is allowed"]


def measure(part: Part, precision: str, task: Task, fp32: Run, variant: Run) -> list[Loss]:
    """Compare every output of a variant with the fp32 graph's.

    Args:
        part: the original.
        precision: whose limits hold.
        task: what to measure on.
        fp32, variant: the graphs.

    Raises:
        QualityError: an output's loss cannot be measured.
    """
    if len(task.images) < 2:
        raise QualityError(
            "what fewer bits cost cannot be measured on 1 image: give more with --calibration"
        )
    before, after = fp32(task.inputs), variant(task.inputs)
    return [
        _loss(spec, LIMITS[precision], task, before[spec.name], after[spec.name])
        for spec in part.outputs
    ]


def speedup(task: Task, fp32: Run, variant: Run) -> float:
    """How many times as fast as fp32 a variant is here: medians of runs in turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(_TIMED_ROUNDS):
        for run, taken in zip((fp32, variant), seconds, strict=True):
            began = time.perf_counter()
            run(task.inputs)
            taken.append(time.perf_counter() - began)
    before, after = (statistics.median(taken[2:]) for taken in seconds)
    return before / after


def _loss(spec: TensorSpec, limits: Limits, task: Task, before: Array, after: Array) -> Loss:
    count = len(before)
    if not np.issubdtype(before.dtype, np.floating):
        kept = Quality("agreement", float((before == after).mean()), limits.agreement, count, None)
        # A code or label that is another is no nearer to the right one for a smaller number.
        width = max(float(np.ptp(spec.range or before)), 1.0)
        return Loss(spec.name, (kept,), 0.0, width / _OWN_SHARE)
    scale = _scale(spec, before)
    difference = np.abs(after.astype(np.float64) - before)
    largest = float(difference.max())
    noise = math.sqrt(float(np.square(difference).mean())) / scale
    snr = min(-20.0 * math.log10(noise), _LOUDEST) if noise else _LOUDEST
    found = [Quality("snr", snr, limits.snr, count, None)]
    images = (task.decoded, task.decode) if spec.name == task.latents else (spec, None)
    targets = _targets(images[0], task)
    if targets is not None:
        pair = [before, after] if images[1] is None else [images[1](z) for z in (before, after)]
        first, second = (_psnr(value, targets, images[0]) for value in pair)
        found.append(Quality("psnr", second, first - limits.psnr_drop, count, first))
    if task.classes > 1 and spec.shape[1:] == (task.classes,) and spec.name != task.latents:
        same = float((before.argmax(1) == after.argmax(1)).mean())
        found.append(Quality("agreement", same, limits.agreement, count, None))
    tolerance = (_BOUNDED_PEAK if spec.range else _UNBOUNDED_PEAK) * limits.noise * scale
    if spec.range:
        tolerance = min(tolerance, float(np.ptp(spec.range)))
    return Loss(spec.name, tuple(found), largest, tolerance)


def _scale(spec: TensorSpec, values: Array) -> float:
    """What differences are relative to: the spread over the images, or else the size."""
    exact = values.astype(np.float64)
    finite = bool(np.isfinite(exact).all())
    if not (finite and exact.any()):
        raise QualityError(
            f"{spec.name}: what fewer bits cost cannot be measured, since fp32 gives "
            f"{'nothing but 0' if finite else 'NaN or infinite values'} for {len(values)} test "
            "images: leave the part or the precision out"
        )
    spread = math.sqrt(float(exact.var(0).mean()))
    size = math.sqrt(float(np.square(exact).mean()))
    return spread if spread > _NO_SPREAD * size else size


def _targets(spec: TensorSpec, task: Task) -> Array | None:
    """The test images in the range of an output; None where it is not of such images."""
    if not (spec.range and task.bounds and spec.shape[1:] == task.images.shape[1:]):
        return None
    share = (task.images.astype(np.float64) - task.bounds[0]) / np.ptp(task.bounds)
    targets: Array = spec.range[0] + share * np.ptp(spec.range)
    return targets


def _psnr(images: Array, targets: Array, spec: TensorSpec) -> float:
    """Mean over the images of 10 log10(width^2 / MSE), in dB."""
    difference = (images.astype(np.float64) - targets) / np.ptp(spec.range or (0.0, 1.0))
    errors = np.square(difference).reshape(len(difference), -1).mean(1)
    return float(np.mean(-10.0 * np.log10(np.maximum(errors, 1e-12))))


def _told(output: str, found: Quality) -> str:
    on = f"on {found.images} test images"
    if found.metric == "psnr" and found.fp32 is not None:
        return (
            f"{output} loses {found.fp32 - found.value:.3g} dB of PSNR {on} ({found.fp32:.4g} -> "
            f"{found.value:.4g}), at most {found.fp32 - found.least:.3g} is allowed"
        )
    if found.metric == "snr":
        return (
            f"{output} keeps {found.value:.3g} dB of its spread {on} (the variance over the mean "
            f"squared difference from fp32), at least {found.least:g} is needed"
        )
    return f"{output} agrees for {found.value:.2%} {on}, at least {found.least:.2%} is needed"
