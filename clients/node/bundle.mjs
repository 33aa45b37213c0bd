// A bundle of aeonnx: its graphs as functions, its golden vectors, and the verbs made of them.
// Free of Node and of browsers: the caller brings the engine, and what reads a file.

import {
  BundleError,
  EnvironmentError,
  UsageError,
  describe,
  oneLine,
  parseManifest,
} from "./manifest.mjs";
import { Part, arrayFor, product } from "./part.mjs";
import { fromPixels, grid, toPixels } from "./pixels.mjs";

export { BundleError, EnvironmentError, Part, UsageError, parseManifest };
export { fromPixels, grid, oneLine, toPixels };

/**
 * @typedef {import("./manifest.mjs").Manifest} Manifest
 * @typedef {import("./part.mjs").Tensor} Tensor
 * @typedef {{part: string, variant: string, output: string, error: number, tolerance: number,
 *   ok: boolean}} Checked
 */

const AT_ONCE = 64; // images that `generate` asks for in one run
const MAX_SEED = 2n ** 63n - 1n;

/**
 * Open a bundle. Graphs are opened at first use.
 *
 * @param {object} options
 * @param {any} options.ort the module onnxruntime-node or onnxruntime-web
 * @param {(name: string) => Promise<Uint8Array>} options.read gives a file inside the bundle; the
 *   error for one that is not there has `missing` set
 * @param {string} options.where what to call the bundle in messages: its folder or address
 * @param {string} options.version of the engine, such as "1.30.0"
 * @param {any[]} [options.providers] execution providers, in order of preference
 * @returns {Promise<Bundle>}
 * @throws {BundleError} there is none, or its manifest is damaged or of a newer format
 */
export async function openBundle({ ort, read, where, version, providers = ["cpu"] }) {
  let text;
  try {
    text = await read("manifest.json");
  } catch (error) {
    if (!error.missing) throw new BundleError(`${where}/manifest.json: ${oneLine(error)}`);
    throw new BundleError(
      `no bundle at ${where}: it has no manifest.json. ` +
        `Make one with: aeonnx export --model vae -o ${where}`,
    );
  }
  const manifest = parseManifest(text, `${where}/manifest.json`);
  return new Bundle({ ort, read, where, version, providers }, manifest);
}

/** The parts of one trained model: what `openBundle` gives. */
export class Bundle {
  /** @type {Map<string, Promise<Part>>} */
  #parts = new Map();
  #source;

  constructor(source, manifest) {
    this.#source = source;
    this.where = source.where;
    /** @type {Manifest} */
    this.manifest = manifest;
  }

  /** Whether the bundle has a part, in a variant: "fp32", "int8-uint8" and the like. */
  has(part, variant = "fp32") {
    return this.manifest.parts.get(part)?.has(variant) ?? false;
  }

  /**
   * A part, ready to run; the same one each time.
   *
   * @returns {Promise<Part>}
   * @throws {BundleError} there is none, its file was changed, or it is not what the manifest says
   * @throws {EnvironmentError} the engine is too old for it
   */
  part(name, variant = "fp32") {
    const key = `${name} ${variant}`;
    let part = this.#parts.get(key);
    if (!part) {
      part = this.#open(name, variant);
      this.#parts.set(key, part);
      part.catch(() => this.#parts.delete(key)); // so that it can be tried again
    }
    return part;
  }

  async #open(name, variantName) {
    const { ort, version, providers } = this.#source;
    const variant = this.#variant(name, variantName);
    const bytes = await this.graph(name, variantName);
    requireVersion(variant, version);
    const options = { executionProviders: providers, intraOpNumThreads: 1 };
    let session;
    try {
      session = await ort.InferenceSession.create(bytes, options);
    } catch (error) {
      const path = `${this.where}/${variant.file}`;
      throw new BundleError(`onnxruntime ${version} refuses ${path}: ${oneLine(error)}`);
    }
    requireSame(variant.file, "input", variant.inputs, session.inputMetadata);
    requireSame(variant.file, "output", variant.outputs, session.outputMetadata);
    return new Part(name, variant, session, ort);
  }

  /**
   * The bytes of a graph, with their digest checked.
   *
   * @returns {Promise<Uint8Array>}
   * @throws {BundleError} there is none, or its file is missing or was changed
   */
  async graph(part, variant = "fp32") {
    return this.#file(this.#variant(part, variant));
  }

  /**
   * The golden vectors of a part: stored inputs, and the outputs that PyTorch gave for them.
   *
   * @returns {Promise<{inputs: Record<string, Tensor>, outputs: Record<string, Tensor>}>}
   * @throws {BundleError} a file is missing or is not the one that the manifest names
   */
  async golden(part, variant = "fp32") {
    const { inputs, outputs } = this.#variant(part, variant).golden;
    return { inputs: await this.#arrays(inputs), outputs: await this.#arrays(outputs) };
  }

  /**
   * Run golden inputs, all rows at once and each alone, and compare with what PyTorch gave.
   *
   * @param {(line: string, output: Checked) => void} onLine called for each output as it goes
   * @param {{only?: string[]}} options `only`: variants to check, such as "decoder fp32"
   * @returns {Promise<{outputs: Checked[], ok: boolean}>}
   */
  async check(onLine = () => {}, { only } = {}) {
    const outputs = [];
    for (const part of [...this.manifest.parts.keys()].sort()) {
      for (const variant of this.manifest.parts.get(part).keys()) {
        if (only && !only.includes(`${part} ${variant}`)) continue;
        for (const output of await this.#replay(part, variant)) {
          outputs.push(output);
          onLine(checkLine(output), output);
        }
      }
    }
    return { outputs, ok: outputs.every((output) => output.ok) };
  }

  async #replay(name, variant) {
    const part = await this.part(name, variant);
    const { inputs, outputs } = await this.golden(name, variant);
    const rows = part.rows(inputs);
    const batches = [[0, rows]];
    // A graph that is fixed to a number of rows is given so many in any case.
    if (!part.batch) for (let row = 0; row < rows; row++) batches.push([row, row + 1]);
    const errors = part.variant.outputs.map(() => 0);
    for (const [start, stop] of batches) {
      const found = await part.run(part.taken(inputs, start, stop));
      part.variant.outputs.forEach((spec, index) => {
        const { data } = outputs[spec.name];
        const width = data.length / rows;
        const expected = data.subarray(start * width, stop * width);
        // Math.max keeps NaN.
        errors[index] = Math.max(errors[index], difference(found[spec.name], expected));
      });
    }
    return part.variant.outputs.map(({ name: output }, index) => {
      const { tolerance } = this.#variant(name, variant).golden.outputs.get(output);
      const error = errors[index];
      return { part: name, variant, output, error, tolerance, ok: error <= tolerance };
    });
  }

  /** Microseconds for the first golden row: the median of calls, after a warm-up. */
  async time(name, variant = "fp32") {
    const part = await this.part(name, variant);
    const inputs = part.taken((await this.golden(name, variant)).inputs, 0, 1);
    const times = [];
    for (let call = 0; call < 220; call++) {
      const start = performance.now();
      await part.run(inputs);
      if (call >= 20) times.push((performance.now() - start) * 1000);
    }
    return times.sort((a, b) => a - b)[times.length >> 1];
  }

  /**
   * An image without its noise.
   *
   * @param {Uint8Array} pixels [C, H, W]
   * @returns {Promise<Uint8Array>} [C, H, W]
   * @throws {BundleError} the bundle has no denoiser, or the image another size
   */
  async denoise(pixels) {
    const asPixels = this.has("denoiser", "fp32-uint8");
    const part = await this.part("denoiser", asPixels ? "fp32-uint8" : "fp32");
    const [input] = part.variant.inputs;
    const [output] = part.variant.outputs;
    const image = { dtype: input.dtype, shape: [1, ...this.manifest.input_shape] };
    const found = await part.run({
      [input.name]: { ...image, data: asPixels ? pixels : fromPixels(pixels) },
    });
    return asPixels ? found[output.name] : toPixels(found[output.name]);
  }

  /**
   * New images. Image i of a seed is the same in every client, whatever else is asked for with it.
   *
   * @param {bigint | number} seed 0 to 2^63 - 1
   * @param {number} count
   * @param {number} first number of the first image
   * @returns {Promise<Uint8Array>} [count, C, H, W]
   * @throws {BundleError} the bundle has no sampler
   * @throws {UsageError} an argument is out of range
   */
  async generate(seed, count, first = 0) {
    const seeds = BigInt64Array.of(seedOf(seed));
    requireCounts(count, first);
    const part = await this.part("sampler");
    const width = product(this.manifest.input_shape);
    const images = new Uint8Array(count * width);
    for (let start = 0; start < count; start += AT_ONCE) {
      const rows = Math.min(AT_ONCE, count - start);
      const index = BigInt64Array.from({ length: rows }, (_, row) => BigInt(first + start + row));
      const { image } = await part.run({ seed: seeds, index });
      images.set(image, start * width);
    }
    return images;
  }

  /** Let go of all graphs. */
  async close() {
    const parts = await Promise.allSettled(this.#parts.values());
    this.#parts.clear();
    for (const part of parts) if (part.status === "fulfilled") await part.value.close();
  }

  #variant(part, variant) {
    const { model, parts } = this.manifest;
    const variants = parts.get(part);
    if (!variants) {
      const has = [...parts.keys()].sort().join(", ");
      throw new BundleError(
        `this bundle has no part "${part}", it has: ${has}. ` +
          `Export it with: aeonnx export --model ${model} --part ${part}`,
      );
    }
    if (variants.has(variant)) return variants.get(variant);
    const has = [...variants.keys()].join(", ");
    throw new BundleError(`part "${part}" has no variant "${variant}", it has: ${has}`);
  }

  async #arrays(golden) {
    const arrays = {};
    for (const [name, stored] of golden) {
      const { dtype, shape } = stored;
      const bytes = await this.#file(stored);
      const Values = arrayFor(dtype);
      const expected = product(shape) * Values.BYTES_PER_ELEMENT;
      if (bytes.length !== expected) {
        throw new BundleError(
          `${this.where}/${stored.file}: ${dtype} [${shape.join(", ")}] is ${expected} bytes, ` +
            `got ${bytes.length}`,
        );
      }
      // Stored little-endian, as every machine is that the engine runs on; a copy is aligned.
      arrays[name] = { dtype, shape, data: new Values(new Uint8Array(bytes).buffer) };
    }
    return arrays;
  }

  async #file({ file, sha256 }) {
    const path = `${this.where}/${file}`;
    let bytes;
    try {
      bytes = await this.#source.read(file);
    } catch (error) {
      if (!error.missing) throw new BundleError(`${path}: ${oneLine(error)}`);
      throw new BundleError(
        `${path} is missing, though the manifest names it: export the bundle again`,
      );
    }
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (hex === sha256) return bytes;
    throw new BundleError(
      `${path} is not the file that the manifest names: ` +
        `expected sha256 ${sha256}, got ${hex}. Export the bundle again.`,
    );
  }
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

function difference(found, expected) {
  if (found.length !== expected.length) return NaN;
  let largest = 0;
  for (let index = 0; index < found.length; index++) {
    const apart = Math.abs(Number(found[index]) - Number(expected[index]));
    largest = Math.max(largest, apart); // keeps NaN
  }
  return largest;
}

function seedOf(seed) {
  const good = typeof seed === "bigint" || Number.isSafeInteger(seed);
  if (good && seed >= 0 && BigInt(seed) <= MAX_SEED) return BigInt(seed);
  throw new UsageError(`seed: expected a whole number from 0 to ${MAX_SEED}, got ${seed}`);
}

function requireCounts(count, first) {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new UsageError(`count: expected a whole number above 0, got ${count}`);
  }
  if (!Number.isSafeInteger(first) || first < 0 || !Number.isSafeInteger(first + count)) {
    throw new UsageError(`first: expected a whole number of 0 or more, got ${first}`);
  }
}

function requireVersion({ file, opset, min_onnxruntime: least }, version) {
  if (!/^\d+(\.\d+)*$/.test(least)) {
    throw new BundleError(`${file}: min_onnxruntime: expected a version, got "${least}"`);
  }
  const has = version.split(".").map((digits) => parseInt(digits, 10));
  const needs = least.split(".").map(Number);
  const place = needs.findIndex((digits, index) => digits !== (has[index] ?? 0));
  if (place < 0 || (has[place] ?? 0) > needs[place]) return;
  throw new EnvironmentError(
    `${file} needs onnxruntime ${least} or newer (opset ${opset}), this is ${version}: ` +
      "put a newer library beside the program",
  );
}

function requireSame(file, kind, specs, found) {
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
