// How unlike rows are those of the training: their scores, and what these are compared with. Free of
// Node and of browsers.

import { requireSomeValue } from "./checks.mjs";
import { BundleError, UsageError } from "./errors.mjs";
import { checkedInput } from "./inputs.mjs";
import { percentileOf } from "./normal.mjs";
import { fromPixels } from "./pixels.mjs";
import { product } from "./tiles.mjs";
import { labelOf, scoreOf } from "./verbs.mjs";

/**
 * @typedef {import("./variant.mjs").Variant} Variant
 * @typedef {import("./variant.mjs").TensorSpec} TensorSpec
 * @typedef {import("./inputs.mjs").Tensor} Tensor
 * @typedef {import("./inputs.mjs").Values} Values
 * @typedef {{threshold?: string | number, label?: bigint | number, size?: readonly number[]}} Options
 *   `threshold`: a number, or the name of one in the manifest, "p99" if it is left out; `label`: of
 *   all rows, where the scorer takes one; `size`: [H, W] of pixels, where images have any
 * @typedef {{scores: Float32Array, percentiles: Float64Array, odd: boolean[],
 *   threshold: number}} Scored of each row its score, the larger the less it is like those of the
 *   training, infinite where the network overflows; the share of normal rows with a lower one, in
 *   %, NaN where the manifest does not say; and whether the score is above the threshold
 */

const NAMED = /^p\d+$/;
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * The scores of rows.
 *
 * @param {import("./part.mjs").Part} part a scorer
 * @param {Tensor | Values} x as `Part.run` takes it, or pixels of images
 * @param {Options} options
 * @returns {Promise<Scored>}
 */
export async function scored(part, x, { threshold = "p99", label, size }) {
  const { variant } = part;
  const limit = thresholdOf(variant, threshold);
  const labels = labelOf(variant, label, "scorer");
  const [input, labelled] = variant.inputs;
  const rows = checkedInput("scorer", input, valuesOf(input, x, size), false);
  requireSomeValue(`scorer: ${input.name}`, input, rows);
  /** @type {Record<string, Tensor | Values>} */
  const given = { [input.name]: rows };
  if (labelled) given[labelled.name] = new BigInt64Array(rows.shape[0]).fill(labels ?? 0n);
  // What is odd may have values that no row of the training had.
  const outputs = await part.run(given, { limited: false });
  const { name } = outputOf(variant);
  // A network that overflows gives NaN, which would be above no threshold.
  const scores = Float32Array.from(outputs[name], (score) =>
    Number.isNaN(score) ? Infinity : score,
  );
  const quantiles = variant.quantiles.get(name);
  return {
    scores,
    percentiles: Float64Array.from(scores, (score) =>
      quantiles ? percentileOf(quantiles, score) : NaN,
    ),
    odd: Array.from(scores, (score) => score > Math.fround(limit)),
    threshold: limit,
  };
}

/** What a graph takes: a Uint8Array alone is pixels where it takes images. */
function valuesOf({ kind, dtype, shape, range }, x, size) {
  if (kind !== "image" || !(x instanceof Uint8Array)) return x;
  const data = dtype === "uint8" ? x : fromPixels(x, range);
  if (!size) return data;
  const image = [shape[1], ...size];
  return { dtype, shape: [Math.floor(x.length / product(image)), ...image], data };
}

/**
 * The number that a threshold stands for.
 *
 * @param {Variant} variant of a scorer
 * @param {string | number} threshold a finite number, also as a text; or the name of a percentile
 * @returns {number}
 * @throws {UsageError} it is neither
 * @throws {BundleError} the manifest has no percentiles
 */
export function thresholdOf(variant, threshold) {
  const known = variant.percentiles.get(outputOf(variant).name) ?? new Map();
  const found = numberOf(threshold) ?? known.get(String(threshold));
  if (found !== undefined) return found;
  if (!known.size && NAMED.test(String(threshold))) {
    throw new BundleError(
      `threshold ${threshold}: the manifest says nothing about the scores of normal images: ` +
        "give a number, or export again with --calibration IMAGES",
    );
  }
  const names = [...known.keys()].sort().join(", ");
  const expected = names ? `${names} or a number` : "a number";
  throw new UsageError(`threshold: expected ${expected}, got ${threshold}`);
}

function numberOf(threshold) {
  const isText = typeof threshold === "string" && DECIMAL.test(threshold);
  const number = isText ? Number(threshold) : /** @type {any} */ (threshold);
  return Number.isFinite(number) ? number : undefined;
}

/** @returns {TensorSpec} there is one, or it would be no scorer */
function outputOf(variant) {
  return /** @type {TensorSpec} */ (scoreOf(variant));
}
