"""What a variant in fewer bits costs, on test images: the gate that it must pass."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from aeonnx.export.pixels import is_image
from aeonnx.export.verify.reference import Arrays
from aeonnx.manifest import Quality, TensorSpec
from aeonnx.models import Part
from aeonnx.runtime.batching import Run
from aeonnx.runtime.session import Array

__all__ = ["LARGEST_DROPS", "Task", "measure", "speedup"]

LARGEST_DROPS = {"fp16": 0.1, "int8": 0.5}
"""dB of PSNR."""

_TIMED_ROUNDS = 15
_LARGEST_DISAGREEMENT = {"fp16": 0.002, "int8": 0.02}  # share of the labels


@dataclass(frozen=True)
class Task:
    """What a part is for, so that its outputs can be told good from bad.

    Args:
        inputs: of the part, for all images.
        images: float32 [n, C, H, W], what the outputs should lead to.
        decode: latents -> images, for a part that gives latents; None for any other.
    """

    inputs: Mapping[str, Array]
    images: Array
    decode: Callable[[Array], Array] | None = None


def measure(part: Part, precision: str, task: Task, fp32: Run, variant: Run) -> Quality:
    """Compare a variant with the fp32 graph.

    A part that leads to images, at once or through the decoder, is measured by their mean PSNR; any
    other, a classifier, by the share of its labels that stay.

    Args:
        part: the original.
        precision: whose limits hold.
        task: what to measure on.
        fp32, variant: the graphs.
    """
    first = part.outputs[0]
    before, after = fp32(task.inputs), variant(task.inputs)
    n = len(task.images)
    if is_image(first) or task.decode is not None:
        values = [_psnr(task, first, outputs) for outputs in (before, after)]
        return Quality("psnr", values[0], values[1], LARGEST_DROPS[precision], n)
    same = before[first.name].argmax(1) == after[first.name].argmax(1)
    return Quality("agreement", 1.0, float(same.mean()), _LARGEST_DISAGREEMENT[precision], n)


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


def _psnr(task: Task, spec: TensorSpec, outputs: Arrays) -> float:
    """Mean over the images of 10 log10(1 / MSE), in dB."""
    images = outputs[spec.name]
    if task.decode is not None:
        images = task.decode(images)
    difference = images.astype(np.float64) - task.images
    errors = np.square(difference).reshape(len(difference), -1).mean(1)
    return float(np.mean(-10.0 * np.log10(np.maximum(errors, 1e-12))))
