"""The quality of reduced-precision variants on test images: a gate that each output must pass.

Every output is compared with that of the fp32 graph. Its signal-to-noise ratio is

    10 log10(variance / mean squared difference) in dB,

where the variance is that over the images, averaged over the elements of a row. For an output that
does not vary, such as a collapsed latent, the mean square replaces the variance. Images have a
limit on the loss of PSNR against the test images, too; latents have it for the images that the fp32
decoder makes of them. Predicted classes, codes and labels must agree with fp32; uint8 values are
levels of pixels and are measured as images. An output whose quality cannot be measured is refused.

Correct variants pass the limits: all 37 parts of the built-in models, trained for 10 epochs, have
53 dB or more in fp16 and 22 dB or more in int8. An offset of 1 % of the spread has 40 dB, one of
10 % has 20 dB. `benchmarks/losses.py` measures it.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aeonnx._util.text import counted
from aeonnx.bundle import Quality, TensorSpec
from aeonnx.errors import QualityError
from aeonnx.exporting.verify.runs import GOLDEN_SHARE
from aeonnx.models import Part
from aeonnx.runtime.batching import Run
from aeonnx.runtime.compare import is_categorical
from aeonnx.runtime.session import Array

__all__ = ["LIMITS", "Limits", "Loss", "Task", "measure", "speedup"]


@dataclass(frozen=True)
class Limits:
    """Limits on the loss of a precision.

    Args:
        psnr_drop: largest drop of PSNR against the test images, in dB.
        snr: least signal-to-noise ratio, in dB.
        agreement: least share of predicted classes, codes and labels that equal those of fp32.
    """

    psnr_drop: float
    snr: float
    agreement: float

    @property
    def noise(self) -> float:
        """The largest root mean square of the differences, as a share of the spread."""
        return math.pow(10.0, -self.snr / 20)


LIMITS = {"fp16": Limits(0.1, 42.0, 0.998), "int8": Limits(0.5, 21.0, 0.98)}
_DENOISED_DROP = 0.3
"""Largest drop of PSNR of images without their noise, in dB, where noisy ones are known."""

_TIMED_ROUNDS = 15
_NO_SPREAD = 1e-3  # share of the root mean square below which an output counts as constant
_LOUDEST = 200.0  # dB, stands for no difference

# Largest difference / root mean square difference of correct variants. Errors of a bounded output
# concentrate where its last function is steep, at the edges of strokes.
_BOUNDED_PEAK, _UNBOUNDED_PEAK = 16.0, 6.0


@dataclass(frozen=True)
class Task:
    """Inputs and targets that the quality of a part is measured with.

    Args:
        inputs: inputs of the part for all images, by name.
        images: float32 [n, C, H, W], the images that outputs should reconstruct.
        bounds: range of the images; None if unknown.
        classes: number of classes of the model; 0 without any.
        latents: name of the output that is the latent, if there is a decoder for it.
        decode: latents -> images; None if no output is a latent.
        decoded: tensor spec of these images.
        sizes: of the dynamic axes other than that of rows; empty without any.
        noisy: whether the part is given versions of the images with noise, to undo it.
    """

    inputs: Mapping[str, Array]
    images: Array
    bounds: tuple[float, float] | None
    classes: int
    latents: str | None = None
    decode: Callable[[Array], Array] | None = None
    decoded: TensorSpec | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    noisy: bool = False


@dataclass(frozen=True)
class Loss:
    """The loss of one output in a reduced precision.

    Args:
        output: its name.
        found: the measures, each with its limit.
        largest: largest |variant - fp32|.
        tolerance: largest allowed |variant - torch|, which follows from the limit.
    """

    output: str
    found: tuple[Quality, ...]
    largest: float
    tolerance: float

    @property
    def failures(self) -> list[str]:
        """A line for each limit that is missed."""
        return self.missed + self.too_large(self.largest)

    @property
    def missed(self) -> list[str]:
        """As `failures`, for the measures only."""
        return [_told(self.output, item) for item in self.found if not item.passed]

    def too_large(self, difference: float) -> list[str]:
        """A line if a difference is too near the tolerance to hold on other machines."""
        most = GOLDEN_SHARE * self.tolerance
        if difference <= most:
            return []
        return [f"{self.output} differs by up to {difference:.3g}, at most {most:.3g} is allowed"]


def measure(part: Part, precision: str, task: Task, fp32: Run, variant: Run) -> list[Loss]:
    """Compare every output of a variant with the fp32 graph's.

    Args:
        part: the original part.
        precision: "fp16" or "int8", whose limits apply.
        task: inputs and targets.
        fp32, variant: run the two graphs.

    Raises:
        QualityError: an output's loss cannot be measured.
    """
    if len(task.images) < 2:
        raise QualityError(
            "the loss of reduced precision cannot be measured on 1 image: pass more with "
            "--calibration"
        )
    before, after = fp32(task.inputs), variant(task.inputs)
    limits = LIMITS[precision]
    if task.noisy:
        limits = replace(limits, psnr_drop=min(limits.psnr_drop, _DENOISED_DROP))
    losses = [
        _loss(spec, limits, task, before[spec.name], after[spec.name]) for spec in part.outputs
    ]
    sizes = dict(task.sizes)
    return [
        replace(loss, found=tuple(replace(item, sizes=sizes) for item in loss.found))
        for loss in losses
    ]


def speedup(task: Task, fp32: Run, variant: Run) -> float:
    """Speed relative to fp32 on this machine: the ratio of median times of alternate runs."""
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
    if is_categorical(spec.dtype):
        kept = Quality("agreement", float((before == after).mean()), limits.agreement, count, None)
        return Loss(spec.name, (kept,), 0.0, _share_of_row(limits, math.prod(before.shape[1:])))
    scale = _scale(spec, before)
    difference = np.abs(after.astype(np.float64) - before)
    largest = float(difference.max())
    noise = _noise(spec, before, difference, scale)
    snr = min(-20.0 * math.log10(noise), _LOUDEST) if noise else _LOUDEST
    found = [Quality("snr", snr, limits.snr, count, None)]
    decoded = task.decoded if spec.name == task.latents else None
    images = (spec, None) if decoded is None else (decoded, task.decode)
    targets = _targets(images[0], task)
    if targets is not None:
        pair = [before, after] if images[1] is None else [images[1](z) for z in (before, after)]
        first, second = (_psnr(value, targets, images[0]) for value in pair)
        found.append(Quality("psnr", second, first - limits.psnr_drop, count, first))
    if task.classes > 1 and spec.shape[1:] == (task.classes,) and spec.name != task.latents:
        same = float((before.argmax(1) == after.argmax(1)).mean())
        found.append(Quality("agreement", same, limits.agreement, count, None))
    tolerance = (_BOUNDED_PEAK if spec.range else _UNBOUNDED_PEAK) * limits.noise * scale
    if spec.dtype == "uint8":
        tolerance += 1.0  # the last rounding, to a level, adds up to half a level on both sides
    if spec.range:
        tolerance = min(tolerance, float(np.ptp(spec.range)))
    return Loss(spec.name, tuple(found), largest, tolerance)


def _noise(spec: TensorSpec, before: Array, difference: Array, scale: float) -> float:
    """Root mean square of the differences, as a share of the spread; 0 for none.

    That of the worst column, where columns have units and sizes of their own.
    """
    if not spec.names or spec.range:
        return math.sqrt(float(np.square(difference).mean())) / scale
    noise = 0.0
    for column in range(len(spec.names)):
        off = math.sqrt(float(np.square(difference[:, column]).mean()))
        if off:
            values = before[:, column]
            own = _scale(spec, values) if values.any() else math.ulp(0.0)
            noise = max(noise, off / own)
    return noise


def _share_of_row(limits: Limits, values: int) -> float:
    """The share of a row's codes that may differ: four standard deviations above the mean.

    Args:
        limits: of the precision, with the mean over all inputs.
        values: number of codes of a row; where there is one, it must be equal.
    """
    mean = 1.0 - limits.agreement
    return mean + 4.0 * math.sqrt(mean * (1.0 - mean) / max(values, 1))


def _scale(spec: TensorSpec, values: Array) -> float:
    """What differences are divided by: the standard deviation over the images, or else the RMS.

    Raises:
        QualityError: all values are 0, or some are not finite.
    """
    exact = values.astype(np.float64)
    finite = bool(np.isfinite(exact).all())
    if not (finite and exact.any()):
        raise QualityError(
            f"{spec.name}: the loss of reduced precision cannot be measured, since fp32 outputs "
            f"{'only zeros' if finite else 'NaN or infinite values'} for {len(values)} test "
            "inputs: leave the part or the precision out"
        )
    spread = math.sqrt(float(exact.var(0).mean()))
    size = math.sqrt(float(np.square(exact).mean()))
    return spread if spread > _NO_SPREAD * size else size


def _targets(spec: TensorSpec, task: Task) -> Array | None:
    """The test images scaled to the range of an output; None if the output is no such image."""
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
    at = "".join(f", {axis} {size}" for axis, size in found.sizes.items())
    on = f"on {counted(found.images, 'test input')}{at}"
    if not math.isfinite(found.value):
        return f"{output} has NaN or infinite values {on}"
    if found.metric == "psnr" and found.fp32 is not None:
        return (
            f"{output} loses {found.fp32 - found.value:.3g} dB of PSNR {on} ({found.fp32:.4g} -> "
            f"{found.value:.4g}), at most {found.fp32 - found.least:.3g} is allowed"
        )
    if found.metric == "snr":
        return (
            f"{output} has a signal-to-noise ratio of {found.value:.3g} dB {on} (variance over "
            f"mean squared difference from fp32), at least {found.least:g} is needed"
        )
    return (
        f"{output} agrees with fp32 in {found.value:.2%} of cases {on}, "
        f"at least {found.least:.2%} is needed"
    )
