"""Runs verbs from signals in files to files, piece by piece: memory does not grow with length."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aeonnx._util import files
from aeonnx.bundle import TensorSpec, scaled
from aeonnx.errors import BundleError, UsageError
from aeonnx.io.formats import distinct
from aeonnx.io.wav import Wav
from aeonnx.io.writers import results_folder
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.session import Array
from aeonnx.runtime.signals import SignalFile, Write, long_axis, npy_writer, open_signal, wav_writer
from aeonnx.runtime.streaming import along, pieces_of, run_pieces
from aeonnx.runtime.verbs import OUTPUTS, PARTS, steps_of

__all__ = ["is_on_signals", "run_on_signals"]

_LOG = logging.getLogger(__name__)

_BITS = 16  # of a .wav file whose source has none
_SAME = ("denoise", "reconstruct")
"""Verbs whose result is as long as the input."""


@dataclass(frozen=True)
class _Step:
    """A verb that one part runs, and the tensors that it streams."""

    verb: str
    part: str
    given: TensorSpec
    made: TensorSpec


@dataclass(frozen=True)
class _Job:
    """What is run on each file.

    Args:
        bundle: the bundle.
        steps: the parts.
        same: whether results are as long as their inputs.
        others: a number for each further input of the parts.
        tell: is called with the samples that are read of a file.
    """

    bundle: Bundle
    steps: Sequence[_Step]
    same: bool
    others: Mapping[str, float]
    tell: Callable[[int], None]


def is_on_signals(bundle: Bundle, verb: str) -> bool:
    """Whether a verb takes or gives signals."""
    steps = _steps(bundle, verb)
    return "signal" in (steps[0].given.kind, steps[-1].made.kind)


def run_on_signals(
    bundle: Bundle,
    verb: str,
    sources: Sequence[Path | str],
    target: Path | str,
    *,
    force: bool,
    advanced: Callable[[int, int], None] | None,
    others: Mapping[str, float],
) -> tuple[str, tuple[int, ...]]:
    """Run a verb on each of some files.

    Args:
        bundle: the bundle.
        verb: "encode", "decode", "reconstruct" or "denoise".
        sources: .wav files, or .npy arrays, see `open_signal`.
        target: a .wav for one signal, or a .npy; a folder for a file per source.
        force: replace an existing file; add to a folder that is not empty.
        advanced: is called with the samples that are read, and the number of all.
        others: a number for each further input of the parts.

    Returns:
        dtype and shape of the result; of several, their number instead of the shape.

    Raises:
        BundleError: the verb's parts have more dynamic axes than that of time, or none.
        ImageError: a source is missing, or does not fit.
        InputError: a signal is shorter than one frame, or has values outside of the range.
        UsageError, OutputError: the target does not fit, or cannot be written.
    """
    steps = _steps(bundle, verb)
    _require_streams(bundle, verb, steps)
    bundle.require(verb)
    inside = _is_folder(target)
    if len(sources) > 1 and not inside:
        raise UsageError(
            f"{target}: expected a folder for the results of {len(sources)} files: give a name "
            "without a suffix"
        )
    if not inside:
        _require_suffix(target, steps[-1].made)
    files.refuse_existing(Path(target), force=force)
    opened = [open_signal(source, steps[0].given) for source in sources]
    job = _Job(bundle, steps, verb in _SAME, others, _progress(opened, advanced))
    if inside:
        with results_folder(Path(target)) as folder:
            names = distinct([Path(source).name for source in sources], ".npy")
            paths = [folder / name for name in names]
            shapes = []
            for source, path in zip(opened, paths, strict=True):
                wave = source.wav is not None and steps[-1].made.kind == "signal"
                shapes.append(_run_one(job, source, path.with_suffix(".wav" if wave else ".npy")))
    else:
        shapes = [_run_one(job, opened[0], Path(target))]
    one = len({*shapes}) == 1 and len(shapes) == 1
    shape = shapes[0] if one else (len(shapes),)
    return steps[-1].made.dtype, shape


def _steps(bundle: Bundle, verb: str) -> list[_Step]:
    found = []
    for step in steps_of(bundle.manifest, verb):
        variant, name = bundle.variant(PARTS[step]), OUTPUTS[step]
        made = next(spec for spec in variant.outputs if spec.name == name or not name)
        found.append(_Step(step, PARTS[step], variant.inputs[0], made))
    return found


def _require_streams(bundle: Bundle, verb: str, steps: Sequence[_Step]) -> None:
    for step in steps:
        sized = bundle.variant(step.part).axes.keys() - {"batch"}
        if len(sized) != 1 or long_axis(step.given) is None or long_axis(step.made) is None:
            raise BundleError(
                f"{verb} of files needs a {step.part} whose input and output follow one dynamic "
                f"axis, got {list(step.given.shape)} -> {list(step.made.shape)}: give it an array "
                f"in Python, bundle.{verb}(array)"
            )


def _is_folder(target: Path | str) -> bool:
    """Whether results go into a folder: it exists, or the name ends in / or has no suffix."""
    name = os.fspath(target)
    if name == "-":
        raise UsageError("-o -: signals are written to files: give a name, such as -o x.npy")
    return name.endswith(("/", os.sep)) or os.path.isdir(name) or not Path(name).suffix


def _progress(
    sources: Sequence[SignalFile], advanced: Callable[[int, int], None] | None
) -> Callable[[int], None]:
    """Tells the length that is done of one file after the other, and that of all."""
    lengths = [source.rows * source.length for source in sources]
    done, last = 0, 0

    def tell(now: int) -> None:
        nonlocal done, last
        done, last = done + (now - last if now >= last else now), now
        if advanced:
            advanced(done, sum(lengths))

    return tell


def _require_suffix(target: Path | str, made: TensorSpec) -> None:
    path = Path(target)
    suffixes = (".npy", ".wav") if made.kind == "signal" else (".npy",)
    if path.suffix.lower() not in suffixes:
        what = "a signal" if made.kind == "signal" else f"{made.name}, a {made.kind},"
        raise UsageError(
            f"{path}: {what} is written to a name that ends in {' or '.join(suffixes)}"
        )


def _run_one(job: _Job, source: SignalFile, target: Path) -> tuple[int, ...]:
    """Run all steps on the rows of a file; returns the shape of the result."""
    keep = source.length if job.same else None
    if len(job.steps) == 1:
        return _run_step(job, job.steps[0], source, target, keep, source.wav, job.tell)
    # The latents of a long signal are long too: they go through a file.
    with tempfile.TemporaryDirectory() as folder:
        between = Path(folder) / "latents.npy"
        _run_step(job, job.steps[0], source, between, None, None, job.tell)
        latents = open_signal(between, job.steps[1].given)
        return _run_step(job, job.steps[1], latents, target, keep, source.wav, lambda _: None)


def _run_step(
    job: _Job,
    step: _Step,
    source: SignalFile,
    target: Path,
    keep: int | None,
    wave: Wav | None,
    tell: Callable[[int], None],
) -> tuple[int, ...]:
    """Run one part on the rows of a file.

    Args:
        job: what all steps share.
        step: the part.
        source: its input.
        target: of its output.
        keep: the length of the output that is kept; None for all.
        wave: the .wav file that the first step reads, if it is one.
        tell: is called with the length of the input that is done.
    """
    runner, others = job.bundle.runner(step.part), _numbers_of(job, step)
    how = pieces_of(
        step.part, job.bundle.variant(step.part), step.made, source.length, runner.tiling
    )
    runner.blended |= how.blended
    length = keep or how.size
    shape = (
        source.rows,
        *(length if scaled(size) else int(size) for size in step.made.shape[1:]),
    )

    place = long_axis(step.made) or 1

    def run(x: Array) -> Array:
        return runner({step.given.name: x, **others})[step.made.name]

    with _writer(target, shape, step.made, wave) as write:
        for row in range(source.rows):

            def write_kept(start: int, values: Array, row: int = row) -> None:
                if start < length:
                    write(row, start, along(values, place, 0, length - start))

            def tell_done(done: int, row: int = row) -> None:
                tell(row * source.length + min(done, source.length))

            run_pieces(how, run, partial(source.read, row), write_kept, tell_done)
    return shape


def _numbers_of(job: _Job, step: _Step) -> dict[str, float]:
    """The further inputs of a step; one that no step knows is the first's, which refuses it."""
    known = {each.part: {i.name for i in job.bundle.inputs(each.part)} for each in job.steps}
    unknown = job.others.keys() - set().union(*known.values())
    mine = known[step.part] | (unknown if step is job.steps[0] else set())
    return {name: number for name, number in job.others.items() if name in mine}


@contextmanager
def _writer(
    target: Path, shape: tuple[int, ...], made: TensorSpec, wave: Wav | None
) -> Iterator[Write]:
    """Writes the result to a file, which gets its name when it is complete."""
    with files.new_file(target) as stream:
        if not stream.seekable():
            raise UsageError(f"{target}: signals are written to regular files, in pieces")
        if target.suffix.lower() == ".wav":
            rate = made.rate or (wave.rate if wave else None)
            if rate is None:
                raise UsageError(
                    f"{target}: the rate of {made.name} is unknown: expected a name that ends in "
                    ".npy"
                )
            if shape[0] != 1 or len(shape) != 3:
                raise UsageError(
                    f"{target}: a .wav file holds one signal, not {list(shape)}: expected a name "
                    "that ends in .npy"
                )
            bits = wave.bits if wave else _BITS
            with wav_writer(stream, shape, rate, bits, partial(_warn, target)) as write:
                yield write
        else:
            with npy_writer(stream, shape, long_axis(made) or 1, made.dtype) as write:
                yield write


def _warn(target: Path, clipped: int) -> None:
    if clipped:
        _LOG.warning("%s: %s samples beyond [-1, 1] were clipped", target, f"{clipped:,}")
