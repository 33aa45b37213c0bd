// What a bundle's manifest.json says, checked. Free of Node, of browsers and of the engine.

/** No usable bundle or file, or values that a graph does not take. */
export class BundleError extends Error {
  exitCode = 1;
}

/** An argument that makes no sense. */
export class UsageError extends Error {
  exitCode = 2;
}

/** The engine is missing, or too old for the bundle. */
export class EnvironmentError extends Error {
  exitCode = 4;
}

/**
 * @typedef {{name: string, dtype: string, shape: (number | "batch")[],
 *   range: [number, number] | null}} TensorSpec `range`: null for any value
 * @typedef {{file: string, sha256: string, dtype: string, shape: number[]}} Stored
 * @typedef {Stored & {tolerance: number[]}} Compared a number for each row
 * @typedef {{file: string, sha256: string, bytes: number, opset: number, min_onnxruntime: string,
 *   inputs: TensorSpec[], outputs: TensorSpec[],
 *   golden: {inputs: Map<string, Stored>, outputs: Map<string, Compared>}}} Variant
 * @typedef {{model: string, input_shape: [number, number, number], latent_size: number,
 *   parts: Map<string, Map<string, Variant>>}} Manifest
 */

const VERSION = 1;
const WIDTHS = new Map(Object.entries({ float32: 4, uint8: 1, int64: 8, float16: 2, float64: 8 }));
const LARGEST = 2 ** 63; // bytes
const LARGEST_GRAPH = 2 ** 31; // bytes: an ONNX graph in one file cannot have more
const CONTROL = /[\p{Cc}\p{Cs}]/u; // a surrogate that is half of a pair is none

/**
 * Read a manifest: what is used is checked, the rest is skipped.
 *
 * @param {string | Uint8Array} text
 * @param {string} where how to call the file in messages
 * @returns {Manifest} frozen; parts, variants and golden arrays are Maps by name
 * @throws {BundleError} names the field, what was expected and what came
 */
export function parseManifest(text, where = "manifest.json") {
  try {
    const document = parseJson(text);
    const manifest = manifestOf(document);
    requireFinite(document);
    return manifest;
  } catch (error) {
    throw new BundleError(`${where}: ${oneLine(error)}`, { cause: error });
  }
}

/** The message of an error on one line, since engines and parsers quote what they were given. */
export function oneLine(error) {
  const text = String(error?.message ?? error);
  return printable(text.replace(/\s+/g, " ").trim());
}

/** A text without control characters, which a terminal would act on: "\\x1b" instead. */
export function printable(text) {
  return text.replace(new RegExp(CONTROL, "gu"), (character) => {
    const hex = character.charCodeAt(0).toString(16);
    return hex.length > 2 ? `\\u${hex}` : `\\x${hex.padStart(2, "0")}`;
  });
}

/** At most 80 characters of a text that can be as long as its file. */
export function shortened(text) {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/**
 * A tensor as errors print it: "z float32 [batch, 20]".
 *
 * @param {{name: string, dtype: string, shape: readonly any[]}} spec
 */
export function describe({ name, dtype, shape }) {
  return `${name} ${dtype} [${shape.join(", ")}]`;
}

function parseJson(text) {
  if (typeof text === "string") return JSON.parse(text);
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
}

// In what is skipped too: no reader takes 1e999 for a number. Without recursion, which ends at some
// depth.
function requireFinite(document) {
  const left = [["", document]];
  for (let next = left.pop(); next; next = left.pop()) {
    const [path, value] = next;
    if (typeof value === "number") {
      expect(Number.isFinite(value), path, "a finite number", value);
    } else if (typeof value === "object" && value !== null) {
      for (const [key, item] of Object.entries(value))
        left.push([shortened(`${path}.${key}`), item]);
    }
  }
}

function manifestOf(value) {
  const document = record(value, "the manifest");
  const { format, version } = document;
  expect(format === "aeonnx-bundle", "format", '"aeonnx-bundle"', format);
  expect(Number.isSafeInteger(version) && version > 0, "version", "a whole number", version);
  if (version > VERSION) {
    throw new Error(
      `version ${version} is newer than this program, which reads ${VERSION}: take a newer one`,
    );
  }
  const shape = list(document.input_shape, "input_shape", size);
  expect(shape.length === 3, "input_shape", "[C, H, W]", document.input_shape);
  fits(shape, 1, "input_shape");
  return Object.freeze({
    model: string(document.model, "model"),
    input_shape: /** @type {[number, number, number]} */ (shape),
    latent_size: size(document.latent_size, "latent_size"),
    parts: partsOf(document.parts),
  });
}

function partsOf(value) {
  const parts = mapOf(value, "parts", (variants, path) => mapOf(variants, path, variantOf));
  if (!parts.size) throw new Error("parts: expected at least one part");
  for (const [part, variants] of parts) {
    expect(
      variants.has("fp32"),
      `parts.${part}`,
      "the variant fp32",
      [...variants.keys()].join(", "),
    );
  }
  return parts;
}

function variantOf(value, path) {
  const variant = record(value, path);
  const golden = record(variant.golden, `${path}.golden`);
  const inputs = list(variant.inputs, `${path}.inputs`, tensorOf);
  const outputs = list(variant.outputs, `${path}.outputs`, tensorOf);
  if (!inputs.length) throw new Error(`${path}.inputs: expected at least one input`);
  if (!outputs.length) throw new Error(`${path}.outputs: expected at least one output`);
  const bytes = size(variant.bytes, `${path}.bytes`);
  expect(bytes <= LARGEST_GRAPH, `${path}.bytes`, `at most ${LARGEST_GRAPH}`, bytes);
  return Object.freeze({
    file: file(variant.file, `${path}.file`),
    sha256: digest(variant.sha256, `${path}.sha256`),
    bytes,
    opset: size(variant.opset, `${path}.opset`),
    min_onnxruntime: string(variant.min_onnxruntime, `${path}.min_onnxruntime`),
    inputs,
    outputs,
    golden: Object.freeze({
      inputs: goldenOf(golden.inputs, `${path}.golden.inputs`, inputs, storedOf),
      outputs: goldenOf(golden.outputs, `${path}.golden.outputs`, outputs, comparedOf),
    }),
  });
}

function tensorOf(value, path) {
  const tensor = record(value, path);
  const shape = list(tensor.shape, `${path}.shape`, (item, at) =>
    item === "batch" ? item : size(item, at),
  );
  const dtype = dtypeOf(tensor.dtype, `${path}.dtype`);
  fits(shape.filter(Number.isInteger), WIDTHS.get(dtype), `${path}.shape`);
  const range = rangeOf(tensor.range, `${path}.range`);
  return Object.freeze({ name: name(tensor.name, `${path}.name`), dtype, shape, range });
}

function rangeOf(value, path) {
  if (value === undefined || value === null) return null; // any value
  const good = Array.isArray(value) && value.length === 2 && value.every(Number.isFinite);
  expect(good, path, "two numbers", value);
  return Object.freeze([...value]);
}

function goldenOf(value, path, specs, read) {
  const stored = mapOf(value, path, read);
  const names = new Set(specs.map((spec) => spec.name));
  const same = names.size === stored.size && [...names].every((key) => stored.has(key));
  expect(same, path, [...names].join(", "), [...stored.keys()].join(", "));
  return stored;
}

function storedOf(value, path) {
  const stored = record(value, path);
  const shape = list(stored.shape, `${path}.shape`, size);
  const dtype = dtypeOf(stored.dtype, `${path}.dtype`);
  fits(shape, WIDTHS.get(dtype), `${path}.shape`);
  const sha256 = digest(stored.sha256, `${path}.sha256`);
  return Object.freeze({ file: file(stored.file, `${path}.file`), sha256, dtype, shape });
}

function comparedOf(value, path) {
  const stored = storedOf(value, path);
  const [rows] = stored.shape;
  expect(rows !== undefined, `${path}.shape`, "at least one size", stored.shape);
  const { tolerance } = record(value, path);
  return Object.freeze({
    ...stored,
    tolerance: tolerancesOf(tolerance, `${path}.tolerance`, rows),
  });
}

function tolerancesOf(value, path, rows) {
  const expected = `${rows} numbers above 0`;
  expect(Array.isArray(value), path, expected, value);
  if (value.length !== rows) {
    throw new Error(`${path}: expected ${expected}, got a list of ${value.length}`);
  }
  return list(value, path, (item, at) => {
    expect(Number.isFinite(item) && item > 0, at, "a number above 0", item);
    return item;
  });
}

// Below: one kind of value each. They return the value, or throw.

function record(value, path) {
  const good = typeof value === "object" && value !== null && !Array.isArray(value);
  expect(good, path, "an object", value);
  // Without a prototype, a field that is not there cannot be found in Object's.
  return Object.assign(Object.create(null), value);
}

function mapOf(value, path, read) {
  const entries = Object.entries(record(value, path));
  return new Map(
    entries.map(([key, item]) => [
      name(key, path, /^[a-z][a-z0-9_-]*$/),
      read(item, `${path}.${key}`),
    ]),
  );
}

function list(value, path, read) {
  expect(Array.isArray(value), path, "a list", value);
  return Object.freeze(value.map((item, index) => read(item, `${path}[${index}]`)));
}

function name(value, path, pattern = /^[a-z][a-z0-9_]*$/) {
  expect(pattern.test(string(value, path)), path, "a lower-case name", value);
  return value;
}

function string(value, path) {
  expect(typeof value === "string", path, "a string", value);
  expect(!CONTROL.test(value), path, "a text without control characters", value);
  return value;
}

function size(value, path) {
  expect(Number.isSafeInteger(value) && value > 0, path, "a whole number above 0", value);
  return value;
}

function digest(value, path) {
  expect(/^[0-9a-f]{64}$/.test(string(value, path)), path, "64 hex digits", value);
  return value;
}

function dtypeOf(value, path) {
  expect(WIDTHS.has(value), path, `one of ${[...WIDTHS.keys()].join(", ")}`, value);
  return value;
}

function file(value, path) {
  const outside = (component) => ["", ".", ".."].includes(component) || component.includes("\\");
  const inside = !string(value, path).split("/").some(outside);
  expect(inside, path, "a path inside the bundle", value);
  return value;
}

function fits(shape, width, path) {
  const bytes = shape.reduce((product, item) => product * item, width);
  expect(bytes < LARGEST, path, "a size in bytes of at most 63 bits", shape.join(" x "));
}

function expect(good, path, expected, got) {
  if (!good) throw new Error(`${path}: expected ${expected}, got ${shown(got)}`);
}

// Objects are not quoted: they can be as large and as deep as the file.
function shown(value) {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return shortened(typeof value === "string" ? JSON.stringify(value) : String(value));
}
