// What a manifest says of tensors and of stored arrays. Free of Node and of browsers.

import { isSize, scaled } from "./axes.mjs";
import { digest, expect, file, flag, list, name } from "./fields.mjs";
import { oneOf, record, require, size } from "./fields.mjs";

/**
 * An input or output as the manifest says.
 *
 * @typedef {{name: string, dtype: string, shape: readonly (number | string)[], kind: string,
 *   range: readonly [number, number] | null, missing: boolean}} Declared `shape`: as the graph's;
 *   `range`: null for any value; `missing`: whether NaN stands for a missing value, else values are
 *   finite
 * @typedef {{file: string, sha256: string, dtype: string, shape: readonly number[]}} Stored
 * @typedef {Stored & {tolerance: readonly number[]}} Compared a number for each row
 */

const WIDTHS = new Map(
  Object.entries({ float32: 4, float16: 2, float64: 8, uint8: 1, int32: 4, int64: 8, bool: 1 }),
);
const RANKS = new Map(
  Object.entries({
    ...{ image: 4, volume: 5, signal: 3, vector: 2 },
    ...{ score: 1, seed: 1, index: 1, canvas: 3 },
  }),
);
const KINDS = [...RANKS.keys(), "latent", "codes", "label", "mask", "other"];
const MOST_VALUES = 2 ** 50; // 8 bytes each: their number is exact
const LARGEST_FILE = 2 ** 31; // bytes

/**
 * A tensor as errors print it: "z float32 [batch, 20]".
 *
 * @param {{name: string, dtype: string, shape: readonly any[]}} spec
 */
export function describe(spec) {
  return `${spec.name} ${typeInWords(spec)}`;
}

/** The dtype and shape of a tensor as errors print them: "float32 [batch, 20]". */
export function typeInWords({ dtype, shape }) {
  return `${dtype} [${shape.join(", ")}]`;
}

/** @returns {Declared} */
export function tensorOf(value, path) {
  const tensor = record(value, path);
  const shape = list(tensor.shape, `${path}.shape`, (item) => item);
  require(shape.length > 0, `${path}.shape`, "at least one size", "none");
  shape.forEach((item, place) => {
    const expected = 'a size above 0, "batch" for the first, or an axis such as "height/8"';
    expect(isSize(item, place), `${path}.shape[${place}]`, expected, item);
  });
  fits(shape.filter(Number.isInteger), `${path}.shape`);
  const kind = oneOf(KINDS, tensor.kind, `${path}.kind`);
  const rank = RANKS.get(kind) ?? shape.length;
  const got = `[${shape.join(", ")}]`;
  require(shape.length === rank, `${path}.kind`, `${rank} axes of a tensor of kind ${kind}`, got);
  const dtype = oneOf([...WIDTHS.keys()], tensor.dtype, `${path}.dtype`);
  return Object.freeze({
    name: name(tensor.name, `${path}.name`),
    dtype,
    shape,
    kind,
    range: rangeOf(tensor.range, `${path}.range`),
    missing: missingOf(tensor.missing, dtype, `${path}.missing`),
  });
}

function missingOf(value, dtype, path) {
  const missing = flag(value, path);
  require(!missing || dtype.startsWith("float"), path, "floats, which have NaN", dtype);
  return missing;
}

/**
 * The sizes of a tensor that follow axes.
 *
 * @param {readonly {shape: readonly any[]}[]} specs
 */
export function axesOf(specs) {
  return specs.flatMap(({ shape }) => shape.map(scaled).filter((axis) => axis !== null));
}

function rangeOf(value, path) {
  if (value === undefined || value === null) return null; // any value
  const good = Array.isArray(value) && value.length === 2 && value.every(Number.isFinite);
  expect(good, path, "two numbers", value);
  return Object.freeze(/** @type {[number, number]} */ ([value[0], value[1]]));
}

/** @returns {Stored} */
export function storedOf(value, path) {
  const stored = record(value, path);
  const shape = list(stored.shape, `${path}.shape`, size);
  const dtype = oneOf([...WIDTHS.keys()], stored.dtype, `${path}.dtype`);
  fits(shape, `${path}.shape`);
  const bytes = shape.reduce((product, item) => product * item, WIDTHS.get(dtype) ?? 8);
  expect(bytes <= LARGEST_FILE, `${path}.shape`, `at most ${LARGEST_FILE} bytes`, bytes);
  const sha256 = digest(stored.sha256, `${path}.sha256`);
  return Object.freeze({ file: file(stored.file, `${path}.file`), sha256, dtype, shape });
}

/** @returns {Compared} */
export function comparedOf(value, path) {
  const stored = storedOf(value, path);
  const [rows] = stored.shape;
  expect(rows !== undefined, `${path}.shape`, "at least one size", stored.shape);
  const { tolerance } = record(value, path);
  return Object.freeze({
    ...stored,
    tolerance: tolerancesOf(tolerance, `${path}.tolerance`, rows),
  });
}

function tolerancesOf(value, path, rows) {
  const expected = `${rows} numbers above 0`;
  expect(Array.isArray(value), path, expected, value);
  require(value.length === rows, path, expected, `a list of ${value.length}`);
  return list(value, path, (item, at) => {
    expect(Number.isFinite(item) && item > 0, at, "a number above 0", item);
    return item;
  });
}

function fits(shape, path) {
  const values = shape.reduce((product, item) => product * item, 1);
  expect(values < MOST_VALUES, path, "fewer than 2^50 values", shape.join(" x "));
}
