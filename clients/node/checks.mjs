// What is checked before a part runs: the engine, its graph, and the values that come in. Free of
// Node and of browsers.

import { BundleError, EnvironmentError, UsageError } from "./errors.mjs";
import { fromPixels, holdsPixels } from "./pixels.mjs";
import { describe } from "./tensors.mjs";

/** @typedef {import("./variant.mjs").Variant} Variant */

const MAX_SEED = 2n ** 63n - 1n;
const SAFE_ENGINE = "1.24.1"; // older ones open files anywhere that a graph names
const NUMBERED = ["label", "codes"]; // a graph would count negative ones from the end

/**
 * Check that the engine is new enough for a graph, and safe for graphs from untrusted sources.
 *
 * @param {Variant} variant
 * @param {string} version of the engine
 * @throws {EnvironmentError} it is too old
 */
export function requireVersion({ file, opset, min_onnxruntime: least }, version) {
  if (!/^\d+(\.\d+)*$/.test(least)) {
    throw new BundleError(`${file}: min_onnxruntime: expected a version, got "${least}"`);
  }
  const forGraph = !isOlder(least, SAFE_ENGINE);
  const needed = forGraph ? least : SAFE_ENGINE;
  if (!isOlder(version, needed)) return;
  const why = forGraph ? `opset ${opset}` : "older ones open files that a graph names";
  throw new EnvironmentError(
    `${file} needs onnxruntime ${needed} or newer (${why}), this is ${version}: ` +
      "put a newer library beside the program",
  );
}

function isOlder(version, than) {
  const [has, needs] = [version, than].map((text) => text.split(".").map((n) => parseInt(n, 10)));
  const place = needs.findIndex((digits, index) => digits !== (has[index] ?? 0));
  return place >= 0 && (has[place] ?? 0) < needs[place];
}

/** Inputs or outputs of a graph that are those of the manifest. */
export function requireSame(file, kind, specs, found) {
  const expected = specs.map(describe);
  const got = found.map((node) => describe({ ...node, dtype: node.type }));
  for (let index = 0; index < Math.max(expected.length, got.length); index++) {
    if (expected[index] === got[index]) continue;
    throw new BundleError(
      `${file}: expected ${kind} ${expected[index] ?? "none"}, ` +
        `the graph has ${got[index] ?? "none"}`,
    );
  }
}

/**
 * Values that are finite, and in the range that the manifest gives; a bool is 0 or 1, and numbers of
 * classes or codes without a range are 0 or more. NaN may stand for missing values, where there may be
 * some.
 *
 * @param {string} where for messages
 * @param {import("./variant.mjs").TensorSpec} spec
 * @param {import("./inputs.mjs").Values} data
 * @param {boolean} limited whether values out of the range are refused
 */
export function requireValues(where, { dtype, kind, range, missing }, data, limited) {
  /** @type {(number | bigint)[]} */
  let [lowest, highest] = [Infinity, -Infinity];
  for (const value of data) {
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
    if (value !== value && !missing) lowest = highest = NaN; // and nothing is below or above that
  }
  if (lowest > highest) return; // all are missing
  if (![lowest, highest].every((value) => typeof value === "bigint" || Number.isFinite(value))) {
    throw new BundleError(`${where}: expected finite values, got NaN or infinity`);
  }
  if (NUMBERED.includes(kind) && !range && lowest < 0) {
    throw new BundleError(`${where}: expected values of 0 or more, got ${lowest}`);
  }
  const wanted = dtype === "bool" ? [0, 1] : limited && range;
  if (!wanted) return;
  const [low, high] = dtype === "float32" ? limitsOf(wanted) : wanted;
  if (lowest >= low && highest <= high) return;
  throw new BundleError(
    `${where}: expected values in [${wanted.join(", ")}], got ${lowest} to ${highest}`,
  );
}

/**
 * Rows in which not all values are missing: of such a row nothing can be told.
 *
 * @param {string} where for messages
 * @param {import("./variant.mjs").TensorSpec} spec
 * @param {import("./inputs.mjs").Tensor} tensor
 * @throws {BundleError} names the first such row
 */
export function requireSomeValue(where, { missing }, { shape: [rows, ...rest], data }) {
  if (!missing || !rest.length) return;
  const width = data.length / rows;
  for (let row = 0; row < rows; row++) {
    const [start, stop] = [row * width, (row + 1) * width];
    let at = start;
    while (at < stop && data[at] !== data[at]) at++;
    if (at < stop) continue;
    throw new BundleError(
      `${where}: expected a value in each row, got none in row ${row}: remove it`,
    );
  }
}

/** Floats that pixels can stand for: NaN would become black, and nobody would notice. */
export function requireNumbers(part, floats) {
  for (const value of floats) {
    if (value !== value) throw new BundleError(`${part} gave NaN, which is no pixel`);
  }
}

// The range in float32, whose ends may be beyond those of the manifest, and so may pixel 255.
function limitsOf(range) {
  const [low, high] = range.map(Math.fround);
  const white = holdsPixels(range) ? fromPixels(Uint8Array.of(255), range) : [];
  return [low, Math.max(high, ...white)];
}

/** A seed exactly: a JavaScript number above 2^53 would have lost digits. */
export function seedOf(seed) {
  const good = typeof seed === "bigint" || Number.isSafeInteger(seed);
  if (good && seed >= 0 && BigInt(seed) <= MAX_SEED) return BigInt(seed);
  throw new UsageError(`seed: expected a whole number from 0 to ${MAX_SEED}, got ${seed}`);
}

/** Pixels, not floats, of an image of that shape. */
export function requirePixels(pixels, shape) {
  const values = shape.reduce((found, size) => found * size, 1);
  if (pixels instanceof Uint8Array && pixels.length === values && values > 0) return;
  const got = `${pixels?.constructor?.name ?? pixels} of ${pixels?.length ?? "no"} values`;
  const hint = /^Float/.test(got) ? ": make floats pixels with toPixels first" : "";
  throw new BundleError(
    `denoise: expected a Uint8Array of pixels, [${shape.join(", ")}], got ${got}${hint}`,
  );
}

/** Numbers of images that can be counted. */
export function requireCounts(count, first) {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new UsageError(`count: expected a whole number above 0, got ${count}`);
  }
  if (!Number.isSafeInteger(first) || first < 0 || !Number.isSafeInteger(first + count)) {
    throw new UsageError(`first: expected a whole number of 0 or more, got ${first}`);
  }
}
