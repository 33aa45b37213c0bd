"""What verbs return for one array: floats or pixels, of a part's own sizes or of any size."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from aeonnx.bundle import TensorSpec, Variant
from aeonnx.bundle.composing import conditions, fed
from aeonnx.errors import BundleError, InputError, UsageError
from aeonnx.io.pixels import to_pixels
from aeonnx.runtime.array_like import ArrayLike, is_number
from aeonnx.runtime.blame import column_without_which
from aeonnx.runtime.export_advice import missing_prior, model_of
from aeonnx.runtime.interface import is_sized
from aeonnx.runtime.mixing import check_strength, mix
from aeonnx.runtime.pixel_range import pixel_range
from aeonnx.runtime.prior import Distribution, stored_prior
from aeonnx.runtime.runner import PartRunner
from aeonnx.runtime.scored import Scored, percentiles_of, ranked, score_output, threshold_of
from aeonnx.runtime.session import Array
from aeonnx.runtime.sessions import SessionPool
from aeonnx.runtime.tiles import pad_to_allowed
from aeonnx.runtime.tiling import require_cuttable, tiling_of
from aeonnx.runtime.validation import (
    check_input,
    check_output,
    input_array,
    require_names,
    require_same_sizes,
    require_some_value,
)
from aeonnx.runtime.variants import Variants
from aeonnx.runtime.verbs import OUTPUTS, PARTS, check_verb, made_by, steps_of, taken_by

__all__ = ["NONE", "Answers"]

NONE: Mapping[str, ArrayLike] = MappingProxyType({})
"""No inputs beside the first."""

_IN_TILES = ("encode", "decode", "reconstruct", "denoise")
"""Verbs whose results are as large as their inputs, or follow their sizes."""


class Answers:
    """Runs verbs of a bundle; `Bundle` documents their arguments and errors.

    Args:
        pool: the open graphs.
        variants: chooses the variant of each part.
    """

    def __init__(self, pool: SessionPool, variants: Variants) -> None:
        self._pool, self._manifest, self._variants = pool, pool.manifest, variants
        self._runners: dict[str, PartRunner] = {}
        self._fit: set[str] = set()  # verbs known to be able to run
        self._prior: Distribution | None = None
        self._usual: Array | None = None  # see `_left_out`

    def close(self) -> None:
        """Forget the runners, whose graphs are closed."""
        self._runners = {}

    def require(self, verb: str) -> None:
        """See `Bundle.require`."""
        if verb in self._fit:
            return
        contents = self._manifest
        if verb == "classify" and not contents.classes:
            raise BundleError(
                f"{model_of(contents)} learns no classes, so it cannot classify: use an sdae"
            )
        if verb == "generate":
            self.prior()
        for step in steps_of(contents, verb):
            self._variants.require(PARTS[step])
            check_verb(contents, step)
        self._require_tiles(verb)
        self._fit.add(verb)

    def require_call(self, verb: str, given: Collection[str], *, pixels: bool) -> None:
        """See `Bundle.require`."""
        self.require(verb)
        steps = steps_of(self._manifest, verb)
        if steps == ("encode", "decode"):
            encoder, decoder = self._variant("encoder"), self._variant("decoder")
            feeds = fed(encoder, decoder)
            before, after = conditions(verb, encoder, decoder, feeds, dict.fromkeys(given))
            calls = {"encoder": {encoder.inputs[0].name, *before}}
            calls["decoder"] = {*feeds, *after}
        else:
            part = PARTS[steps[0]]
            calls = {part: {self._variant(part).inputs[0].name, *given}}
        for part, names in calls.items():
            require_names(part, [spec.name for spec in self._variant(part).inputs], names)
        if pixels:
            pixel_range(self._manifest, *made_by(self._manifest, verb))

    def _require_tiles(self, verb: str) -> None:
        """Check the tiles that were asked for, see `tiling_of`."""
        tile, overlap = self._pool.settings.tile, self._pool.settings.overlap
        if tile is None or verb not in _IN_TILES:
            return
        names = [PARTS[step] for step in steps_of(self._manifest, verb)]
        for name in names:
            require_cuttable(name, self._variant(name))
        found = [tiling_of(name, self._variant(name), tile, overlap) for name in names]
        if overlap is not None and all(each and each.overlap is None for each in found):
            raise UsageError(
                f"overlap: expected none, the tiles of {' and '.join(names)} are exact: they "
                "overlap by the margins in the manifest. Leave it out"
            )

    def prior(self) -> Distribution:
        """The prior.

        Raises:
            BundleError: there is none.
        """
        contents = self._manifest
        prior = contents.prior
        if prior is None:
            raise BundleError(
                f"{model_of(contents)} has no prior over its latents to generate from: "
                + missing_prior(self._pool.folder, contents)
            )
        if self._prior is None:
            self._prior = stored_prior(prior, self._pool.read_golden)
        return self._prior

    def runner(self, verb: str) -> PartRunner:
        """The runner of a verb's part, which is checked before it is opened."""
        found = self._runners.get(verb)
        if found is None:
            self.require(verb)
            found = self._runners[verb] = self._variants.runner(PARTS[verb])
        return found

    def one(
        self,
        verb: str,
        value: ArrayLike,
        out: Array | None = None,
        pixels: bool = False,
        others: Mapping[str, ArrayLike] = NONE,
    ) -> Array:
        """The answer of a verb that one part runs, for an input of an allowed size."""
        if pixels:
            return self._pixels(verb, value, out, others)
        runner = self._runners.get(verb) or self.runner(verb)  # microseconds count
        return runner.output(value, out, OUTPUTS[verb], others)

    def same_size(
        self,
        verb: str,
        value: ArrayLike,
        out: Array | None,
        pixels: bool,
        others: Mapping[str, ArrayLike],
    ) -> Array:
        """The answer of a verb whose output is as large as its input, for an input of any size."""
        known = self._runners.get(verb)
        if known and not known.sized and not pixels:  # microseconds count
            return known.output(value, out, OUTPUTS[verb], others)
        self.require(verb)
        given, whole = self._padded(taken_by(self._manifest, verb), value)
        others = self._padded_others(verb, given, others)
        if whole is given:
            return self._in_steps(verb, given, out, pixels, others)
        made = self._in_steps(verb, whole, None, pixels, others)
        made = np.ascontiguousarray(made[tuple(map(slice, given.shape))])
        if out is None:
            return made
        last = PARTS[steps_of(self._manifest, verb)[-1]]
        spec = replace(self._variant(last).outputs[0], dtype=str(made.dtype))
        check_output(last, spec, made.shape, given, out)
        out[...] = made
        return out

    def denoise_in_part(
        self,
        value: ArrayLike,
        strength: float,
        out: Array | None,
        pixels: bool,
        others: Mapping[str, ArrayLike],
    ) -> Array:
        """See `Bundle.denoise`."""
        self.require("denoise")
        first, *rest = self._variant("denoiser").inputs
        if any(spec.name == "strength" for spec in rest):
            return self.same_size("denoise", value, out, pixels, {**others, "strength": strength})
        share = check_strength(strength)
        bounds = (
            pixel_range(self._manifest, *made_by(self._manifest, "denoise")) if pixels else None
        )

        def denoise(images: Array) -> Array:
            return self.same_size("denoise", images, None, False, others)

        return mix(first, value, share, denoise, bounds, out)

    def score(self, value: ArrayLike, threshold: str | float, others: Mapping[str, Any]) -> Scored:
        """See `Bundle.score`."""
        runner = self.runner("score")
        variant = self._variant("scorer", self._variants.choice("scorer"))
        name = score_output(variant)
        limit = threshold_of(variant, name, threshold)
        first = variant.inputs[0]
        if first.missing:
            value = input_array("scorer", first, value)
            require_some_value("scorer", first, value)
        found = runner({first.name: value, **others})
        scores = ranked(found[name])
        percentiles = percentiles_of(variant, name, scores)
        maps, names = found.get("map"), first.names
        if maps is not None:
            maps = ranked(maps)
        odd, columns, worst = scores > limit, None, None
        if names and maps is not None and maps.ndim > 1 and maps.shape[1] == len(names):
            with np.errstate(over="ignore"):
                columns = maps.reshape(*maps.shape[:2], -1).mean(2)
            worst = columns.argmax(1)
            if (first.missing or first.kind == "vector") and not others and odd.any():
                rows = check_input("scorer", first, value, limited=False)[odd]

                def score(given: Array) -> Array:
                    return ranked(runner.output(given, name=name))

                worst[odd] = column_without_which(rows, self._left_out(variant), score)
        else:
            names = ()
        return Scored(scores, percentiles, odd, limit, maps, columns, names, worst)

    def _left_out(self, scorer: Variant) -> Array:
        """What stands for each column of a row when it is left out, float32 [D]."""
        first = scorer.inputs[0]
        if first.missing:
            return np.full(len(first.names), np.nan, np.float32)
        if self._usual is None:
            known = self._pool.read_golden(scorer.golden[0].inputs[first.name])
            self._usual = np.median(known, 0)  # most are training rows
        return self._usual

    def encode(self, value: ArrayLike, out: Array | None, others: Mapping[str, ArrayLike]) -> Array:
        """The latents of an input of any size, which is padded as in `same_size`."""
        known = self._runners.get("encode")
        if known and not known.sized:
            return known.output(value, out, OUTPUTS["encode"], others)
        self.require("encode")
        given, whole = self._padded("encoder", value)
        return self.one("encode", whole, out, others=self._padded_others("encode", given, others))

    def encode_all(self, value: ArrayLike, others: Mapping[str, ArrayLike]) -> dict[str, Array]:
        """All outputs of the encoder, for an input of any size as in `encode`."""
        self.require("encode")
        first = self._variant("encoder").inputs[0].name
        given, whole = self._padded("encoder", value)
        others = self._padded_others("encode", given, others)
        return self.runner("encode")({first: whole, **others})

    def _padded(self, part: str, value: ArrayLike) -> tuple[Any, Any]:
        """The first input of a part as an array, and the same if its sizes are allowed, or padded.

        Raises:
            InputError: it is a signal that is too short.
        """
        variant = self._variant(part)
        if not is_sized(variant):
            return value, value
        given = input_array(part, variant.inputs[0], value)
        return given, _allowed(part, variant, variant.inputs[0], given)

    def _padded_others(
        self, verb: str, given: Any, others: Mapping[str, ArrayLike]
    ) -> Mapping[str, ArrayLike]:
        """The further inputs of a verb, padded as `_padded` pads the first, which is `given`.

        Raises:
            InputError: one has another size than the first input, before they are padded.
        """
        found = dict(others)
        for part in (PARTS[step] for step in steps_of(self._manifest, verb)) if others else ():
            variant = self._variant(part)
            for spec in variant.inputs[1:] if is_sized(variant) else ():
                value = found.get(spec.name)
                if value is None or is_number(value) or spec.kind == "label":
                    continue  # has no size
                array = input_array(part, spec, value)
                if part == taken_by(self._manifest, verb):
                    require_same_sizes(part, variant.inputs[0], given, spec, array)
                found[spec.name] = _allowed(part, variant, spec, array)
        return found

    def _in_steps(
        self,
        verb: str,
        value: ArrayLike,
        out: Array | None,
        pixels: bool,
        others: Mapping[str, ArrayLike],
    ) -> Array:
        """The answer of a verb that one part runs, or encoder and decoder one after the other."""
        if steps_of(self._manifest, verb) != ("encode", "decode"):
            return self.one(verb, value, out, pixels, others)
        encoder, decoder = self._variant("encoder"), self._variant("decoder")
        feeds = fed(encoder, decoder)
        before, after = conditions(verb, encoder, decoder, feeds, others)
        made = self.runner("encode")({encoder.inputs[0].name: value, **before})
        taken = {name: made[output] for name, output in feeds.items()}
        z = taken.pop(decoder.inputs[0].name)
        return self.one("decode", z, out, pixels, {**taken, **after})

    def _pixels(
        self, verb: str, value: ArrayLike, out: Array | None, others: Mapping[str, ArrayLike]
    ) -> Array:
        """The result as uint8: from the uint8 graph if there is one that accepts `value`."""
        part = PARTS[verb]
        self.require(verb)
        chosen = self._variants.choice(part)
        variant = self._variant(part, chosen)
        spec, floats = variant.inputs[0], variant.outputs[0]
        value = input_array(part, spec, value)
        name = f"{chosen}-uint8"
        if name in self._manifest.parts[part]:
            dtype = self._variant(part, name).inputs[0].dtype
            if value.dtype == dtype:
                return self._variants.runner(part, name).output(value, out, others=others)
        names = [item.name for item in variant.inputs]
        require_names(part, names, (names[0], *others))  # the range is a smaller fault
        bounds = pixel_range(self._manifest, part, floats)
        made = to_pixels(self.one(verb, value, others=others), bounds)
        if out is None:
            return made
        check_output(part, replace(floats, dtype="uint8"), made.shape, made, out)
        out[...] = made
        return out

    def _variant(self, part: str, name: str = "fp32") -> Variant:
        return self._pool.variant(part, name)


def _allowed(part: str, variant: Variant, spec: TensorSpec, value: Array) -> Array:
    try:
        return pad_to_allowed(variant, spec, value)
    except ValueError as error:
        raise InputError(f"{part}: {error}") from error
