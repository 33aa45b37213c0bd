"""Inputs for the comparison of graph and torch, chosen so that errors are visible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.runtime.interface import Interface, batch_of, has_rows, rows_in
from aeonnx.runtime.session import Array

__all__ = ["ACTIVATION", "EDGE", "RANDOM", "REAL", "Rows", "filled", "joined", "probes", "whole"]

REAL = "real"
RANDOM = "random"
EDGE = "edge"
ACTIVATION = "activation"

_RANDOM_ROWS = 48
_SIGMAS = 6.0
_EDGE_FEATURES = 4
_MOST_MISSING = 0.5  # share of the values of a random row, where some may be missing


@dataclass(frozen=True)
class Rows:
    """Rows of inputs, each of a kind.

    Args:
        values: arrays by input name; inputs without a batch axis, such as a seed, are shared.
        kinds: the kind of each row.
    """

    values: dict[str, Array]
    kinds: tuple[str, ...]

    @staticmethod
    def of(part: Interface, values: Mapping[str, Array], kind: str) -> Rows:
        """Rows that are all of one kind."""
        return Rows(dict(values), (kind,) * rows_in(part, values))

    def chosen(self, part: Interface, places: Sequence[int]) -> Rows:
        """The rows at these indices."""
        index = np.asarray(places, np.int64)
        values = {
            spec.name: self.values[spec.name][index]
            if has_rows(part, spec)
            else self.values[spec.name]
            for spec in part.inputs
        }
        return Rows(values, tuple(self.kinds[place] for place in places))

    def first_of(self, part: Interface, kinds: Iterable[str], count: int) -> Rows:
        """The first `count` rows of each of the kinds, one kind after another."""
        places = [[i for i, own in enumerate(self.kinds) if own == kind][:count] for kind in kinds]
        return self.chosen(part, [place for group in places for place in group])

    def repeated(self, part: Interface, count: int) -> Rows:
        """So many rows: all in order, and again from the first."""
        return self.chosen(part, [place % len(self.kinds) for place in range(count)])

    def at_most(self, part: Interface, count: int) -> Rows:
        """At most `count` rows: the first of each kind in turn, then the second, and so on."""
        if len(self.kinds) <= count:
            return self
        seen: Counter[str] = Counter()
        turns = []
        for place, kind in enumerate(self.kinds):
            turns.append((seen[kind], place))
            seen[kind] += 1
        return self.chosen(part, [place for _, place in sorted(turns)[:count]])


def probes(specs: Sequence[TensorSpec], real: Mapping[str, Array]) -> Rows:
    """Real data, skewed random data, and edge values for the inputs of a part.

    Args:
        specs: the inputs; their ranges bound the values.
        real: real rows, by name: test images or their latents. An input without any gets random
            values in the real rows of the others; if no input has any, there are no real rows.
    """
    count = min((len(real[spec.name]) for spec in specs if spec.name in real), default=0)
    edges = {spec.name: _edges(spec, real.get(spec.name)) for spec in specs}
    most = max(len(value) for value in edges.values())
    values = {}
    for spec in specs:
        rng = _generator(spec)
        own = real.get(spec.name)
        random = _random(rng, spec, own, _RANDOM_ROWS)
        used = _random(rng, spec, None, count) if own is None else own[:count]
        edge = edges[spec.name][np.arange(most) % len(edges[spec.name])]
        values[spec.name] = np.concatenate([used, random, edge]).astype(spec.dtype)
    return Rows(values, (REAL,) * count + (RANDOM,) * _RANDOM_ROWS + (EDGE,) * most)


def filled(specs: Sequence[TensorSpec], known: Mapping[str, Array], count: int) -> dict[str, Array]:
    """The known inputs, and `count` rows of random values in range for the others."""
    missing = [spec for spec in specs if spec.name not in known]
    random = {spec.name: _random(_generator(spec), spec, None, count) for spec in missing}
    return {**known, **{spec.name: random[spec.name].astype(spec.dtype) for spec in missing}}


def joined(part: Interface, first: Rows, more: Mapping[str, Array], kind: str) -> Rows:
    """The rows, followed by more of one kind."""
    values = {
        spec.name: np.concatenate([first.values[spec.name], more[spec.name]])
        if has_rows(part, spec)
        else first.values[spec.name]
        for spec in part.inputs
    }
    return Rows(values, (*first.kinds, *(kind,) * rows_in(part, more)))


def whole(part: Interface, rows: Rows) -> Rows:
    """Rows in whole batches of a fixed batch size: the last row is repeated to fill up."""
    size, count = batch_of(part) or 1, len(rows.kinds)
    full = -(-count // size) * size
    return rows if full == count else rows.chosen(part, np.minimum(range(full), count - 1).tolist())


def _generator(spec: TensorSpec) -> np.random.Generator:
    return np.random.default_rng([0, *(ord(letter) for letter in spec.name)])


def _random(rng: np.random.Generator, spec: TensorSpec, real: Array | None, count: int) -> Array:
    """Values of a skewed distribution, to reveal a swapped axis, lost activation or lost sign."""
    shape = (count, *_sizes(spec))
    if np.issubdtype(np.dtype(spec.dtype), np.integer):
        low, high = _bounds(spec)
        return rng.integers(int(low), int(high), shape, endpoint=True)
    if spec.range:
        low, high = spec.range
        found = low + (high - low) * rng.beta(0.6, 1.4, shape)
    else:
        mean, deviation = _moments(spec, real)
        found = mean + deviation * (rng.gamma(4.0, 0.5, shape) - 2.0)
    if spec.missing:
        share = rng.permutation(np.linspace(0.0, _MOST_MISSING, count))
        found[rng.random(shape) < share.reshape(count, *(1,) * (found.ndim - 1))] = np.nan
    return found


def _edges(spec: TensorSpec, real: Array | None) -> Array:
    """Constants and a ramp.

    The constants of bounded inputs are the ends, the middle and 0; those of unbounded ones are 0
    and 1, and single features are 6 standard deviations from the mean.
    """
    shape = _sizes(spec)
    ramp = np.linspace(-1.0, 1.0, int(np.prod(shape))).reshape(shape)
    whole_numbers = np.issubdtype(np.dtype(spec.dtype), np.integer)
    if spec.range or whole_numbers:
        low, high = _bounds(spec)
        middle = (low + high) / 2
        values = {low, high, int(middle) if whole_numbers else middle, min(max(0.0, low), high)}
        constants = [np.full(shape, value) for value in sorted(values)]
        slope = low + (high - low) * (ramp + 1) / 2
        return np.stack([*constants, np.rint(slope) if whole_numbers else slope])
    mean, deviation = (np.broadcast_to(moment, shape) for moment in _moments(spec, real))
    edges = [np.zeros(shape), np.ones(shape), mean + ramp * _SIGMAS * deviation]
    if spec.missing:
        edges.append(np.where(np.arange(mean.size).reshape(shape) % 2, mean, np.nan))
        edges.append(np.full(shape, np.nan))
    for feature in np.linspace(0, mean.size - 1, min(mean.size, _EDGE_FEATURES)).astype(int):
        for sign in (-1, 1):
            edge = mean.astype(np.float64)
            edge.flat[feature] += sign * _SIGMAS * deviation.flat[feature]
            edges.append(edge)
    return np.stack(edges)


def _sizes(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(int(size) for size in spec.shape[1:])


def _bounds(spec: TensorSpec) -> tuple[float, float]:
    """The range of an input; 0 and 1 for integers without a range."""
    return spec.range or (0.0, 1.0)


def _moments(spec: TensorSpec, real: Array | None) -> tuple[Array, Array]:
    """Mean and standard deviation per feature; 0 and 1 without real rows."""
    if real is None:
        return np.zeros(()), np.ones(())
    if spec.names:  # columns in units of their own, some of whose values may be missing
        known = real.astype(np.float64).reshape(*real.shape[:2], -1)
        there = ~np.isnan(known)
        count = np.maximum(there.sum((0, 2)), 1)
        mean = np.where(there, known, 0.0).sum((0, 2)) / count
        away = np.where(there, known - mean[:, None], 0.0)
        deviation = np.sqrt(np.square(away).sum((0, 2)) / count)
        deviation = np.where(deviation > 0, deviation, 1.0)
        shape = (len(mean), *(1,) * (real.ndim - 2))
        return mean.reshape(shape), deviation.reshape(shape)
    # At least 1: samples of a prior N(0, 1) may be wider than the encoder's latents.
    return real.mean(0), np.maximum(real.std(0), 1.0)
