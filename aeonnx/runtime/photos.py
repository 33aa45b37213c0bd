"""Runs a model of images of any size on photographs, from files to files.

A photograph comes out as it went in: with its size, colours, depth, transparency and profile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from aeonnx._util import files
from aeonnx.errors import UsageError
from aeonnx.io.encode import DEEP, encode_picture
from aeonnx.io.formats import Target, distinct
from aeonnx.io.photos import Photo, PhotoFile, open_photo
from aeonnx.io.pictures import Treatment
from aeonnx.io.pixels import UNIT
from aeonnx.io.source import Source, Taken, skippable
from aeonnx.io.writers import results_folder, write_bytes
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.file_rows import of_any_size, sizes
from aeonnx.runtime.labels import predicted
from aeonnx.runtime.pixel_range import pixel_range
from aeonnx.runtime.session import Array
from aeonnx.runtime.stream import ahead
from aeonnx.runtime.verbs import made_by, taken_by
from aeonnx.runtime.written import Written, common_shape

__all__ = ["are_photos", "run_on_photos"]


def are_photos(bundle: Bundle, verb: str, rows: Source, to: Target) -> bool:
    """Whether sources and target are photographs, and the verb takes and makes images of any size.

    Several photographs in one grid are not: they must have one size and depth.
    """
    whole = to.form == "folder" or len(rows.names) == 1
    return bool(rows.photos) and of_any_size(bundle, verb) and to.pictures and whole


def run_on_photos(
    bundle: Bundle,
    verb: str,
    source: Source,
    to: Target,
    others: Mapping[str, float],
    *,
    label: str | None,
    how: Treatment,
    shown: Callable[[str, Array, Array], None],
    force: bool,
    advanced: Callable[[int, int], None] | None,
) -> Written:
    """Run a verb on photographs and write each to a file.

    Args:
        bundle: the bundle.
        verb: a verb for which `are_photos` holds.
        source: the photographs; further inputs have a row for each of them.
        to: a folder, or the file for the only photograph.
        others: a number for each further argument of the verb.
        label: name of the input for a label that is to be predicted; None if nothing is.
        how: treatment of transparent pixels; without a background, alpha is kept as it is.
        shown: is called with name, photograph and result, uint8 or uint16 [H, W, 1 to 4].
        force: see `open_writer`.
        advanced: progress callback.

    Raises:
        ImageError: a photograph cannot be read.
        UsageError, OutputError: see `run_on_files`.
    """
    part, made = made_by(bundle.manifest, verb)
    bounds = bundle.inputs(taken_by(bundle.manifest, verb))[0].range or UNIT
    after_bounds = pixel_range(bundle.manifest, part, made)
    photos = source.photos
    shapes: list[tuple[int, ...]] = []
    depths: set[str] = set()

    def opening(file: PhotoFile) -> Photo:
        with skippable(len(photos), how):
            return open_photo(file.read(), file.name, how)

    def results() -> Iterator[bytes]:
        form = "png" if to.form == "folder" else to.form
        opened = ahead((file, opening(file)) for file in photos)
        further = {name: Taken(batches(1)) for name, batches in source.others.items()}
        for file, photo in opened:
            rows = photo.rows(sizes(made)[0], bounds)
            # Each plane of a colour picture can be a row.
            rest = {name: each.take(1).repeat(len(rows), 0) for name, each in further.items()}
            if label:
                rest[label] = predicted(bundle, rows)
            found = getattr(bundle, verb)(rows, **rest, **others, pixels=rows.dtype == np.uint8)
            after = photo.with_result(found, after_bounds)
            pixels = after.pixels
            shown(file.name, photo.pixels, pixels)
            height, width, planes = pixels.shape
            shapes.append((planes, height, width))
            depths.add(str(pixels.dtype) if form in DEEP else "uint8")
            yield _encoded(after, form, to)
            if advanced:
                advanced(len(shapes), len(photos))

    if to.form == "folder" and to.path is not None:
        names = distinct([file.output for file in photos], ".png")
        with results_folder(to.path) as folder, ThreadPoolExecutor(1) as pool:
            writing: Future[None] | None = None
            for name, data in zip(names, results(), strict=True):
                if writing:
                    writing.result()  # a full disk ends the work, and one picture waits at most
                writing = pool.submit(files.write, folder / name, data)
            if writing:
                writing.result()
    else:
        (data,) = results()
        write_bytes(to, data, force=force)
    return Written(f"{to}", " and ".join(sorted(depths)), (len(photos), *common_shape(shapes)))


def _encoded(photo: Photo, form: str, to: Target) -> bytes:
    try:
        return encode_picture(photo.pixels, form, photo.profile, photo.dpi)
    except UsageError as error:
        raise UsageError(f"{to}: {error}") from None
