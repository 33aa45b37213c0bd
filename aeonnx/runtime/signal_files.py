"""Runs verbs from signals in files to files, piece by piece: memory does not grow with length."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aeonnx._util import files
from aeonnx.bundle import TensorSpec, Variant, scaled
from aeonnx.bundle.composing import fed, kept
from aeonnx.errors import InputError, UsageError
from aeonnx.io.array_writers import zip_files
from aeonnx.io.formats import Target, distinct
from aeonnx.io.latent_files import ARRAYS
from aeonnx.io.wav import Wav
from aeonnx.io.writers import results_folder
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.file_rows import require_inputs
from aeonnx.runtime.session import Array
from aeonnx.runtime.signal_sources import as_files
from aeonnx.runtime.signal_targets import is_folder, require_suffix, signal_writer
from aeonnx.runtime.signals import SignalFile, Write, open_signal, open_signals
from aeonnx.runtime.streaming import Pieces, Streamed, along, long_axis, pieces_of, run_pieces
from aeonnx.runtime.verbs import PARTS, made_by, steps_of
from aeonnx.runtime.written import Written, common_shape, left_out_of

__all__ = ["is_on_signals", "run_on_signals"]

_SAME = ("denoise", "reconstruct")
"""Verbs whose result is as long as the input."""

_Given = Mapping[str, SignalFile]
"""The inputs of a part that are read from a file, by name; the first is the one that is cut."""


@dataclass(frozen=True)
class _Step:
    """A verb that one part runs, and the tensors that it streams.

    Args:
        part: name of the part.
        given: its inputs; the first is the one that is cut.
        made: the outputs that are written; the first is what the verb returns.
    """

    part: str
    given: Sequence[TensorSpec]
    made: Sequence[TensorSpec]


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
    """Whether a verb takes or gives signals that can be read and written in pieces."""
    steps = _steps(bundle, verb)
    if "signal" not in (steps[0].given[0].kind, steps[-1].made[0].kind):
        return False
    for step in steps:
        if len(bundle.variant(step.part).axes.keys() - {"batch"}) != 1:
            return False
        if long_axis(step.given[0]) is None or long_axis(step.made[0]) is None:
            return False
    return True


def run_on_signals(
    bundle: Bundle,
    verb: str,
    sources: Sequence[Path | str],
    target: Path | str,
    *,
    force: bool,
    advanced: Callable[[int, int], None] | None,
    others: Mapping[str, float],
) -> Written:
    """Run a verb on each of some files.

    Args:
        bundle: the bundle.
        verb: "encode", "decode", "reconstruct" or "denoise".
        sources: .wav files, or .npy arrays, see `open_signal`; folders, of which the .wav files are
            read, and for "decode" the .npy and .npz files; "-" for one file on stdin.
        target: a .wav for one signal, or a .npy; for "encode" a .npz too, with every further output
            that the decoder takes; a folder for a file per source.
        force: replace an existing file; add to a folder that is not empty.
        advanced: is called with the samples that are read, and the number of all.
        others: a number for each further input of the parts.

    Raises:
        ImageError: a source is missing, or does not fit.
        InputError: a signal is shorter than one frame, or has values outside of the range.
        UsageError, OutputError: the target does not fit, or cannot be written.
    """
    bundle.require(verb)
    steps = _steps(bundle, verb)
    inside = is_folder(target)
    kind = (ARRAYS, "latents") if verb == "decode" else ((".wav",), "signal")
    with as_files(sources, *kind) as (paths, left_out):
        if len(paths) > 1 and not inside:
            raise UsageError(
                f"{target}: expected a folder for the results of {len(paths)} files: give a name "
                "without a suffix"
            )
        if not inside:
            require_suffix(target, steps[-1].made[0])
        files.refuse_existing(Path(target), force=force)
        first, *further = steps[0].given
        opened = [open_signals(path, first, further if verb == "decode" else ()) for path in paths]
        for path, given in zip(paths, opened, strict=True):
            arrays = given.keys() - {first.name}
            require_inputs(bundle, verb, f"{path}", arrays, others)
            bundle.require(verb, (*others, *arrays))
        tell = _progress([given[first.name] for given in opened], advanced)
        job = _Job(bundle, steps, verb in _SAME, others, tell)
        if inside:
            shapes = _run_all(job, opened, paths, Path(target))
        else:
            shapes = [_run_one(job, opened[0], Path(target))]
            to = Target(Path(target), Path(target).suffix[1:].lower())
            left_out += left_out_of(to, steps[-1].made[0], [s.name for s in steps[-1].made[1:]])
    shape = (sum(shape[0] for shape in shapes), *common_shape([s[1:] for s in shapes]))
    return Written(f"{target}", steps[-1].made[0].dtype, shape, tuple(left_out))


def _run_all(
    job: _Job, opened: Sequence[_Given], paths: Sequence[Path], target: Path
) -> list[tuple[int, ...]]:
    """Run all steps on each file, and write the results to a folder."""
    made, shapes = job.steps[-1].made, []
    with results_folder(target) as folder:
        names = distinct([path.name for path in paths], ".npy")
        for given, name in zip(opened, names, strict=True):
            is_wav = _first(given).wav is not None and made[0].kind == "signal"
            suffix = ".wav" if is_wav else ".npz" if len(made) > 1 else ".npy"
            shapes.append(_run_one(job, given, (folder / name).with_suffix(suffix)))
    return shapes


def _steps(bundle: Bundle, verb: str) -> list[_Step]:
    """The steps of a verb; of two, the first makes what the second takes."""
    names = [PARTS[step] for step in steps_of(bundle.manifest, verb)]
    if len(names) == 1:
        more = kept(bundle.manifest) if verb == "encode" else ()
        variant, made = bundle.variant(names[0]), made_by(bundle.manifest, verb)[1]
        further = [spec for spec in variant.outputs if spec.name in more]
        return [_Step(names[0], variant.inputs, [made, *further])]
    encoder, decoder = (bundle.variant(name) for name in names)
    outputs = {spec.name: spec for spec in encoder.outputs}
    feeds = fed(encoder, decoder)
    made = made_by(bundle.manifest, verb)[1]
    return [
        _Step(
            names[0], encoder.inputs, [outputs[feeds[spec.name]] for spec in _taken(decoder, feeds)]
        ),
        _Step(names[1], _taken(decoder, feeds), [made]),
    ]


def _taken(decoder: Variant, feeds: Mapping[str, str]) -> list[TensorSpec]:
    """The inputs of a decoder that the encoder feeds."""
    return [spec for spec in decoder.inputs if spec.name in feeds]


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


def _run_one(job: _Job, given: _Given, target: Path) -> tuple[int, ...]:
    """Run all steps on the rows of a file; returns the shape of the result."""
    first = _first(given)
    keep = first.length if job.same else None
    *before, last = job.steps
    with tempfile.TemporaryDirectory() as folder:
        if not before and target.suffix.lower() != ".npz":
            return _run_step(job, last, given, [target], keep, first.wav, job.tell)
        # The latents of a long signal are long too: they go through files.
        step = job.steps[0]
        between = [Path(folder) / f"{spec.name}.npy" for spec in step.made]
        shape = _run_step(job, step, given, between, None, None, job.tell)
        if not before:
            names = ("features", *(spec.name for spec in step.made[1:]))
            with files.new_file(target) as stream:
                zip_files(stream, dict(zip(names, between, strict=True)))
            return shape
        latents = {
            spec.name: open_signal(path, spec)
            for spec, path in zip(last.given, between, strict=True)
        }
        return _run_step(job, last, latents, [target], keep, first.wav, lambda _: None)


def _first(given: _Given) -> SignalFile:
    return next(iter(given.values()))


def _run_step(
    job: _Job,
    step: _Step,
    given: _Given,
    targets: Sequence[Path],
    keep: int | None,
    wave: Wav | None,
    tell: Callable[[int], None],
) -> tuple[int, ...]:
    """Run one part on the rows of a file.

    Args:
        job: what all steps share.
        step: the part.
        given: its inputs that are read from files.
        targets: of its outputs; those that have none are not written.
        keep: the length of the output that is kept; None for all.
        wave: the .wav file that the first step reads, if it is one.
        tell: is called with the length of the input that is done.

    Returns:
        The shape of the first output.
    """
    runner, others = job.bundle.runner(step.part), _numbers_of(job, step)
    source = _first(given)
    how = pieces_of(step.part, job.bundle.variant(step.part), source.length, runner.tiling)
    runner.blended |= how.blended
    specs = {spec.name: spec for spec in step.given}
    _require_lengths(step, given, how)
    made = list(zip(step.made, targets, strict=False))  # a .npy has no place for further outputs
    shapes = [_shape(spec, source.rows, keep, how) for spec, _ in made]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(signal_writer(target, shape, spec, wave))
            for (spec, target), shape in zip(made, shapes, strict=True)
        ]
        for row in range(source.rows):
            streamed = [
                Streamed(specs[name], one.length, partial(one.read, row))
                for name, one in given.items()
            ]
            outputs = [
                (spec, partial(_write_kept, write, spec, shape, row))
                for (spec, _), shape, write in zip(made, shapes, writers, strict=True)
            ]

            def tell_done(done: int, row: int = row) -> None:
                tell(row * source.length + min(done, source.length))

            run_pieces(how, lambda x: runner({**x, **others}), streamed, outputs, tell_done)
    return shapes[0]


def _shape(spec: TensorSpec, rows: int, keep: int | None, how: Pieces) -> tuple[int, ...]:
    """The shape of an output of all rows."""
    sizes = (keep or how.size(spec) if scaled(size) else int(size) for size in spec.shape[1:])
    return (rows, *sizes)


def _write_kept(
    write: Write, spec: TensorSpec, shape: tuple[int, ...], row: int, start: int, values: Array
) -> None:
    """Write values from a place on, without those that are not kept."""
    place = long_axis(spec)
    if place is None:
        write(row, 0, values)
    elif start < shape[place]:
        write(row, start, along(values, place, 0, shape[place] - start))


def _require_lengths(step: _Step, given: _Given, how: Pieces) -> None:
    """Check that all inputs from files are equally long.

    Raises:
        InputError: one is not.
    """
    for spec in step.given[1:]:
        found = given.get(spec.name)
        if found and long_axis(spec) is not None and found.length != how.size(spec):
            raise InputError(
                f"{found.where}: expected a length of {how.size(spec)}, as {step.given[0].name} "
                f"has, got {found.length}"
            )


def _numbers_of(job: _Job, step: _Step) -> dict[str, float]:
    """The numbers that are given for further inputs of a step, and do not come from files."""
    known = {spec.name for spec in job.bundle.inputs(step.part)}
    return {name: number for name, number in job.others.items() if name in known}
