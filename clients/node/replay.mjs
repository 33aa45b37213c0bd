// Running golden inputs, and the lines that `check` prints of it. Free of Node and of browsers.

/**
 * @typedef {import("./part.mjs").Part} Part
 * @typedef {import("./part.mjs").Tensor} Tensor
 * @typedef {{inputs: Record<string, Tensor>, outputs: Record<string, Tensor>}} Golden
 *
 * The largest |output - golden| of a row, NaN if one is, or the share of its codes that differ; and its
 * tolerance.
 * @typedef {{error: number, tolerance: number}} Worst
 */

const WARM_UP = 20;
const TIMED = 200;
const CODES = ["int32", "int64", "bool"];

/**
 * Run golden inputs, all rows at once and each alone.
 *
 * @param {Part} part
 * @param {Golden} golden
 * @param {import("./variant.mjs").Golden} stored what the manifest says of it
 * @returns {Promise<Map<string, Worst>>} by output
 * @throws {BundleError} the graph fails
 */
export async function replay(part, { inputs, outputs }, stored) {
  const rows = part.rows(inputs);
  const batches = [[0, rows]];
  // A graph that is fixed to a number of rows is given so many in any case.
  if (!part.batch) for (let row = 0; row < rows; row++) batches.push([row, row + 1]);
  const errors = new Map(part.variant.outputs.map(({ name }) => [name, new Float64Array(rows)]));
  for (const [start, stop] of batches) {
    const found = await part.run(part.taken(inputs, start, stop));
    for (const [name, largest] of errors) {
      const { data, dtype } = outputs[name];
      const width = data.length / rows;
      for (let row = start; row < stop; row++) {
        const expected = data.subarray(row * width, (row + 1) * width);
        const error = difference(found[name].subarray((row - start) * width), expected, dtype);
        largest[row] = Math.max(largest[row], error); // keeps NaN
      }
    }
  }
  return new Map(
    [...errors].map(([name, found]) => {
      const { tolerance } = /** @type {any} */ (stored.outputs.get(name));
      const all = Array.from(found, (error, row) => ({ error, tolerance: tolerance[row] }));
      return [name, all.reduce(worse)];
    }),
  );
}

/**
 * The worse of two rows: that with NaN, then that with the larger error / tolerance, then the first.
 *
 * @param {Worst} first
 * @param {Worst} second
 */
export function worse(first, second) {
  const ratio = ({ error, tolerance }) => error / tolerance;
  if (Number.isNaN(ratio(first))) return first;
  return ratio(second) <= ratio(first) ? first : second; // NaN is worse than any
}

/** Microseconds for the first golden row: the median of calls, after a warm-up. */
export async function timed(part, { inputs }) {
  const row = part.taken(inputs, 0, 1);
  for (let call = 0; call < WARM_UP; call++) await part.run(row);
  const times = [];
  for (let call = 0; call < TIMED; call++) {
    const start = performance.now();
    await part.run(row);
    times.push((performance.now() - start) * 1000);
  }
  return times.sort((a, b) => a - b)[TIMED / 2];
}

/** The largest |found - expected|, NaN if one is; of codes the share of the values that differ. */
function difference(found, expected, dtype) {
  if (CODES.includes(dtype)) {
    let differ = 0;
    for (let index = 0; index < expected.length; index++) {
      if (Number(found[index]) !== Number(expected[index])) differ++;
    }
    return differ / Math.max(1, expected.length);
  }
  let largest = 0;
  for (let index = 0; index < expected.length; index++) {
    const apart = Math.abs(Number(found[index]) - Number(expected[index]));
    largest = Math.max(largest, apart); // keeps NaN
  }
  return largest;
}

/** The line of `check` for an output. */
export function checkLine({ part, variant, output, error, tolerance, ok }) {
  const word = ok ? "ok" : "WRONG";
  const numbers = `max error ${threeDigits(error)}, tolerance ${threeDigits(tolerance)}`;
  return `${word} ${part} ${variant} ${output}: ${numbers}`;
}

/** The last line of `check`. */
export function checkedLine(outputs, version) {
  const parts = new Set(outputs.map((output) => output.part)).size;
  return `checked ${outputs.length} outputs of ${parts} parts with onnxruntime ${version}`;
}

/** The line of `check --time` for a variant. */
export function timeLine(part, variant, microseconds) {
  return `time ${part} ${variant}: ${microseconds.toFixed(1)} us for one row`;
}

// As C prints %.3g.
function threeDigits(value) {
  if (!Number.isFinite(value)) return String(value).toLowerCase();
  const [digits, exponent] = value.toExponential(2).split("e");
  if (Number(exponent) >= -4 && Number(exponent) < 3) return String(Number(value.toPrecision(3)));
  return `${Number(digits)}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}
