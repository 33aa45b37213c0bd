// Running golden inputs, and the lines that `check` prints of it. Free of Node and of browsers.

/**
 * @typedef {import("./part.mjs").Part} Part
 * @typedef {import("./part.mjs").Tensor} Tensor
 * @typedef {{inputs: Record<string, Tensor>, outputs: Record<string, Tensor>}} Golden
 */

const WARM_UP = 20;
const TIMED = 200;

/**
 * Run golden inputs, all rows at once and each alone.
 *
 * @param {Part} part
 * @param {Golden} golden
 * @returns {Promise<Map<string, number>>} largest |output - golden| by output; NaN if one is
 */
export async function replay(part, { inputs, outputs }) {
  const rows = part.rows(inputs);
  const batches = [[0, rows]];
  // A graph that is fixed to a number of rows is given so many in any case.
  if (!part.batch) for (let row = 0; row < rows; row++) batches.push([row, row + 1]);
  const errors = new Map(part.variant.outputs.map(({ name }) => [name, 0]));
  for (const [start, stop] of batches) {
    const found = await part.run(part.taken(inputs, start, stop));
    for (const [name, error] of errors) {
      const { data } = outputs[name];
      const width = data.length / rows;
      const expected = data.subarray(start * width, stop * width);
      errors.set(name, Math.max(error, difference(found[name], expected))); // keeps NaN
    }
  }
  return errors;
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

function difference(found, expected) {
  if (found.length !== expected.length) return NaN;
  let largest = 0;
  for (let index = 0; index < found.length; index++) {
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
