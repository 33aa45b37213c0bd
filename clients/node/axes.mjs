// Named axes of tensors, and sizes that follow them: "height", "height/8", "320*frames". Free of Node
// and of browsers.

import { expect, size as sizeAbove0 } from "./fields.mjs";

/**
 * A size that follows an axis: factor * axis / divisor; one of the two numbers is 1.
 *
 * @typedef {{axis: string, factor: number, divisor: number}} ScaledAxis
 *
 * Which sizes an axis may have: multiples of `multiple` from `min` to `max`, null for no limit.
 * `margin`: how many places to either side of a place can change the outputs there, null for any.
 * @typedef {{multiple: number, min: number, max: number | null, margin: number | null}} Axis
 *
 * A size of a tensor for any number of rows: a number, or one that follows an axis.
 * @typedef {number | ScaledAxis} Place
 * @typedef {ReadonlyMap<string, number>} Sizes of axes, by name
 */

/** The axis of rows: the first of a tensor that has them. */
export const BATCH = "batch";

/** @type {Axis} */
export const ANY_SIZE = Object.freeze({ multiple: 1, min: 1, max: null, margin: 0 });

const MOST = Number.MAX_SAFE_INTEGER;
const SCALED = /^(?:([1-9][0-9]{0,8})\*)?([a-z][a-z0-9_]*)(?:\/([1-9][0-9]{0,8}))?$/;

/**
 * The axis that a size follows, such as "batch", "height/8" or "320*frames".
 *
 * @returns {ScaledAxis | null} null if it is no such text
 */
export function scaled(size) {
  const found = typeof size === "string" ? SCALED.exec(size) : null;
  if (!found || (found[1] && found[3])) return null;
  const [, factor = "1", axis, divisor = "1"] = found;
  return Object.freeze({ axis, factor: Number(factor), divisor: Number(divisor) });
}

/** Whether a size can stand at a place of a shape: "batch" stands first, and alone. */
export function isSize(size, place) {
  if (Number.isSafeInteger(size)) return size > 0;
  const axis = scaled(size);
  return axis !== null && (axis.axis !== BATCH || (size === BATCH && place === 0));
}

/**
 * An axis of a manifest.
 *
 * @returns {Axis}
 */
export function axisOf(value, path) {
  const { multiple, min, max, margin } = value ?? {};
  sizeAbove0(multiple, `${path}.multiple`);
  const allowed = (size) => Number.isSafeInteger(size) && size > 0 && size % multiple === 0;
  const expected = `a multiple of ${multiple} above 0`;
  expect(allowed(min), `${path}.min`, expected, min);
  expect(max === null || allowed(max), `${path}.max`, `${expected}, or null`, max);
  expect(max === null || min <= max, `${path}.max`, `at least min, ${min}`, max);
  const good = margin === null || (Number.isSafeInteger(margin) && margin >= 0);
  expect(good, `${path}.margin`, "a whole number of 0 or more, or null", margin);
  return Object.freeze({ multiple, min, max, margin });
}

/** Whether an axis may have a size. */
export function allows({ multiple, min, max }, size) {
  return size % multiple === 0 && min <= size && size <= (max ?? MOST);
}

/**
 * The shape of a tensor where its axes have these sizes.
 *
 * @param {readonly Place[]} places
 * @param {Sizes} sizes
 * @returns {number[]} beyond 2^53 rounded, and so of no array
 */
export function shapeAt(places, sizes) {
  return places.map((place) => (typeof place === "number" ? place : scaledAt(place, sizes)));
}

function scaledAt({ axis, factor, divisor }, sizes) {
  return (factor * (sizes.get(axis) ?? 0)) / divisor;
}

/**
 * The sizes of all axes, from shapes of arrays that have as many sizes as is declared, and the same
 * where that is a number.
 *
 * @param {readonly {name: string, places: readonly Place[], shape: readonly any[]}[]} specs
 * @param {Record<string, {shape: readonly number[]}>} arrays by name
 * @param {ReadonlyMap<string, Axis>} axes
 * @returns {Map<string, number>}
 * @throws {Error} names the axis, its sizes, and the rule that they break
 */
export function solve(specs, arrays, axes) {
  const sizes = new Map();
  const owners = new Map();
  for (const { name, places, shape } of specs) {
    places.forEach((place, index) => {
      if (typeof place === "number") return;
      const { axis } = place;
      const size = solved(name, place, shape[index], arrays[name].shape[index]);
      const before = sizes.get(axis) ?? size;
      if (before !== size) {
        const got = `${before} in ${owners.get(axis)} and ${size} in ${name}`;
        throw new Error(`${axis}: expected one size in all inputs, got ${got}`);
      }
      if (owners.has(axis)) return;
      sizes.set(axis, size);
      owners.set(axis, name);
    });
  }
  for (const [axis, size] of sizes) {
    const rule = axes.get(axis) ?? ANY_SIZE;
    if (!allows(rule, size)) throw refusal(owners.get(axis), axis, rule, size);
  }
  return sizes;
}

function solved(name, { factor, divisor }, size, given) {
  if (given % factor === 0) return (given / factor) * divisor;
  throw new Error(`${name}: expected a multiple of ${factor} for ${size}, got ${given}`);
}

function refusal(name, axis, rule, size) {
  return new Error(
    `${name}: ${axis}: expected ${ruleInWords(rule)}, got ${size}: ` +
      `the nearest is ${nearest(rule, size)}`,
  );
}

function ruleInWords({ multiple, min, max }) {
  const what = multiple > 1 ? `a multiple of ${multiple}` : "a size";
  return max === null ? `${what} of at least ${min}` : `${what} from ${min} to ${max}`;
}

/** The size nearest to one that an axis may have; of two, the larger. */
export function nearest({ multiple, min, max }, size) {
  const whole = Math.floor((size + Math.floor(multiple / 2)) / multiple) * multiple;
  return Math.min(Math.max(whole, min), max ?? Infinity);
}

/**
 * The smallest shape that its axes allow in which no size is below a given one: where two sizes follow
 * one axis, the larger decides.
 *
 * @param {string} name of the tensor, for messages
 * @param {readonly Place[]} places
 * @param {ReadonlyMap<string, Axis>} axes
 * @param {readonly number[]} given
 * @returns {number[]}
 * @throws {Error} names the axis that may not be as large
 */
export function shapeFor(name, places, axes, given) {
  const sizes = new Map();
  places.forEach((place, index) => {
    if (typeof place === "number") return;
    const { axis, factor, divisor } = place;
    const least = Math.ceil((given[index] * divisor) / factor);
    sizes.set(axis, Math.max(least, sizes.get(axis) ?? 0));
  });
  for (const [axis, least] of sizes) {
    const rule = axes.get(axis) ?? ANY_SIZE;
    const wanted = Math.max(rule.min, Math.ceil(least / rule.multiple) * rule.multiple);
    if (!allows(rule, wanted)) throw refusal(name, axis, rule, least);
    sizes.set(axis, wanted);
  }
  return shapeAt(places, sizes);
}
