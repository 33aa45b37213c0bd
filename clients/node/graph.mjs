// What a graph must not hold, found in its bytes before an engine reads them. Free of Node and of
// browsers, and of any library: only the wire format of protobuf is walked.

import { BundleError, shortened } from "./errors.mjs";

const [VARINT, FIXED64, BYTES, FIXED32] = [0, 1, 2, 5]; // wire types
const WITH_SUBGRAPHS = new Set(["Loop", "If", "Scan", "SequenceMap"]);
const GRAPH_TYPES = new Set([5, 10]); // AttributeProto.AttributeType: GRAPH, GRAPHS
const SPARSE_TYPES = new Set([11, 12]); // SPARSE_TENSOR, SPARSE_TENSORS

/** Why a bundle never holds such a graph. */
class Forbidden extends Error {}

/**
 * What is read of a message, by field number: the wire type that it must have, and what to do with
 * its bytes or its number. All other fields are passed over.
 *
 * @typedef {Record<number, [wire: number, act: (bytes: Uint8Array, number: number) => void]>} Fields
 */

/**
 * Refuse a graph that is no ONNX model, reads other files, or may run for ever.
 *
 * @param {string} file what to call it
 * @param {Uint8Array} bytes of the ModelProto
 * @throws {BundleError} it holds what graphs of a bundle never hold, or is no graph
 */
export function requirePlainGraph(file, bytes) {
  let graphs = 0;
  try {
    // onnxruntime would read it as a file in its own format, which is not looked at here.
    if (String.fromCharCode(...bytes.subarray(4, 8)) === "ORTM") {
      throw new Error("it is in onnxruntime's own format");
    }
    walk(bytes, {
      7: [BYTES, (graph) => (walk(graph, GRAPH), graphs++)],
      8: [BYTES, (opset) => walk(opset, { 1: [BYTES, requireDomain] })],
      20: never("training information"),
      25: never("functions"),
    });
    if (!graphs) throw new Error("it has no graph");
  } catch (error) {
    if (error instanceof Forbidden) {
      throw new BundleError(`${file}: a bundle never holds ${error.message}`);
    }
    throw new BundleError(`${file} is not an ONNX graph: ${error.message}`);
  }
}

/** @type {Fields} */
const TENSOR = {
  13: never("weights in other files"),
  // Any number but 0: engines cut it to 32 bits.
  14: [VARINT, (_, location) => location !== 0 && forbid("weights in other files")],
};

/** @type {Fields} */
const GRAPH = {
  1: [BYTES, requirePlainNode],
  5: [BYTES, (tensor) => walk(tensor, TENSOR)],
  15: never("sparse weights"),
};

function requirePlainNode(node) {
  let operator = "";
  walk(node, {
    4: [BYTES, (name) => (operator = textOf(name))],
    7: [BYTES, requireDomain],
  });
  const subgraph = `a subgraph (${operator})`;
  if (WITH_SUBGRAPHS.has(operator)) forbid(subgraph);
  /** @type {Fields} */
  const attribute = {
    5: [BYTES, (tensor) => walk(tensor, TENSOR)],
    6: never(subgraph),
    10: [BYTES, (tensor) => walk(tensor, TENSOR)],
    11: never(subgraph),
    20: [VARINT, (_, type) => requireType(type, subgraph)],
    22: never("sparse weights"),
    23: never("sparse weights"),
  };
  walk(node, { 5: [BYTES, (field) => walk(field, attribute)] });
}

function requireType(type, subgraph) {
  if (GRAPH_TYPES.has(type)) forbid(subgraph);
  if (SPARSE_TYPES.has(type)) forbid("sparse weights");
}

function requireDomain(bytes) {
  const domain = textOf(bytes);
  if (domain !== "" && domain !== "ai.onnx") forbid(`operators of the domain "${domain}"`);
}

/** @returns {[number, () => void]} */
function never(what) {
  return [BYTES, () => forbid(what)];
}

/** @returns {never} */
function forbid(what) {
  throw new Forbidden(what);
}

function textOf(bytes) {
  return shortened(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, 320)));
}

/**
 * Go through the fields of one message.
 *
 * @param {Uint8Array} bytes
 * @param {Fields} fields
 */
function walk(bytes, fields) {
  const reader = { bytes, at: 0 };
  while (reader.at < bytes.length) {
    const tag = varint(reader);
    const [number, wire] = [Math.floor(tag / 8), tag % 8];
    if (number < 1 || number >= 2 ** 29) throw new Error("a field has no valid number");
    const known = fields[number];
    if (known && known[0] !== wire) throw new Error(`field ${number} is of another kind`);
    const value = wire === VARINT ? varint(reader) : 0;
    const content = wire === VARINT ? bytes : taken(reader, wire);
    known?.[1](content, value);
  }
}

function taken(reader, wire) {
  const length = lengthOf(reader, wire);
  const end = reader.at + length;
  if (end > reader.bytes.length) throw new Error("it ends inside a field");
  const content = reader.bytes.subarray(reader.at, end);
  reader.at = end;
  return content;
}

function lengthOf(reader, wire) {
  if (wire === BYTES) return varint(reader);
  if (wire === FIXED64) return 8;
  if (wire === FIXED32) return 4;
  throw new Error(`wire type ${wire} is not used in graphs`);
}

// As a float64: what is above 2^53, and so not exact, is no length or number that is read here.
function varint(reader) {
  let value = 0;
  for (let place = 0; place < 10; place++) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined) throw new Error("it ends inside a number");
    value += (byte & 127) * 2 ** (7 * place);
    if (byte < 128) return value;
  }
  throw new Error("a number is longer than 10 bytes");
}
