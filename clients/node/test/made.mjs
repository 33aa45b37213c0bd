// Bundles and graphs made by hand, and an engine that gives what it is told to.

import { createHash } from "node:crypto";

import { openBundle } from "../bundle.mjs";

/** A field of a protobuf message: bytes, a text, or a number. */
export function field(number, value) {
  if (typeof value === "number") return Buffer.from([...varint(number * 8), ...varint(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes]);
}

export function message(...fields) {
  return Buffer.concat(fields);
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return [...bytes, value];
}

/** A model whose graph has one node and one weight, with more fields where a test wants them. */
export function model({ node = [], weight = [], graph = [], top = [] } = {}) {
  return message(
    field(1, 8),
    field(
      7,
      message(field(1, message(field(4, "Relu"), ...node)), field(5, message(...weight)), ...graph),
    ),
    field(8, message(field(1, ""), field(2, 18))),
    ...top,
  );
}

export const IMAGE = ["batch", 1, 2, 3];

/** What a tensor of a shape is, unless a test says otherwise. */
function kindOf(name, shape) {
  if (["seed", "index", "canvas", "label"].includes(name)) return name;
  return shape.length === 4 ? "image" : "other";
}

export function tensor(name, dtype = "float32", shape = IMAGE, range = [0, 1], kind = "") {
  return { name, dtype, shape, range, kind: kind || kindOf(name, shape) };
}

export function axis(others = {}) {
  return { multiple: 1, min: 1, max: null, margin: 0, ...others };
}

/**
 * A variant of a part, with golden vectors of two rows of zeros; its axes beside that of rows have the
 * size `size` there.
 */
export function variant({
  inputs = [tensor("x")],
  outputs = [tensor("y")],
  axes = {},
  size = 8,
  ...others
} = {}) {
  const bytes = model();
  const golden = [{ inputs: stored(inputs, size), outputs: stored(outputs, size, 1e-6) }];
  const engine = { bytes: bytes.length, sha256: hash(bytes), opset: 18, min_onnxruntime: "1.14" };
  const rows = [...inputs, ...outputs].some(({ shape }) => shape[0] === "batch");
  const all = { ...(rows && { batch: axis() }), ...axes };
  const graph = { file: "part.onnx", ...engine, inputs, outputs, axes: all, golden };
  return { ...graph, percentiles: {}, ...others };
}

function stored(specs, size, tolerance) {
  return Object.fromEntries(
    specs.map(({ name, dtype, shape }) => {
      const sizes = shape.map((item) => sizeAt(item, size));
      const sha256 = hash(zeros(dtype, sizes));
      const compared = tolerance ? { tolerance: Array(sizes[0]).fill(tolerance) } : {};
      const file = `${dtype} ${sizes.join("x")}`;
      return [name, { file, sha256, dtype, shape: sizes, ...compared }];
    }),
  );
}

/** The size of a tensor where "batch" is 2 and each other axis is `size`. */
function sizeAt(item, size) {
  if (item === "batch") return 2;
  const [, factor = "1", , divisor = "1"] = /^(?:(\d+)\*)?([a-z]\w*)(?:\/(\d+))?$/.exec(item) ?? [];
  return typeof item === "number" ? item : (Number(factor) * size) / Number(divisor);
}

function zeros(dtype, sizes) {
  const width = { float32: 4, uint8: 1, int64: 8 }[dtype] ?? 1;
  return Buffer.alloc(width * sizes.reduce((product, size) => product * size, 1));
}

export function hash(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The manifest of a bundle with such parts, each in fp32 alone. */
export function manifest(parts, others = {}) {
  const variants = Object.entries(parts).map(([part, fp32]) => [part, { fp32 }]);
  const document = { format: "aeonnx-bundle", version: 2, model: "dae" };
  return { ...document, parts: Object.fromEntries(variants), ...others };
}

/**
 * A bundle of a manifest, whose graphs give what `give` says: by default what they promise.
 *
 * @param {object} document
 * @param {{give?: (spec: any, rows: number, feeds: any) =>
 *     {dtype: string, shape: number[], data?: any} | undefined,
 *   graph?: Buffer, version?: string, files?: Record<string, Buffer>}} options `data`: the values,
 *   else zeros; `files`: golden ones that are not zeros, by name
 */
export function opened(
  document,
  { give = promised, graph = model(), version = "1.30.0", files = {} } = {},
) {
  const read = async (name) => {
    if (name === "manifest.json") return Buffer.from(JSON.stringify(document));
    if (files[name]) return files[name];
    const [dtype, sizes] = name.split(" ");
    return sizes ? zeros(dtype, sizes.split("x").map(Number)) : graph;
  };
  const [variants] = Object.values(document.parts);
  return openBundle({ ort: engine(variants?.fp32, give), read, where: "made", version });
}

export function promised({ dtype, shape }, rows) {
  return { dtype, shape: [rows, ...shape.slice(1)] };
}

function engine(variant, give) {
  const described = (specs) => specs.map(({ dtype, ...spec }) => ({ ...spec, type: dtype }));
  const session = {
    inputMetadata: described(variant?.inputs ?? []),
    outputMetadata: described(variant?.outputs ?? []),
    run: async (feeds) => {
      const [rows] = feeds[variant.inputs.at(-1).name].dims;
      const given = variant.outputs.map((spec) => [spec.name, give(spec, rows, feeds)]);
      const tensors = given.filter(([, found]) => found);
      return Object.fromEntries(tensors.map(([name, found]) => [name, filled(found)]));
    },
    release: async () => {},
  };
  return {
    InferenceSession: { create: async () => session },
    Tensor: class {
      constructor(type, data, dims) {
        Object.assign(this, { type, data, dims });
      }
    },
  };
}

function filled({ dtype, shape, data: values }) {
  if (values) return { type: dtype, dims: shape, data: values };
  const bytes = new Uint8Array(zeros(dtype, shape));
  const data = { float32: Float32Array, uint8: Uint8Array, int64: BigInt64Array }[dtype];
  return { type: dtype, dims: shape, data: new data(bytes.buffer) };
}
