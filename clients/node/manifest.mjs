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
 * @typedef {{name: string, dtype: string, shape: (number | "batch")[]}} TensorSpec
 * @typedef {{file: string, sha256: string, dtype: string, shape: number[], tolerance?: number}} Stored
 * @typedef {{file: string, sha256: string, opset: number, min_onnxruntime: string,
 *   inputs: TensorSpec[], outputs: TensorSpec[],
 *   golden: {inputs: Map<string, Stored>, outputs: Map<string, Stored>}}} Variant
 * @typedef {{model: string, input_shape: [number, number, number],
 *   parts: Map<string, Map<string, Variant>>}} Manifest
 */

const VERSION = 1;
const WIDTHS = new Map(Object.entries({ float32: 4, uint8: 1, int64: 8, float16: 2, float64: 8 }));
const LARGEST = 2 ** 63; // bytes

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
    return manifestOf(parseJson(text));
  } catch (error) {
    throw new BundleError(`${where}: ${oneLine(error)}`, { cause: error });
  }
}

/** The message of an error on one line, since engines and parsers quote what they were given. */
export function oneLine(error) {
  return String(error?.message ?? error)
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim();
}

/**
 * A tensor in words: "z float32 [batch, 20]".
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
    parts: mapOf(document.parts, "parts", (variants, path) => mapOf(variants, path, variantOf)),
  });
}

function variantOf(value, path) {
  const variant = record(value, path);
  const golden = record(variant.golden, `${path}.golden`);
  const inputs = list(variant.inputs, `${path}.inputs`, tensorOf);
  const outputs = list(variant.outputs, `${path}.outputs`, tensorOf);
  return Object.freeze({
    file: file(variant.file, `${path}.file`),
    sha256: digest(variant.sha256, `${path}.sha256`),
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
  return Object.freeze({ name: name(tensor.name, `${path}.name`), dtype, shape });
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
  const { tolerance } = record(value, path);
  const good = Number.isFinite(tolerance) && tolerance >= 0;
  expect(good, `${path}.tolerance`, "a number of 0 or more", tolerance);
  return Object.freeze({ ...storedOf(value, path), tolerance });
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
  const outside = /^$|^\/|\\|^\.\.$|^\.\.\/|\/\.\.\/|\/\.\.$/;
  expect(!outside.test(string(value, path)), path, "a path inside the bundle", value);
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
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
