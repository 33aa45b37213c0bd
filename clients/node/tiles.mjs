// Cutting inputs of any size into tiles, whose outputs put together are those of the whole. Free of
// Node and of browsers.

import { BATCH, shapeAt } from "./axes.mjs";

/**
 * @typedef {import("./axes.mjs").Axis} Axis
 * @typedef {import("./axes.mjs").Place} Place
 * @typedef {import("./axes.mjs").Sizes} Sizes
 * @typedef {import("./variant.mjs").Variant} Variant
 *
 * A tile along one axis: the outputs of [start, stop), from the inputs of [first, last).
 * @typedef {{start: number, stop: number, first: number, last: number}} Piece
 * @typedef {ReadonlyMap<string, Piece>} Tile by axis; empty for the whole
 *
 * A block of an array: where it begins, and its size, along each axis.
 * @typedef {{at: number[], size: number[]}} Block
 * @typedef {{data: any, shape: readonly number[]}} Values row-major
 */

/**
 * Items that are counted, but made one at a time, each time that they are gone through.
 *
 * @template Item
 * @typedef {{length: number, at: (number: number) => Item} & Iterable<Item>} Counted
 */

/** Values of the largest tensor of a row that runs as a whole. */
export const LARGEST_WHOLE = 2 ** 22;

/** Length of a tile by the number of axes that are cut. */
const SIDES = new Map([
  [1, 2 ** 18],
  [2, 512],
]);
const OTHER_SIDE = 64;

/** @type {Counted<Tile>} */
const WHOLE = counted(1, () => new Map());

/** The axes of a variant beside that of rows. */
export function sizedAxes({ axes }) {
  return [...axes.keys()].filter((axis) => axis !== BATCH);
}

/**
 * The tiles that a call is made of. All at once could be more than memory holds.
 *
 * @param {Variant} variant
 * @param {Sizes} sizes of its axes
 * @param {number} whole values of the largest tensor of a row that needs no tiles
 * @returns {Counted<Tile>} the whole alone, where it is small, or where a margin is unknown
 */
export function tilesOf(variant, sizes, whole) {
  const names = sizedAxes(variant);
  const known = [...variant.axes.values()].every(({ margin }) => margin !== null);
  if (!names.length || !known || rowValues(variant, sizes) <= whole) return WHOLE;
  const side = (SIDES.get(names.length) ?? OTHER_SIDE) / largestFactor(variant);
  const cuts = names.map((name) =>
    pieces(/** @type {Axis} */ (variant.axes.get(name)), sizes.get(name) ?? 0, side),
  );
  const length = product(cuts.map((cut) => cut.length));
  return length > 1 ? counted(length, (number) => tileAt(names, cuts, number)) : WHOLE;
}

/** One of the tiles that the pieces along all axes make; the last axis is gone along first. */
function tileAt(names, cuts, number) {
  let left = product(cuts.map((cut) => cut.length)); // tiles of the axes that are left
  return new Map(
    names.map((name, axis) => {
      const { length, at } = cuts[axis];
      left /= length;
      return [name, at(Math.floor(number / left) % length)];
    }),
  );
}

/**
 * @template Item
 * @param {number} length
 * @param {(number: number) => Item} at makes an item
 * @returns {Counted<Item>}
 */
function counted(length, at) {
  const all = function* () {
    for (let number = 0; number < length; number++) yield at(number);
  };
  return { length, at, [Symbol.iterator]: all };
}

/** A tile has its side in the tensor in which it is longest. */
function largestFactor({ inputs, outputs }) {
  const places = [...inputs, ...outputs].flatMap((tensor) => tensor.places);
  return Math.max(...places.map((place) => (typeof place === "number" ? 1 : place.factor)));
}

/**
 * How many rows run at once: as many as have the values of the largest whole, and one at least.
 *
 * @param {Variant} variant
 * @param {Sizes} sizes of its axes
 */
export function rowsAtOnce(variant, sizes) {
  return Math.max(1, Math.floor(LARGEST_WHOLE / rowValues(variant, sizes)));
}

function rowValues({ inputs, outputs }, sizes) {
  const values = ({ places }) => product(shapeAt(places, sizes).slice(1));
  return Math.max(...[...inputs, ...outputs].map(values));
}

/**
 * The tiles along an axis. Each begins at a multiple, so that strides fall on the same places as in
 * the whole, and its inputs are as many as the axis may have.
 *
 * @param {Axis} axis with a margin
 * @param {number} size that it may have
 * @param {number} side length of a tile's inputs, raised where margins would leave little of it: at
 *   least half of a tile's inputs are its own, else the tiles of a large margin would never end
 * @returns {Counted<Piece>}
 */
export function pieces({ multiple, min, margin }, size, side) {
  const beside = Math.ceil((margin ?? 0) / multiple) * multiple;
  const rounded = Math.floor(side / multiple) * multiple;
  const length = Math.max(rounded, 4 * beside + multiple, min);
  if (size <= length) return counted(1, () => ({ start: 0, stop: size, first: 0, last: size }));
  const step = length - 2 * beside;
  return counted(Math.ceil(size / step), (number) => {
    const start = number * step;
    const stop = Math.min(start + step, size);
    const end = Math.min(size, stop + beside);
    const first = Math.max(0, Math.min(start - beside, end - min));
    return { start, stop, first, last: Math.max(end, first + min) };
  });
}

/** The sizes of the axes in a tile's inputs. */
export function sizesIn(tile, sizes) {
  return new Map([...sizes, ...[...tile].map(([axis, { first, last }]) => [axis, last - first])]);
}

/**
 * What a tile takes of an input.
 *
 * @param {readonly Place[]} places
 * @param {Tile} tile
 * @param {readonly number[]} shape of the whole
 * @returns {Block}
 */
export function inputBlock(places, tile, shape) {
  return blockOf(places, tile, shape, ({ first, last }) => [first, last]);
}

/** Where the outputs of a tile lie in the whole. */
export function outputBlock(places, tile, shape) {
  return blockOf(places, tile, shape, ({ start, stop }) => [start, stop]);
}

/** Where these outputs lie in what the tile gave. */
export function innerBlock(places, tile, shape) {
  return blockOf(places, tile, shape, ({ start, stop, first }) => [start - first, stop - first]);
}

function blockOf(places, tile, shape, ends) {
  const spans = places.map((place, index) => {
    const piece = typeof place === "number" ? undefined : tile.get(place.axis);
    if (!piece) return [0, shape[index]];
    const { factor, divisor } = place;
    const [from, to] = ends(piece).map((end) => (factor * end) / divisor);
    return [from, to - from];
  });
  return { at: spans.map(([from]) => from), size: spans.map(([, length]) => length) };
}

/**
 * Copy a block of an array to a place in another.
 *
 * @param {Values} source
 * @param {Block} block
 * @param {Values} target
 * @param {readonly number[]} to where it begins there
 */
export function copyBlock(source, { at, size }, target, to) {
  const [from, into] = [stridesOf(source.shape), stridesOf(target.shape)];
  const last = size.length - 1;
  const copy = (axis, read, write) => {
    const [start, stop] = [read + at[axis] * from[axis], write + to[axis] * into[axis]];
    if (axis === last) {
      target.data.set(source.data.subarray(start, start + size[axis]), stop);
      return;
    }
    for (let place = 0; place < size[axis]; place++) {
      copy(axis + 1, start + place * from[axis], stop + place * into[axis]);
    }
  };
  copy(0, 0, 0);
}

/** A block of an array as one of its own. */
export function taken(source, block) {
  const data = new source.data.constructor(product(block.size));
  const target = { data, shape: block.size };
  copyBlock(source, block, target, Array(block.size.length).fill(0));
  return target;
}

function stridesOf(shape) {
  const strides = Array(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = strides[axis + 1] * shape[axis + 1];
  }
  return strides;
}

/**
 * The product of sizes.
 *
 * @param {readonly any[]} sizes
 * @returns {number}
 */
export function product(sizes) {
  return sizes.reduce((found, size) => found * size, 1);
}
