// One graph as a function of arrays by name. Free of Node and of browsers.

import { hasRows, requireRows, requireSame, requireValues, requireVersion } from "./checks.mjs";
import { requirePlainGraph } from "./graph.mjs";
import { BundleError, EnvironmentError, describe, oneLine } from "./manifest.mjs";

/**
 * @typedef {import("./manifest.mjs").TensorSpec} TensorSpec
 * @typedef {import("./manifest.mjs").Variant} Variant
 * @typedef {Float32Array | Float64Array | Uint8Array | BigInt64Array} Values
 * @typedef {{dtype: string, shape: readonly number[], data: Values}} Tensor row-major values
 */

// Where an engine would look for such files, if a graph with them ever came to it: nowhere.
const NO_FILES = { session: { model_external_initializers_file_folder_path: "/dev/null" } };

/** @type {Record<string, any>} */
const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  uint8: Uint8Array,
  int64: BigInt64Array,
  float16: /** @type {any} */ (globalThis).Float16Array,
};

/**
 * The kind of typed array for a dtype.
 *
 * @param {string} dtype
 * @returns {any}
 * @throws {EnvironmentError} this engine has none: Float16Array is new
 */
export function arrayFor(dtype) {
  if (!ARRAYS[dtype]) throw new EnvironmentError(`this JavaScript engine has no ${dtype} arrays`);
  return ARRAYS[dtype];
}

/**
 * Make a session of a graph, once it is known to be what the manifest says.
 *
 * @param {string} name of the part
 * @param {Variant} variant
 * @param {Uint8Array} bytes of the graph
 * @param {{ort: any, version: string, providers: any[]}} engine
 * @returns {Promise<Part>}
 * @throws {BundleError} the engine refuses the graph, it is another one, or no bundle holds such
 * @throws {EnvironmentError} the engine is too old for it
 */
export async function openPart(name, variant, bytes, { ort, version, providers }) {
  requireVersion(variant, version);
  requireRows(name, variant);
  requirePlainGraph(variant.file, bytes);
  // One thread: at batch 1 these graphs are too small for more. No log: it would print what graphs
  // hold, and errors say the same.
  const threads = { intraOpNumThreads: 1, logSeverityLevel: 4 };
  const options = { executionProviders: providers, ...threads, extra: NO_FILES };
  let session;
  try {
    session = await ort.InferenceSession.create(bytes, options);
  } catch (error) {
    throw new BundleError(`${variant.file}: onnxruntime ${version} refuses it: ${oneLine(error)}`);
  }
  requireSame(variant.file, "input", variant.inputs, session.inputMetadata);
  requireSame(variant.file, "output", variant.outputs, session.outputMetadata);
  return new Part(name, variant, session, ort);
}

/** A part of a bundle, open: what `Bundle.part` gives. */
export class Part {
  #name;
  #session;
  #ort;

  /**
   * @param {string} name for messages
   * @param {Variant} variant what the graph takes and gives
   * @param {any} session the engine's, of that very interface
   * @param {any} ort the engine
   */
  constructor(name, variant, session, ort) {
    this.#name = name;
    this.#session = session;
    this.#ort = ort;
    this.variant = variant;
    const [first] = variant.outputs[0].shape;
    /** @type {number | undefined} The rows that the graph is fixed to; undefined if any will do. */
    this.batch = first === "batch" ? undefined : first;
  }

  /**
   * Run the graph on any number of rows.
   *
   * @param {Record<string, Tensor | Values>} inputs all of them by name; a typed array alone has as
   *   many rows as it has values for
   * @returns {Promise<Record<string, any>>} a typed array for each output, row-major
   * @throws {BundleError} an input is missing, unknown, of another dtype or shape, out of its range
   *   or not finite; the engine fails, or gives something else than the manifest says
   */
  async run(inputs) {
    const tensors = this.#checked(inputs);
    const rows = this.rows(tensors);
    const step = this.batch ?? rows;
    const found = [];
    for (let start = 0; start < rows; start += step) {
      found.push(await this.#runOnce(this.taken(tensors, start, start + step), step));
    }
    return Object.fromEntries(
      this.variant.outputs.map(({ name, shape }) => {
        const pieces = found.map((outputs) => outputs[name].data);
        const length = rows * product(shape.slice(1));
        return [name, rows === step ? pieces[0] : joined(pieces, length)];
      }),
    );
  }

  /** How many rows the inputs have. */
  rows(tensors) {
    const counts = this.variant.inputs.filter(hasRows).map(({ name }) => tensors[name].shape[0]);
    const [rows = 1] = counts;
    if (counts.every((count) => count === rows)) return rows;
    throw new BundleError(`${this.#name}: expected as many rows in each input, got ${counts}`);
  }

  /**
   * Some rows of the inputs; beyond the last one, that one again.
   *
   * @param {Record<string, Tensor>} tensors
   * @param {number} start
   * @param {number} stop
   * @returns {Record<string, Tensor>}
   */
  taken(tensors, start, stop) {
    return Object.fromEntries(
      this.variant.inputs.map((spec) => {
        const tensor = tensors[spec.name];
        return [spec.name, hasRows(spec) ? rowsOf(tensor, start, stop) : tensor];
      }),
    );
  }

  /** Let go of the graph. */
  async close() {
    await this.#session.release();
  }

  async #runOnce(tensors, rows) {
    const feeds = {};
    for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
      feeds[name] = new this.#ort.Tensor(dtype, data, shape);
    }
    let found;
    try {
      found = await this.#session.run(feeds);
    } catch (error) {
      throw new BundleError(`${this.#name}: onnxruntime failed: ${oneLine(error)}`);
    }
    this.#requireGiven(found, rows);
    return found;
  }

  // The manifest was compared with what the graph declares; a run can give something else.
  #requireGiven(found, rows) {
    const { file, outputs } = this.variant;
    for (const { name, dtype, shape } of outputs) {
      const tensor = found[name];
      const sizes = [rows, ...shape.slice(1)];
      const expected = `${dtype} [${sizes.join(", ")}]`;
      const got = tensor ? `${tensor.type} [${tensor.dims.join(", ")}]` : "nothing";
      if (got === expected && tensor.data.length === product(sizes)) continue;
      throw new BundleError(
        `${file} gave ${name} ${got}, expected ${expected}: export the bundle again`,
      );
    }
    const names = Object.keys(found);
    if (names.length === outputs.length) return;
    throw new BundleError(
      `${file} gave ${names.length} outputs, expected ${outputs.length}: export the bundle again`,
    );
  }

  #checked(inputs) {
    const names = this.variant.inputs.map((spec) => spec.name);
    const got = Object.keys(inputs);
    if (got.length !== names.length || !names.every((name) => Object.hasOwn(inputs, name))) {
      throw new BundleError(`${this.#name}: expected inputs ${names}, got ${got}`);
    }
    return Object.fromEntries(
      this.variant.inputs.map((spec) => [spec.name, this.#tensor(spec, inputs[spec.name])]),
    );
  }

  #tensor(spec, value) {
    const data = value?.data ?? value;
    const shape = value?.shape ?? shapeFor(spec, data?.length);
    const dtype = value?.dtype ?? spec.dtype;
    const good =
      data instanceof arrayFor(spec.dtype) &&
      dtype === spec.dtype &&
      shape.length === spec.shape.length &&
      shape.every((size, axis) => size === spec.shape[axis] || (axis === 0 && hasRows(spec))) &&
      data.length > 0 &&
      data.length === product(shape);
    const expected = `${this.#name}: expected ${describe(spec)}`;
    if (good) {
      requireValues(expected, spec, data);
      return { dtype, shape, data };
    }
    const kind = value?.dtype ?? data?.constructor?.name;
    throw new BundleError(`${expected}, got ${kind} [${[...shape].join(", ")}]`);
  }
}

/**
 * The product of sizes.
 *
 * @param {readonly any[]} sizes
 * @returns {number}
 */
export function product(sizes) {
  return sizes.reduce((found, size) => found * size, 1);
}

function shapeFor(spec, length) {
  if (!hasRows(spec)) return spec.shape;
  const rest = spec.shape.slice(1);
  return [Math.floor(length / product(rest)), ...rest];
}

/** @returns {Tensor} */
function rowsOf({ dtype, shape, data }, start, stop) {
  const [rows, ...rest] = shape;
  const width = product(rest);
  const values = new data.constructor((stop - start) * width);
  values.set(data.subarray(start * width, stop * width));
  const last = data.subarray((rows - 1) * width);
  for (let row = rows; row < stop; row++) values.set(last, (row - start) * width);
  return { dtype, shape: [stop - start, ...rest], data: values };
}

// The last piece may have more values than are wanted.
function joined(pieces, length) {
  const values = new pieces[0].constructor(length);
  pieces.forEach((piece, index) => {
    const start = index * piece.length;
    values.set(piece.subarray(0, length - start), start);
  });
  return values;
}
