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

/**
 * What became of an output; `error` and `tolerance` are those of the row where their ratio is largest.
 * @typedef {{part: string, variant: string, output: string, error: number, tolerance: number,
 *   ok: boolean}} Checked
 */

const WARM_UP = 20;
const TIMED = 200;
const CODES = ["int32", "int64", "bool"];

/**
 * Run the golden inputs of a bundle, and compare with what PyTorch gave.
 *
 * @param {import("./bundle.mjs").Bundle} bundle
 * @param {(line: string, output: Checked) => void} onLine called for each output as it goes
 * @param {string[]} [only] variants to check, such as "decoder fp32"
 * @returns {Promise<{outputs: Checked[], ok: boolean}>}
 */
export async function checkedBundle(bundle, onLine, only) {
  const outputs = [];
  const { parts } = bundle.manifest;
  for (const part of [...parts.keys()].sort()) {
    for (const [variant, { golden }] of parts.get(part) ?? []) {
      if (only && !only.includes(`${part} ${variant}`)) continue;
      const worst = await replayed(bundle, part, variant, golden);
      for (const [output, { error, tolerance }] of worst) {
        const checked = { part, variant, output, error, tolerance, ok: error <= tolerance };
        outputs.push(checked);
        onLine(checkLine(checked), checked);
      }
    }
  }
  return { outputs, ok: outputs.every((output) => output.ok) };
}

// Set by set: all at once could be as large as the bundle.
async function replayed(bundle, part, variant, golden) {
  const worst = new Map();
  for (const [number, stored] of golden.entries()) {
    const arrays = await bundle.golden(part, variant, number);
    const found = await replay(await bundle.part(part, variant), arrays, stored);
    for (const [output, row] of found) {
      const before = worst.get(output);
      worst.set(output, before ? worse(before, row) : row);
    }
  }
  return worst;
}

/**
 * Run golden inputs, all rows at once and each alone.
 *
 * @param {Part} part
 * @param {Golden} golden
 * @param {import("./variant.mjs").Golden} stored what the manifest says of it
 * @returns {Promise<Map<string, Worst>>} by output
 * @throws {BundleError} the graph fails
 */
async function replay(part, { inputs, outputs }, stored) {
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
function worse(first, second) {
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
