// One graph as a function of arrays by name. Free of Node and of browsers.

import { BATCH, shapeAt } from "./axes.mjs";
import { requireSame, requireVersion } from "./checks.mjs";
import { BundleError, oneLine } from "./errors.mjs";
import { requirePlainGraph } from "./graph.mjs";
import { checkedInputs, rowsOf } from "./inputs.mjs";
import { typeInWords } from "./tensors.mjs";
import { addRows, runTiled } from "./tiled.mjs";
import { LARGEST_WHOLE, product, rowsAtOnce, sizedAxes, tilesOf } from "./tiles.mjs";

/**
 * @typedef {import("./axes.mjs").Sizes} Sizes
 * @typedef {import("./tiles.mjs").Tile} Tile
 * @typedef {import("./variant.mjs").TensorSpec} TensorSpec
 * @typedef {import("./variant.mjs").Variant} Variant
 * @typedef {import("./inputs.mjs").Values} Values
 * @typedef {import("./inputs.mjs").Tensor} Tensor
 * @typedef {import("./tiled.mjs").Outputs} Outputs
 *
 * A tile that is done, how many are done of how many, and the outputs so far.
 * @typedef {{tile: Tile, done: number, total: number, outputs: Outputs}} Progress
 * @typedef {{onTile?: (progress: Progress) => unknown, signal?: AbortSignal, whole?: number,
 *   limited?: boolean}} Options
 *   `onTile`: called after each tile, and waited for; `signal`: ends the run between tiles;
 *   `whole`: values of the largest tensor of a row that runs as a whole, 2^22 if it is left out;
 *   `limited`: whether values out of an input's range are refused, as they are if it is left out
 */

// Where an engine would look for such files, if a graph with them ever came to it: nowhere.
const NO_FILES = { session: { model_external_initializers_file_folder_path: "/dev/null" } };

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
    /** @type {number | undefined} The rows that the graph is fixed to; undefined if any will do. */
    this.batch = variant.batch;
  }

  /**
   * Run the graph on any number of rows, of any size that its axes allow.
   *
   * @param {Record<string, Tensor | Values>} inputs all of them by name; a typed array alone has as
   *   many rows as it has values for
   * @param {Options} [options]
   * @returns {Promise<Record<string, any>>} a typed array for each output, row-major
   * @throws {BundleError} an input is missing, unknown, of another dtype or shape, out of its range
   *   or not finite; the engine fails, or gives something else than the manifest says
   */
  async run(inputs, options = {}) {
    const outputs = await this.runShaped(inputs, options);
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data]));
  }

  /**
   * As `run`, with the shapes of the outputs.
   *
   * @param {Record<string, Tensor | Values>} inputs
   * @param {Options} [options]
   * @returns {Promise<Outputs>}
   */
  async runShaped(inputs, { onTile, signal, whole = LARGEST_WHOLE, limited = true } = {}) {
    const { tensors, sizes } = checkedInputs(this.#name, this.variant, inputs, limited);
    const rows = sizes.get(BATCH) ?? 1;
    const cuts = tilesOf(this.variant, sizes, whole);
    const step = this.batch ?? (cuts.length > 1 ? 1 : this.#rowsAtOnce(sizes, rows));
    /** @type {Outputs} */
    const outputs = {};
    let done = 0;
    const total = Math.ceil(rows / step) * cuts.length;
    for (let start = 0; start < rows; start += step) {
      const count = this.batch ?? Math.min(step, rows - start);
      const given = this.taken(tensors, start, start + count);
      const here = new Map([...sizes, [BATCH, count]]);
      const found = await runTiled(
        this.variant,
        given,
        here,
        cuts,
        this.#runOnce,
        async (tile, soFar) => {
          await onTile?.({ tile, outputs: soFar, done: ++done, total });
          signal?.throwIfAborted();
        },
      );
      addRows(outputs, found, start, rows);
    }
    return outputs;
  }

  /** How many rows the inputs have. */
  rows(tensors) {
    const spec = this.variant.inputs.find(({ rows }) => rows);
    return tensors[/** @type {TensorSpec} */ (spec).name].shape[0];
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
      this.variant.inputs.map(({ name, rows }) => {
        return [name, rows ? rowsOf(tensors[name], start, stop) : tensors[name]];
      }),
    );
  }

  /** Let go of the graph. */
  async close() {
    await this.#session.release();
  }

  // Rows of sizes that a caller chose can be large; those of a fixed size are small.
  #rowsAtOnce(sizes, rows) {
    if (!sizedAxes(this.variant).length) return rows;
    return Math.min(rows, rowsAtOnce(this.variant, sizes));
  }

  #runOnce = async (tensors, sizes) => {
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
    return this.#given(found, sizes);
  };

  // The manifest was compared with what the graph declares; a run can give something else.
  #given(found, sizes) {
    const { file, outputs } = this.variant;
    const given = {};
    for (const { name, dtype, places } of outputs) {
      const tensor = found[name];
      const shape = shapeAt(places, sizes);
      const expected = typeInWords({ dtype, shape });
      const got = tensor ? typeInWords({ dtype: tensor.type, shape: tensor.dims }) : "nothing";
      if (got !== expected || tensor.data.length !== product(shape)) {
        throw new BundleError(
          `${file} gave ${name} ${got}, expected ${expected}: export the bundle again`,
        );
      }
      given[name] = { data: tensor.data, shape };
    }
    const names = Object.keys(found);
    if (names.length === outputs.length) return given;
    throw new BundleError(
      `${file} gave ${names.length} outputs, expected ${outputs.length}: export the bundle again`,
    );
  }
}
