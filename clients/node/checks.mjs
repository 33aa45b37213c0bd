// What is checked before a part is used: the engine, its graph, what a verb needs of it, and the
// values that come in. Free of Node and of browsers.

import { BundleError, EnvironmentError, UsageError, describe } from "./manifest.mjs";
import { PIXEL_RANGE, fromPixels, holdsPixels, rangeInWords } from "./pixels.mjs";

/**
 * @typedef {import("./manifest.mjs").Manifest} Manifest
 * @typedef {import("./manifest.mjs").TensorSpec} TensorSpec
 * @typedef {import("./manifest.mjs").Variant} Variant
 */

const MAX_SEED = 2n ** 63n - 1n;
const SAFE_ENGINE = "1.24.1"; // older ones open files anywhere that a graph names

/** Whether a tensor has a row per answer: one seed is for all rows. */
export function hasRows(spec) {
  return spec.name !== "seed";
}

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

/** A row of each output for a row of each input: "batch", or one number. */
export function requireRows(part, { inputs, outputs }, verb = "run") {
  const [first, ...others] = [...inputs.filter(hasRows), ...outputs];
  const same = (spec) => spec.shape[0] !== undefined && spec.shape[0] === first.shape[0];
  const other = [first, ...others].find((spec) => !same(spec));
  if (!other) return;
  need(part, verb, "as many rows in all", `${describe(first)} and ${describe(other)}`);
}

/** Values that are finite, and in the range that the manifest gives. */
export function requireValues(expected, { dtype, range }, data) {
  let [lowest, highest] = [data[0], data[0]];
  for (const value of data) {
    if (value < lowest) lowest = value;
    else if (value > highest) highest = value;
    else if (value !== value) lowest = highest = NaN; // and nothing is below or above that
  }
  if (![lowest, highest].every((value) => typeof value === "bigint" || Number.isFinite(value))) {
    throw new BundleError(`${expected}, got NaN or infinite values: remove them first`);
  }
  if (!range) return;
  const [low, high] = dtype === "float32" ? limitsOf(range) : range;
  if (lowest >= low && highest <= high) return;
  const unit = range[0] === 0 && range[1] === 1;
  const hint = unit
    ? "divide pixels by 255, or take a -uint8 variant"
    : "clip them, or make them of pixels with fromPixels";
  throw new BundleError(
    `${expected} ${rangeInWords(range)}, got values from ${lowest} to ${highest}: ${hint}`,
  );
}

// The range in float32, whose ends may be beyond those of the manifest, and so may pixel 255.
function limitsOf(range) {
  const [low, high] = range.map(Math.fround);
  const white = holdsPixels(range) ? fromPixels(Uint8Array.of(255), range) : [];
  return [low, Math.max(high, ...white)];
}

/**
 * A part that turns one image into one like it, of the bundle's size.
 *
 * @param {Manifest} manifest
 * @param {Variant} variant of the part `denoiser`
 * @throws {BundleError}
 */
export function requireDenoiser({ input_shape: image }, variant) {
  const needs = (expected, got) => need("denoiser", "denoise", expected, got);
  const { inputs, outputs } = variant;
  if (inputs.length !== 1) needs("1 input", inputs.length);
  const [[input], [output]] = [inputs, outputs];
  requireImage(needs, input, image, input.dtype === "uint8" ? "uint8" : "float32");
  requireImage(needs, output, image, input.dtype);
  requireRows("denoiser", variant, "denoise");
}

/**
 * A part that makes images of a seed and their numbers.
 *
 * @param {Manifest} manifest
 * @param {Variant} variant of the part `sampler`
 * @throws {BundleError}
 */
export function requireSampler({ input_shape: image }, variant) {
  const needs = (expected, got) => need("sampler", "generate", expected, got);
  const names = variant.inputs.map(({ name }) => name).sort();
  if (names.join() !== "index,seed") needs("the inputs seed and index", names.join(", "));
  for (const input of variant.inputs) {
    const rows = input.name === "seed" ? 1 : rowsOf(input);
    requireTensor(needs, input, { name: input.name, dtype: "int64", shape: [rows] });
  }
  const output = variant.outputs.find(({ name }) => name === "image");
  if (!output) return needs("an output image", variant.outputs.map(({ name }) => name).join(", "));
  requireImage(needs, output, image, "uint8");
  requireRows("sampler", variant, "generate");
}

/**
 * A part that makes images of latents.
 *
 * @param {Manifest} manifest
 * @param {Variant} variant of the part `decoder`
 * @throws {BundleError}
 */
export function requireDecoder({ input_shape: image, latent_size: length }, variant) {
  const needs = (expected, got) => need("decoder", "decode", expected, got);
  const { inputs, outputs } = variant;
  if (inputs.length !== 1) needs("1 input", inputs.length);
  const [[input], [output]] = [inputs, outputs];
  const latents = [rowsOf(input), length];
  requireTensor(needs, input, { name: input.name, dtype: "float32", shape: latents });
  requireImage(needs, output, image, output.dtype === "uint8" ? "uint8" : "float32");
  requireRows("decoder", variant, "decode");
}

/**
 * Images of so many channels as a picture can have.
 *
 * @param {string} part
 * @param {string} verb
 * @param {readonly number[]} shape [C, H, W]
 * @throws {BundleError}
 */
export function requirePicture(part, verb, [channels]) {
  if (channels <= 4) return;
  need(part, verb, "images of 1 to 4 channels, which pictures have", channels);
}

/** A seed exactly: a JavaScript number above 2^53 would have lost digits. */
export function seedOf(seed) {
  const good = typeof seed === "bigint" || Number.isSafeInteger(seed);
  if (good && seed >= 0 && BigInt(seed) <= MAX_SEED) return BigInt(seed);
  throw new UsageError(`seed: expected a whole number from 0 to ${MAX_SEED}, got ${seed}`);
}

/** An image of a size as pixels, not floats. */
export function requirePixels(pixels, [channels, height, width]) {
  if (pixels instanceof Uint8Array && pixels.length === channels * height * width) return;
  const got = `${pixels?.constructor?.name ?? pixels} of ${pixels?.length ?? "no"} values`;
  const hint = /^Float/.test(got) ? ": make floats pixels with toPixels first" : "";
  throw new BundleError(
    `denoise: expected a Uint8Array of pixels, [${[channels, height, width].join(", ")}], got ${got}${hint}`,
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

function requireImage(needs, spec, image, dtype) {
  requireTensor(needs, spec, { name: spec.name, dtype, shape: [rowsOf(spec), ...image] });
  if (dtype === "uint8" || holdsPixels(spec.range)) return;
  const instead = "export it with such a range, or take its floats with the library's run";
  const got = rangeInWords(spec.range);
  needs(`${describe(spec)} in a range ${PIXEL_RANGE}`, `one ${got}: ${instead}`);
}

function requireTensor(needs, spec, expected) {
  const [wanted, got] = [describe(expected), describe(spec)];
  if (wanted !== got) needs(wanted, got.slice(spec.name.length + 1));
}

function rowsOf(spec) {
  return spec.shape[0] ?? "batch";
}

/** @returns {never} */
function need(part, verb, expected, got) {
  throw new BundleError(`this bundle's ${part} cannot ${verb}: expected ${expected}, got ${got}`);
}
