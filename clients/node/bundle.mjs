// A bundle of aeonnx: its graphs as functions, its golden vectors, and the verbs made of them.
// Free of Node and of browsers: the caller brings the engine, and what reads a file.

import { requireCounts, seedOf } from "./checks.mjs";
import { BundleError, EnvironmentError, UsageError, oneLine, printable } from "./errors.mjs";
import { parseManifest } from "./manifest.mjs";
import { arrayFor } from "./inputs.mjs";
import { Part, openPart } from "./part.mjs";
import { denoised, pictureShape } from "./denoising.mjs";
import { generated, imageShapeAt, sizedPlaces } from "./generating.mjs";
import { fromPixels, fromRgba, grid, gridSize, isOpaque, toPixels } from "./pixels.mjs";
import { checkLine, checkedLine, replay, timeLine, timed, worse } from "./replay.mjs";
import { product } from "./tiles.mjs";
import { NEEDS, labelOf, requirePicture } from "./verbs.mjs";

export { BundleError, EnvironmentError, Part, UsageError, oneLine, parseManifest, printable };
export { checkLine, checkedLine, fromPixels, fromRgba, grid, isOpaque, timeLine, toPixels };
export { gridSize, labelOf, requirePicture, sizedPlaces };

/**
 * @typedef {import("./manifest.mjs").Manifest} Manifest
 * @typedef {import("./inputs.mjs").Tensor} Tensor
 * @typedef {import("./denoising.mjs").Options} DenoiseOptions
 * @typedef {{part: string, variant: string, output: string, error: number, tolerance: number,
 *   ok: boolean}} Checked `error` and `tolerance` are those of the row where their ratio is largest
 */

const LARGEST_MANIFEST = 2 ** 24; // bytes

/**
 * Open a bundle. Graphs are opened at first use. Browsers have SHA-256 on https and localhost only.
 *
 * @param {object} options
 * @param {any} options.ort the module onnxruntime-node or onnxruntime-web
 * @param {(name: string, most: number) => Promise<Uint8Array>} options.read gives a file inside the
 *   bundle, by its path with forward slashes, if it has at most so many bytes. Its error has
 *   `missing` set for one that is not there, and for one that is larger, its `size`
 * @param {string} options.where what to call the bundle in messages: its folder or address
 * @param {string} options.version of the engine, such as "1.30.0"
 * @param {any[]} [options.providers] execution providers, in order of preference
 * @returns {Promise<Bundle>}
 * @throws {BundleError} there is none, or its manifest is damaged or of a newer format
 */
export async function openBundle({ ort, read, where, version, providers = ["cpu"] }) {
  let text;
  try {
    text = await read("manifest.json", LARGEST_MANIFEST);
  } catch (error) {
    if (error instanceof BundleError) throw error;
    if (!error.missing) throw new BundleError(`${where}/manifest.json: ${oneLine(error)}`);
    throw new BundleError(
      `no bundle at ${where}: it has no manifest.json. ` +
        `Make one with: aeonnx export --model MODEL -o ${where}`,
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
    this.version = source.version;
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
    const variant = this.#variant(name, variantName);
    return openPart(name, variant, await this.graph(name, variantName), this.#source);
  }

  /**
   * The denoiser, sampler or decoder, ready for its verb: pixels in the first where there is one.
   *
   * @param {"denoiser" | "sampler" | "decoder"} name
   * @returns {Promise<Part>}
   * @throws {BundleError} there is none, or its inputs and outputs are not those of the verb
   * @throws {EnvironmentError} the engine is too old for it
   */
  async ready(name) {
    return this.part(name, this.#forVerb(name));
  }

  /**
   * The images that the denoiser, sampler or decoder takes or gives.
   *
   * @param {"denoiser" | "sampler" | "decoder"} name
   * @returns {readonly (number | string)[]} [C, H, W]; texts for H and W where they have any size
   * @throws {BundleError} there is none, or its inputs and outputs are not those of the verb
   */
  imageShape(name) {
    return NEEDS[name].image(this.#variant(name, this.#forVerb(name))).shape.slice(1);
  }

  /**
   * The images that `generate` makes.
   *
   * @param {readonly number[]} [size] as that of `generate`
   * @returns {readonly number[]} [C, H, W]
   * @throws {BundleError} as `imageShape`
   * @throws {UsageError} the images cannot have this size
   */
  generatedShape(size) {
    return imageShapeAt(this.#variant("sampler", this.#forVerb("sampler")), size);
  }

  #forVerb(name) {
    const variant = name === "denoiser" && this.has(name, "fp32-uint8") ? "fp32-uint8" : "fp32";
    NEEDS[name].require(this.#variant(name, variant));
    return variant;
  }

  /**
   * The bytes of a graph, with their digest checked.
   *
   * @returns {Promise<Uint8Array>}
   * @throws {BundleError} there is none, or its file is missing or was changed
   */
  async graph(part, variant = "fp32") {
    const { file, sha256, bytes } = this.#variant(part, variant);
    return this.#file(file, sha256, bytes);
  }

  /**
   * One set of the golden vectors of a part: stored inputs, and the outputs that PyTorch gave for
   * them. A variant with axes has a set for each of some sizes.
   *
   * @returns {Promise<{inputs: Record<string, Tensor>, outputs: Record<string, Tensor>}>}
   * @throws {BundleError} a file is missing or is not the one that the manifest names
   */
  async golden(part, variant = "fp32", number = 0) {
    const { inputs, outputs } = this.#variant(part, variant).golden[number];
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
      for (const variant of this.manifest.parts.get(part)?.keys() ?? []) {
        if (only && !only.includes(`${part} ${variant}`)) continue;
        const worst = await this.#replayed(part, variant);
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
  async #replayed(part, variant) {
    const { golden } = this.#variant(part, variant);
    const worst = new Map();
    for (const [number, stored] of golden.entries()) {
      const arrays = await this.golden(part, variant, number);
      const found = await replay(await this.part(part, variant), arrays, stored);
      for (const [output, row] of found) {
        const before = worst.get(output);
        worst.set(output, before ? worse(before, row) : row);
      }
    }
    return worst;
  }

  /** Microseconds for the first golden row: the median of calls, after a warm-up. */
  async time(name, variant = "fp32") {
    const part = await this.part(name, variant);
    return timed(part, await this.golden(name, variant));
  }

  /**
   * An image without its noise.
   *
   * @param {Uint8Array} pixels [C, H, W]
   * @param {readonly number[]} [size] [H, W]; needed where the denoiser takes any
   * @param {DenoiseOptions} [options]
   * @returns {Promise<Uint8Array>} [C, H, W]
   * @throws {BundleError} the bundle has no denoiser, or the pixels are floats or another number
   */
  async denoise(pixels, size, options = {}) {
    const shape = pictureShape(this.imageShape("denoiser"), size);
    return denoised(await this.ready("denoiser"), pixels, shape, options);
  }

  /**
   * New images. Image i of a seed is the same in every client, whatever else is asked for with it.
   *
   * @param {bigint | number} seed 0 to 2^63 - 1
   * @param {number} count
   * @param {number} first number of the first image
   * @param {{label?: bigint | number, size?: readonly number[]}} [options] `label`: of all images,
   *   where the sampler takes one; `size`: of the images, where they can have any, such as [H, W],
   *   else that of the golden vectors
   * @returns {Promise<Uint8Array>} [count, C, H, W]
   * @throws {BundleError} the bundle has no sampler
   * @throws {UsageError} an argument is out of range
   */
  async generate(seed, count, first = 0, { label, size } = {}) {
    const seeds = seedOf(seed);
    requireCounts(count, first);
    const part = await this.ready("sampler");
    const labels = labelOf(part.variant, label);
    return generated(part, { seed: seeds, count, first, label: labels, size });
  }

  /** Close all graphs. */
  async close() {
    const parts = await Promise.allSettled(this.#parts.values());
    this.#parts.clear();
    for (const part of parts) if (part.status === "fulfilled") await part.value.close();
  }

  /** @returns {import("./manifest.mjs").Variant} */
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
    const found = variants.get(variant);
    if (found) return found;
    const has = [...variants.keys()].join(", ");
    throw new BundleError(`part "${part}" has no variant "${variant}", it has: ${has}`);
  }

  async #arrays(golden) {
    const arrays = {};
    for (const [name, { file, sha256, dtype, shape }] of golden) {
      const Values = arrayFor(dtype);
      const bytes = await this.#file(file, sha256, product(shape) * Values.BYTES_PER_ELEMENT);
      // Stored little-endian, as every machine is that the engine runs on; a copy is aligned.
      arrays[name] = { dtype, shape, data: new Values(new Uint8Array(bytes).buffer) };
    }
    return arrays;
  }

  async #file(file, sha256, size) {
    const path = `${this.where}/${file}`;
    const bytes = await this.#read(path, file, size);
    if (bytes.length !== size) throw this.#another(path, `${size} bytes`, bytes.length);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (hex === sha256) return bytes;
    throw this.#another(path, `sha256 ${sha256}`, hex);
  }

  async #read(path, file, size) {
    try {
      return await this.#source.read(file, size);
    } catch (error) {
      if (error.size !== undefined) throw this.#another(path, `${size} bytes`, error.size);
      if (error instanceof BundleError) throw error;
      if (!error.missing) throw new BundleError(`${path}: ${oneLine(error)}`);
      throw new BundleError(
        `${path} is missing, though the manifest names it: export the bundle again`,
      );
    }
  }

  #another(path, expected, got) {
    return new BundleError(
      `${path} is not the file that the manifest names: ` +
        `expected ${expected}, got ${got}. Export the bundle again.`,
    );
  }
}
