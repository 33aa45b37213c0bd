// The arrays that come into a part, checked; and rows of them. Free of Node and of browsers.

import { BATCH, solve } from "./axes.mjs";
import { requireValues } from "./checks.mjs";
import { BundleError, EnvironmentError } from "./errors.mjs";
import { typeInWords } from "./tensors.mjs";
import { product } from "./tiles.mjs";
import { isLike } from "./variant.mjs";

/**
 * @typedef {Float32Array | Float64Array | Uint8Array | Int32Array | BigInt64Array} Values
 * @typedef {{dtype: string, shape: readonly number[], data: Values}} Tensor row-major values
 */

/** @type {Record<string, any>} */
const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
  float16: /** @type {any} */ (globalThis).Float16Array,
};

/**
 * The kind of typed array for a dtype.
 *
 * @param {string} dtype
 * @returns {any}
 * @throws {EnvironmentError} this engine has none: Float16Array is new
 */
export function arrayFor(dtype) {
  if (!ARRAYS[dtype]) throw new EnvironmentError(`this JavaScript engine has no ${dtype} arrays`);
  return ARRAYS[dtype];
}

/**
 * Inputs of a part, and the sizes of its axes, which follow from them.
 *
 * @param {string} part name, for messages
 * @param {import("./variant.mjs").Variant} variant
 * @param {Record<string, Tensor | Values>} inputs by name
 * @param {boolean} limited whether values out of their range are refused
 * @returns {{tensors: Record<string, Tensor>, sizes: Map<string, number>}}
 * @throws {BundleError} one is missing, unknown, of another dtype or shape, out of its range or not
 *   finite, nor NaN where values may be missing; or the axes may not have such sizes
 */
export function checkedInputs(part, { inputs: specs, axes }, inputs, limited) {
  const names = specs.map((spec) => spec.name);
  const got = Object.keys(inputs);
  if (got.length !== names.length || !names.every((name) => Object.hasOwn(inputs, name))) {
    throw new BundleError(`${part}: expected inputs ${names}, got ${got}`);
  }
  const checked = (spec) => checkedInput(part, spec, inputs[spec.name], limited);
  const tensors = Object.fromEntries(specs.map((spec) => [spec.name, checked(spec)]));
  try {
    return { tensors, sizes: solve(specs, tensors, axes) };
  } catch (error) {
    throw new BundleError(`${part}: ${error.message}`);
  }
}

/**
 * One input, as `checkedInputs`.
 *
 * @returns {Tensor}
 */
export function checkedInput(part, spec, value, limited) {
  const data = value?.data ?? value;
  const shape = value?.shape ?? shapeFor(spec, data?.length);
  const dtype = value?.dtype ?? spec.dtype;
  const good =
    data instanceof arrayFor(spec.dtype) &&
    dtype === spec.dtype &&
    isLike(spec.places, shape) &&
    data.length > 0 &&
    data.length === product(shape);
  const where = `${part}: ${spec.name}`;
  if (good) {
    requireValues(where, spec, data, limited);
    return { dtype, shape, data };
  }
  const rest = spec.shape.slice(1);
  const expected = { ...spec, shape: spec.rows ? [BATCH, ...rest] : spec.shape };
  const kind = value?.dtype ?? data?.constructor?.name;
  const got = typeInWords({ dtype: kind, shape: [...shape] });
  throw new BundleError(`${where}: expected ${typeInWords(expected)}, got ${got}`);
}

/** @returns {readonly number[]} of values alone; their number, where that does not give a shape */
function shapeFor({ rows, places }, length) {
  const rest = places.slice(rows ? 1 : 0);
  if (rest.some((place) => typeof place !== "number")) return [length];
  return rows ? [Math.floor(length / product(rest)), ...rest] : rest;
}

/**
 * Some rows of a tensor; beyond the last one, that one again.
 *
 * @param {Tensor} tensor
 * @param {number} start
 * @param {number} stop
 * @returns {Tensor}
 */
export function rowsOf({ dtype, shape, data }, start, stop) {
  const [rows, ...rest] = shape;
  if (start === 0 && stop === rows) return { dtype, shape, data };
  const width = product(rest);
  const values = new /** @type {any} */ (data.constructor)((stop - start) * width);
  values.set(data.subarray(start * width, stop * width));
  const last = data.subarray((rows - 1) * width);
  for (let row = rows; row < stop; row++) values.set(last, (row - start) * width);
  return { dtype, shape: [stop - start, ...rest], data: values };
}
