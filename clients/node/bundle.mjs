// A bundle of aeonnx: its graphs as functions, its golden vectors, and the verbs made of them.
// Free of Node and of browsers: the caller brings the engine, and what reads a file.

import { requireCounts, seedOf } from "./checks.mjs";
import { readArrays, readFile, readManifest } from "./contents.mjs";
import { BundleError, EnvironmentError, UsageError, oneLine, printable } from "./errors.mjs";
import { parseManifest, variantIn } from "./manifest.mjs";
import { Part, openPart } from "./part.mjs";
import { denoised, pictureShape } from "./denoising.mjs";
import { generated, imageShapeAt, sizedPlaces } from "./generating.mjs";
import { fromPixels, fromRgba, grid, gridSize, isOpaque, toPixels } from "./pixels.mjs";
import { checkLine, checkedBundle, checkedLine, timeLine, timed } from "./replay.mjs";
import { scored } from "./scoring.mjs";
import { NEEDS, labelOf, requirePicture } from "./verbs.mjs";

export { BundleError, EnvironmentError, Part, UsageError, oneLine, parseManifest, printable };
export { checkLine, checkedLine, fromPixels, fromRgba, grid, isOpaque, timeLine, toPixels };
export { gridSize, labelOf, requirePicture, sizedPlaces };

/**
 * @typedef {import("./manifest.mjs").Manifest} Manifest
 * @typedef {import("./inputs.mjs").Tensor} Tensor
 * @typedef {import("./denoising.mjs").Options} DenoiseOptions
 * @typedef {import("./replay.mjs").Checked} Checked
 * @typedef {import("./scoring.mjs").Options} ScoreOptions
 * @typedef {import("./scoring.mjs").Scored} Scored
 */

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
  const source = { ort, read, where, version, providers };
  return new Bundle(source, await readManifest(source));
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
   * The denoiser, sampler, decoder or scorer, ready for its verb: pixels in the first where there is
   * one.
   *
   * @param {"denoiser" | "sampler" | "decoder" | "scorer"} name
   * @returns {Promise<Part>}
   * @throws {BundleError} there is none, or its inputs and outputs are not those of the verb
   * @throws {EnvironmentError} the engine is too old for it
   */
  async ready(name) {
    return this.part(name, this.#forVerb(name));
  }

  /**
   * The images that the denoiser, sampler, decoder or scorer takes or gives.
   *
   * @param {"denoiser" | "sampler" | "decoder" | "scorer"} name
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
    return readFile(this.#source, file, sha256, bytes);
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
    return {
      inputs: await readArrays(this.#source, inputs),
      outputs: await readArrays(this.#source, outputs),
    };
  }

  /**
   * Run golden inputs, all rows at once and each alone, and compare with what PyTorch gave.
   *
   * @param {(line: string, output: Checked) => void} onLine called for each output as it goes
   * @param {{only?: string[]}} options `only`: variants to check, such as "decoder fp32"
   * @returns {Promise<{outputs: Checked[], ok: boolean}>}
   */
  async check(onLine = () => {}, { only } = {}) {
    return checkedBundle(this, onLine, only);
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

  /**
   * How unlike rows are those of the training. What is beyond the range of an input is scored too.
   *
   * @param {Tensor | import("./inputs.mjs").Values} x rows as `Part.run` takes them; a Uint8Array alone
   *   is pixels, [n, C, H, W], where the scorer takes images
   * @param {ScoreOptions} [options]
   * @returns {Promise<Scored>}
   * @throws {BundleError} the bundle has no scorer, or it does not take such rows; or the manifest has
   *   no such threshold
   * @throws {UsageError} the threshold or the label makes no sense
   */
  async score(x, options = {}) {
    return scored(await this.ready("scorer"), x, options);
  }

  /** Close all graphs. */
  async close() {
    const parts = await Promise.allSettled(this.#parts.values());
    this.#parts.clear();
    for (const part of parts) if (part.status === "fulfilled") await part.value.close();
  }

  /** @returns {import("./manifest.mjs").Variant} */
  #variant(part, variant) {
    return variantIn(this.manifest, part, variant);
  }
}
