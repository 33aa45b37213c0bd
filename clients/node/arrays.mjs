// The verb `run`: a part on arrays of .npy files.

import { BundleError, UsageError, oneLine } from "./bundle.mjs";
import { readNamed, requireWritable, writeWhole } from "./files.mjs";
import { arrayFor } from "./inputs.mjs";
import { fromHalves, packNpy, parseNpy } from "./npy.mjs";

/** @typedef {import("./bundle.mjs").Bundle} Bundle */

const LARGEST = 2 ** 31; // bytes

/**
 * Run the fp32 graph of a part on files.
 *
 * @param {Bundle} bundle
 * @param {string} name of the part
 * @param {readonly string[]} pairs "name=file.npy" of every input, and of the outputs that are wanted
 * @param {{force?: boolean}} options `force`: replace files that are there
 * @throws {UsageError} a name is no tensor of the part, or one is missing
 * @throws {BundleError} a file cannot be read or written, or holds what the part does not take
 */
export async function runArrays(bundle, name, pairs, { force = false } = {}) {
  const part = await bundle.part(name);
  const { inputs, outputs } = part.variant;
  const files = filesOf(name, [...inputs, ...outputs], pairs);
  const missing = inputs.find((spec) => !files.has(spec.name));
  if (missing) throw new UsageError(`${name} needs ${missing.name}=FILE`);
  const inputNames = new Set(inputs.map((spec) => spec.name));
  const wanted = outputs.filter((spec) => files.has(spec.name) && !inputNames.has(spec.name));
  if (!wanted.length) throw new UsageError(`name an output, such as ${outputs[0].name}=out.npy`);
  for (const spec of wanted) await requireWritable(files.get(spec.name), force);
  const given = {};
  for (const spec of inputs) given[spec.name] = await readArray(files.get(spec.name), spec);
  const found = await part.runShaped(given);
  for (const spec of wanted) {
    const { data, shape } = found[spec.name];
    const bytes = packNpy({ dtype: spec.dtype, shape, data });
    await writeWhole(files.get(spec.name), bytes, force);
  }
}

function filesOf(part, specs, pairs) {
  const files = new Map();
  for (const pair of pairs) {
    const [, name, file] = /^([^=]*)=(.+)$/s.exec(pair) ?? [];
    if (file === undefined) throw new UsageError(`run: expected name=file.npy, got ${pair}`);
    if (!specs.some((spec) => spec.name === name)) {
      const has = specs.map((spec) => spec.name).join(", ");
      throw new UsageError(`${part} has no input or output ${name}, it has: ${has}`);
    }
    if (files.has(name)) throw new UsageError(`run: ${name} is given twice`);
    files.set(name, file);
  }
  return files;
}

/**
 * The array of a file; floats are rounded to the float32 that an input takes.
 *
 * @param {string} path
 * @param {{dtype: string}} spec of the input
 * @returns {Promise<import("./inputs.mjs").Tensor>}
 * @throws {BundleError} it cannot be read
 */
export async function readArray(path, { dtype: wanted }) {
  const { dtype, shape, data } = await readNpy(path);
  const halves = dtype === "float16";
  if (wanted === "float32" && (halves || dtype === "float64")) {
    return { dtype: wanted, shape, data: halves ? fromHalves(data) : Float32Array.from(data) };
  }
  const asWanted = halves && wanted === dtype;
  return { dtype, shape, data: asWanted ? new (arrayFor(dtype))(data.buffer) : data };
}

async function readNpy(path) {
  const bytes = await readNamed(path, LARGEST);
  try {
    return parseNpy(bytes);
  } catch (error) {
    throw new BundleError(`${path} is not a readable .npy file: ${oneLine(error)}`);
  }
}
