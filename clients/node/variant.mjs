// One graph of a part, as its manifest describes it. Free of Node and of browsers.

import { ANY_SIZE, BATCH, axisOf, scaled, shapeAt, solve } from "./axes.mjs";
import { digest, expect, file, list, mapOf, record, require, size, string } from "./fields.mjs";
import { percentilesOf, quantilesOf } from "./normal.mjs";
import { axesOf, comparedOf, describe, storedOf, tensorOf, typeInWords } from "./tensors.mjs";

/**
 * @typedef {import("./axes.mjs").Axis} Axis
 * @typedef {import("./axes.mjs").Place} Place
 * @typedef {import("./tensors.mjs").Declared} Declared
 * @typedef {import("./tensors.mjs").Stored} Stored
 * @typedef {import("./tensors.mjs").Compared} Compared
 *
 * `rows`: whether it has a row per answer, as all have but a seed and the like; `places`: its shape
 * for any number of rows, also of a graph that is fixed to one.
 * @typedef {Declared & {rows: boolean, places: readonly Place[]}} TensorSpec
 * @typedef {{inputs: Map<string, Stored>, outputs: Map<string, Compared>}} Golden
 * @typedef {{file: string, sha256: string, bytes: number, opset: number, min_onnxruntime: string,
 *   inputs: readonly TensorSpec[], outputs: readonly TensorSpec[],
 *   axes: ReadonlyMap<string, Axis>, batch: number | undefined, golden: readonly Golden[],
 *   percentiles: import("./normal.mjs").Percentiles,
 *   quantiles: import("./normal.mjs").Quantiles}} Variant
 *   `axes`: by name, that of rows always; `batch`: the rows that the graph is fixed to, if it is;
 *   `percentiles` and `quantiles`: of the scores of normal rows
 */

const LARGEST_GRAPH = 2 ** 31; // bytes: an ONNX graph in one file cannot have more

/** @returns {Variant} */
export function variantOf(value, path) {
  const variant = record(value, path);
  const inputs = tensorsOf(variant.inputs, `${path}.inputs`, "input");
  const outputs = tensorsOf(variant.outputs, `${path}.outputs`, "output");
  const axes = mapOf(variant.axes, `${path}.axes`, (axis, at) => axisOf(record(axis, at), at));
  requireAxes(axes, inputs, outputs, path);
  const bytes = size(variant.bytes, `${path}.bytes`);
  expect(bytes <= LARGEST_GRAPH, `${path}.bytes`, `at most ${LARGEST_GRAPH}`, bytes);
  const graph = withRows(inputs, outputs, axes, path);
  const percentiles = percentilesOf(variant.percentiles, `${path}.percentiles`, outputs);
  return Object.freeze({
    file: file(variant.file, `${path}.file`),
    sha256: digest(variant.sha256, `${path}.sha256`),
    bytes,
    opset: size(variant.opset, `${path}.opset`),
    min_onnxruntime: string(variant.min_onnxruntime, `${path}.min_onnxruntime`),
    ...graph,
    golden: goldenOf(variant.golden, `${path}.golden`, graph),
    percentiles,
    quantiles: quantilesOf(variant.normal, `${path}.normal`, percentiles),
  });
}

function tensorsOf(value, path, what) {
  const specs = list(value, path, tensorOf);
  require(specs.length > 0, path, `at least one ${what}`, "none");
  const names = specs.map((spec) => spec.name);
  require(new Set(names).size === names.length, path, "distinct names", names.join(", "));
  return specs;
}

/** The axes are those of the tensors, and the inputs decide the sizes of the outputs. */
function requireAxes(axes, inputs, outputs, path) {
  const used = axesOf([...inputs, ...outputs]);
  const seen = new Set(used.map(({ axis }) => axis));
  const same = seen.size === axes.size && [...seen].every((axis) => axes.has(axis));
  const expected = `those of the tensors, ${namesOf(seen)}`;
  require(same, `${path}.axes`, expected, namesOf(axes.keys()));
  const known = new Set(axesOf(inputs).map(({ axis }) => axis));
  const unknown = [...seen].filter((axis) => !known.has(axis));
  const follow = "sizes that follow axes of the inputs";
  require(!unknown.length, `${path}.outputs`, follow, namesOf(unknown));
  for (const { axis, divisor } of used) {
    const { multiple } = axes.get(axis);
    const divided = `a multiple of ${divisor}, by which a size divides it`;
    expect(multiple % divisor === 0, `${path}.axes.${axis}.multiple`, divided, multiple);
  }
}

function namesOf(names) {
  return [...names].sort().join(", ") || "none";
}

/** Tensors that agree in their number of rows, which is any or fixed. */
function withRows(inputs, outputs, axes, path) {
  const [first] = outputs[0].shape;
  const other = outputs.find(({ shape }) => shape[0] !== first);
  const got = other && `${describe(outputs[0])} and ${describe(other)}`;
  require(!other, `${path}.outputs`, "as many rows in all", got ?? "");
  const hasRows = ({ shape, kind }) => shape[0] === first && kind !== "seed";
  const expected = `one with a first size of ${first}, as the outputs have`;
  const given = inputs.map(describe).join(", ");
  require(inputs.some(hasRows), `${path}.inputs`, expected, given);
  const declared = (spec, rows) => Object.freeze({ ...spec, rows, places: placesOf(spec, rows) });
  return {
    inputs: Object.freeze(inputs.map((spec) => declared(spec, hasRows(spec)))),
    outputs: Object.freeze(outputs.map((spec) => declared(spec, true))),
    axes: new Map([[BATCH, ANY_SIZE], ...axes]),
    batch: typeof first === "number" ? first : undefined,
  };
}

/** @returns {readonly Place[]} */
function placesOf({ shape }, rows) {
  const sizes = rows ? [BATCH, ...shape.slice(1)] : shape;
  return Object.freeze(sizes.map((item) => scaled(item) ?? Number(item)));
}

function goldenOf(value, path, graph) {
  const sets = list(value, path, (item, at) => {
    const golden = record(item, at);
    const inputs = arraysOf(golden.inputs, `${at}.inputs`, graph.inputs, storedOf);
    const outputs = arraysOf(golden.outputs, `${at}.outputs`, graph.outputs, comparedOf);
    requireSizes({ inputs, outputs }, at, graph);
    return Object.freeze({ inputs, outputs });
  });
  require(sets.length > 0, path, "at least one set of golden vectors", "none");
  return sets;
}

function arraysOf(value, path, specs, read) {
  const stored = mapOf(value, path, read);
  const names = specs.map((spec) => spec.name);
  const same = names.length === stored.size && names.every((key) => stored.has(key));
  require(same, path, names.join(", "), [...stored.keys()].join(", ") || "none");
  return stored;
}

/** The arrays of a set have the shapes of the tensors, at one size of each axis that it may have. */
function requireSizes({ inputs, outputs }, path, graph) {
  for (const spec of graph.inputs) {
    const { shape } = inputs.get(spec.name);
    const expected = `[${spec.shape.join(", ")}]`;
    const got = `[${shape.join(", ")}]`;
    require(isLike(spec.places, shape), `${path}.inputs.${spec.name}`, expected, got);
  }
  const sizes = goldenSizes(graph, inputs, path);
  const rows = sizes.get(BATCH) ?? 0;
  const { batch = 1 } = graph;
  require(rows % batch === 0, `${path}.inputs`, `batches of ${batch} rows`, `${rows} rows`);
  for (const [kind, arrays] of Object.entries({ inputs, outputs })) {
    for (const { name, dtype, places } of graph[kind]) {
      const expected = typeInWords({ dtype, shape: shapeAt(places, sizes) });
      const got = typeInWords(arrays.get(name));
      require(expected === got, `${path}.${kind}.${name}`, expected, got);
    }
  }
}

function goldenSizes({ inputs: specs, axes }, inputs, path) {
  try {
    return solve(specs, Object.fromEntries(inputs), axes);
  } catch (error) {
    throw new Error(`${path}.inputs.${error.message}`);
  }
}

/** Whether an array has as many sizes as a tensor, and the same where that is a number. */
export function isLike(places, shape) {
  const same = (place, index) => typeof place !== "number" || place === shape[index];
  return places.length === shape.length && places.every(same);
}
