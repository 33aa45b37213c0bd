// What the verbs need of their parts, from the manifest. Free of Node and of browsers.

import { BundleError, UsageError } from "./errors.mjs";
import { PIXEL_RANGE, holdsPixels, rangeInWords } from "./pixels.mjs";
import { describe, typeInWords } from "./tensors.mjs";

/**
 * @typedef {import("./variant.mjs").TensorSpec} TensorSpec
 * @typedef {import("./variant.mjs").Variant} Variant
 */

const SCORED = ["image", "signal", "volume", "vector", "other"];
const LATENTS = ["latent", "codes", "vector", "other"];
const SAMPLED = ["index,seed", "index,label,seed", "canvas,index,seed", "canvas,index,label,seed"];

/** The parts that verbs need: what they need of them, and the images that they take or give. */
export const NEEDS = {
  denoiser: { require: requireDenoiser, image: ({ inputs }) => inputs[0] },
  sampler: { require: requireSampler, image: ({ outputs }) => outputs.find(isNamed("image")) },
  decoder: { require: requireDecoder, image: ({ outputs }) => outputs[0] },
  scorer: { require: requireScorer, image: ({ inputs }) => inputs[0] },
};
const ONE_KIND = {
  sampler: "it makes images of one kind",
  scorer: "it scores rows of one kind",
};

/**
 * A part that turns one image into one like it, of one size or of any.
 *
 * @param {Variant} variant of the part `denoiser`
 * @throws {BundleError}
 */
function requireDenoiser({ inputs, outputs }) {
  const needs = (expected, got) => need("denoiser", "denoise", expected, got);
  requireOne(needs, inputs);
  const [[input], [output]] = [inputs, outputs];
  requireKind(needs, "an input", input, ["image"]);
  requireKind(needs, "an output", output, ["image"]);
  const [wanted, got] = [input, output].map(({ kind, shape }) => `${kind} [${shape.join(", ")}]`);
  if (wanted !== got) needs(`${output.name} of the shape of ${input.name}, ${wanted}`, got);
  requirePixels(needs, input, input.dtype === "uint8" ? "uint8" : "float32");
  requirePixels(needs, output, input.dtype);
}

/**
 * A part that makes images of a seed and their numbers, of a canvas of their size where they can have
 * any, and of a label where it has one.
 *
 * @param {Variant} variant of the part `sampler`
 * @throws {BundleError}
 */
function requireSampler({ inputs, outputs }) {
  const needs = (expected, got) => need("sampler", "generate", expected, got);
  const kinds = inputs.map(({ kind }) => kind);
  const known = SAMPLED.includes([...kinds].sort().join());
  const given = inputs.map(({ name, kind }) => `${name} of ${kind}`).join(", ");
  if (!known) needs("inputs of the kinds seed and index, and canvas and label at most", given);
  const isCanvas = ({ kind }) => kind === "canvas";
  for (const input of inputs.filter((spec) => !isCanvas(spec))) {
    const shape = [input.kind === "seed" ? 1 : outputs[0].shape[0]];
    requireTensor(needs, input, { ...input, dtype: "int64", shape });
  }
  const output = outputs.find(isNamed("image"));
  if (!output) return needs("an output image", outputs.map(({ name }) => name).join(", "));
  requireKind(needs, "an output", output, ["image"]);
  requirePixels(needs, output, "uint8");
  const canvas = inputs.find(isCanvas);
  if (!canvas) return requireSized(needs, output);
  const [rows, , ...sizes] = output.shape;
  requireTensor(needs, canvas, { ...canvas, dtype: "uint8", shape: [rows, ...sizes] });
}

/**
 * A part that makes images of latents, and of a label where it has one.
 *
 * @param {Variant} variant of the part `decoder`
 * @throws {BundleError}
 */
function requireDecoder({ inputs, outputs }) {
  const needs = (expected, got) => need("decoder", "decode", expected, got);
  const [[input, ...others], [output]] = [inputs, outputs];
  const isLabel = ({ kind }) => kind === "label";
  if (!others.every(isLabel) || others.length > 1) requireOne(needs, inputs);
  requireKind(needs, "an input", input, LATENTS);
  requireKind(needs, "an output", output, ["image"]);
  const length = typeof input.shape[1] === "number" ? input.shape[1] : "N";
  const shape = [output.shape[0], length];
  requireTensor(needs, input, { ...input, dtype: "float32", shape });
  requirePixels(needs, output, output.dtype === "uint8" ? "uint8" : "float32");
  requireSized(needs, output);
}

/**
 * A part that tells how unlike rows are those of the training, of a label where it has one.
 *
 * @param {Variant} variant of the part `scorer`
 * @throws {BundleError}
 */
function requireScorer(variant) {
  const needs = (expected, got) => need("scorer", "score", expected, got);
  const { inputs, outputs } = variant;
  const output = scoreOf(variant);
  const names = outputs.map(({ name }) => name).join(", ");
  if (!output) return needs("an output of the kind score", names);
  requireTensor(needs, output, { ...output, dtype: "float32" });
  const [input, ...others] = inputs;
  const [rows] = outputs[0].shape;
  requireKind(needs, "a first input", input, SCORED);
  const dtype = input.dtype === "uint8" ? "uint8" : "float32";
  requireTensor(needs, input, { ...input, dtype, shape: [rows, ...input.shape.slice(1)] });
  const given = inputs.map(({ name, kind }) => `${name} of ${kind}`).join(", ");
  const isLabel = ({ kind }) => kind === "label";
  if (!others.every(isLabel) || others.length > 1) needs("1 input, and a label at most", given);
  for (const label of others)
    requireTensor(needs, label, { ...label, dtype: "int64", shape: [rows] });
}

/**
 * The output that tells how odd a row is: the first of the kind score.
 *
 * @param {Variant} variant of the part `scorer`
 * @returns {TensorSpec | undefined} undefined where it has none
 */
export function scoreOf({ outputs }) {
  return outputs.find(({ kind }) => kind === "score");
}

/**
 * Whether pictures can stand for the images that a scorer takes.
 *
 * @param {Variant} variant of the part `scorer`
 */
export function scoresPictures({ inputs: [{ kind, shape, dtype, range }] }) {
  return kind === "image" && hasPictures(shape[1]) && (dtype === "uint8" || holdsPixels(range));
}

function hasPictures(channels) {
  return typeof channels === "number" && channels <= 4;
}

/**
 * Images of so many channels as a picture can have.
 *
 * @param {string} part
 * @param {string} verb
 * @param {readonly (number | string)[]} shape [C, H, W]
 * @throws {BundleError}
 */
export function requirePicture(part, verb, [channels]) {
  if (hasPictures(channels)) return;
  need(part, verb, "images of 1 to 4 channels, which pictures have", channels);
}

/**
 * The label that a sampler or scorer needs, as it takes it for all rows.
 *
 * @param {Variant} variant of the part
 * @param {bigint | number | undefined} label
 * @param {"sampler" | "scorer"} [part]
 * @param {string} [option] what the label is called in messages
 * @returns {bigint | undefined} undefined where it needs none
 * @throws {UsageError} it needs one, or none, or another
 */
export function labelOf({ inputs }, label, part = "sampler", option = "label") {
  const input = inputs.find(({ kind }) => kind === "label");
  if (!input) {
    if (label === undefined) return undefined;
    throw new UsageError(`this ${part} takes no --label: ${ONE_KIND[part]}`);
  }
  const { range } = input;
  const allowed = range && `${range[0]} to ${range[1]}`;
  if (label === undefined) {
    throw new UsageError(`this ${part} needs --label${allowed ? `, ${allowed}` : ""}`);
  }
  const whole = typeof label === "bigint" || Number.isSafeInteger(label);
  const [lowest, highest] = range ?? [0, Infinity]; // a graph would count from the end below 0
  const good = whole && label >= lowest && label <= highest;
  if (good && BigInt.asIntN(64, BigInt(label)) === BigInt(label)) return BigInt(label);
  const expected = allowed ? `from ${allowed}` : "of 0 or more";
  throw new UsageError(`${option}: expected a whole number ${expected}, got ${label}`);
}

function isNamed(name) {
  return (spec) => spec.name === name;
}

function requireOne(needs, inputs) {
  const names = inputs.map(({ name }) => name).join(", ");
  if (inputs.length !== 1) needs("1 input", `${inputs.length}: ${names}`);
}

function requireKind(needs, what, { name, kind }, kinds) {
  if (kinds.includes(kind)) return;
  const others = kinds.slice(0, -1).join(", ");
  const listed = others ? `${others} or ${kinds.at(-1)}` : kinds[0];
  needs(`${what} of the kind ${listed}`, `${name} of ${kind}`);
}

function requirePixels(needs, spec, dtype) {
  requireTensor(needs, spec, { ...spec, dtype });
  if (dtype === "uint8" || holdsPixels(spec.range)) return;
  const instead = "export it with such a range, or take its floats with the library's run";
  const got = rangeInWords(spec.range);
  needs(`${describe(spec)} in a range ${PIXEL_RANGE}`, `one ${got}: ${instead}`);
}

function requireSized(needs, spec) {
  const sized = spec.shape.slice(1).every((size) => typeof size === "number");
  if (!sized) needs(`${spec.name} of one size`, typeInWords(spec));
}

function requireTensor(needs, spec, expected) {
  const [wanted, got] = [describe(expected), describe(spec)];
  if (wanted !== got) needs(wanted, typeInWords(spec));
}

/** @returns {never} */
function need(part, verb, expected, got) {
  throw new BundleError(`this bundle's ${part} cannot ${verb}: expected ${expected}, got ${got}`);
}
