"""Runs verbs from files to files in constant memory: the file commands of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aeonnx.bundle.composing import kept
from aeonnx.io.formats import target_of
from aeonnx.io.readers import Reading
from aeonnx.io.sheet import Sheet
from aeonnx.io.source import Source
from aeonnx.io.stored import named
from aeonnx.io.writers import write_bytes
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.file_rows import (
    Given,
    log_skipped,
    open_rows_of,
    refuse_options,
    require_inputs,
    sizes,
)
from aeonnx.runtime.further_files import Further, numbers_in, with_further
from aeonnx.runtime.labels import missing_label, predicted
from aeonnx.runtime.mixing import check_strength
from aeonnx.runtime.photos import are_photos, run_on_photos
from aeonnx.runtime.session import Array
from aeonnx.runtime.sheets import check_sheet, require_other, show_rows
from aeonnx.runtime.signal_files import is_on_signals, run_on_signals
from aeonnx.runtime.stream import ahead, rows_at_once
from aeonnx.runtime.verbs import made_by, taken_by
from aeonnx.runtime.writing import Advanced, write_rows
from aeonnx.runtime.written import Written, left_out_of

__all__ = ["Advanced", "Written", "run_on_files"]

_NONE: Further = MappingProxyType({})


def run_on_files(
    bundle: Bundle,
    verb: str,
    sources: Given,
    target: Path | str,
    *,
    reading: Reading | None = None,
    pixels: bool = False,
    force: bool = False,
    advanced: Advanced | None = None,
    others: Further = _NONE,
    strength: float | None = None,
    compare: Path | None = None,
) -> Written:
    """Read `sources`, run a verb of the bundle on them, write `target`.

    Args:
        bundle: the bundle.
        verb: "encode", "decode", "reconstruct" or "denoise".
        sources: pictures and arrays, for "decode" files of latents, see `open_rows_of`, or what
            that returned. Signals of any length, and their latents, are read and written as
            `run_on_signals` says.
        target: .png, .jpg, .webp or .tif for a grid of images; .npy for an array; .npz for an
            array, the names of the sources and, for "encode", every further output that the decoder
            takes; a folder (no suffix, / at the end, or an existing folder) for one picture per
            image, or one array per row of anything else, named after its source; "-" for stdout,
            which gets a PNG if the sources are pictures, else a .npy. Pictures that go through a
            model of images of any size keep their colours, depth and alpha, see `run_on_photos`.
        reading: how sources are read.
        pixels: write uint8 instead of float32 to an array; pictures are always uint8.
        force: replace an existing file; add to a folder that is not empty.
        advanced: progress callback.
        others: a number for each further input of the verb's part, such as a noise level; or the
            name of a file, see `with_further`. Signals have numbers alone.
        strength: for "denoise", see `Bundle.denoise`.
        compare: for "denoise", a .png that shows images before and after, side by side.

    Raises:
        ImageError: a source is missing or does not fit the verb.
        UsageError: `target` has an unsupported suffix.
        OutputError: `target` exists and `force` is not set, or it cannot be written.
        BundleError, InputError, ProviderError: see `Bundle.run`.
    """
    mixed = {} if strength is None else {"strength": check_strength(strength)}
    bundle.require(verb)
    reading = reading or Reading()
    sheet = Sheet()
    if compare is not None:
        require_other("--compare", compare, target)
        check_sheet("--compare", made_by(bundle.manifest, verb)[1], compare, force=force)
    if not isinstance(sources, Source) and is_on_signals(bundle, verb):
        refuse_options(
            verb,
            bundle.inputs(taken_by(bundle.manifest, verb))[0],
            reading,
            pixels=pixels,
            strength=strength is not None,
        )
        numbers = numbers_in(f"{verb} of signals", others)
        return run_on_signals(
            bundle, verb, sources, target, force=force, advanced=advanced, others=numbers
        )
    made = made_by(bundle.manifest, verb)[1]
    is_image, what = made.kind == "image", f"{made.name} is of the kind {made.kind}, not an image"
    target_of(target, images=is_image, what=what).refuse_existing(force=force)
    rows = open_rows_of(bundle, verb, sources, reading)
    to = target_of(target, images=is_image, pictures=rows.pictures, what=what)
    if is_image:
        to.require(len(rows.names), sizes(made))
    options: dict[str, Any] = {} if verb == "encode" else {"pixels": pixels or to.pictures, **mixed}
    where = rows.names[0] if isinstance(sources, Source) else named(sources[0])
    require_inputs(bundle, verb, where, rows.others, others)
    rows, numbers = with_further(bundle, verb, rows, others, reading)
    label = missing_label(bundle, verb, {**numbers, **rows.others})
    inputs = (*numbers, *rows.others, *([label] if label else []))
    bundle.require(verb, inputs, pixels=options.get("pixels", False))
    more = kept(bundle.manifest) if verb == "encode" else ()
    if verb == "encode" and label and "decoder" in bundle.manifest.parts:
        more = (*more, label)
    left_out = [*rows.left_out, *left_out_of(to, made, more)]
    more = () if to.form == "npy" else more

    def run(batch: Array, rest: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        if label:
            rest = {**rest, label: predicted(bundle, batch)}
        if more:
            found = {**rest, **bundle.encode_all(batch, **rest, **numbers)}
            return found[made.name], {name: found[name] for name in more}
        result: Array = getattr(bundle, verb)(batch, **rest, **numbers, **options)
        if compare is not None:
            show_rows(sheet, bundle, verb, rows.names, batch, result)
        return result, {}

    if are_photos(bundle, verb, rows, to):
        written = run_on_photos(
            bundle,
            verb,
            rows,
            to,
            {**numbers, **mixed},
            label=label,
            how=reading.how,
            shown=sheet.add,
            force=force,
            advanced=advanced,
        )
    else:
        pairs = rows.pairs(rows_at_once(bundle, verb, rows.values))
        results = ahead(run(batch, rest) for batch, rest in ahead(pairs))
        key = "images" if is_image else "features" if verb == "encode" else made.name
        written = write_rows(results, to, rows, key, more, force=force, advanced=advanced)
    log_skipped(rows)
    if compare is not None:
        write_bytes(target_of(compare), sheet.png(), force=force)
    return replace(written, left_out=tuple(left_out), skipped=rows.skipped)
