// Arrays in .npy files, format versions 1.0 to 3.0: read from bytes, and written as 1.0.

import { product } from "./tiles.mjs";

/**
 * An array of a file, in C order. The values of float16 are their bits, a Uint16Array, since engines
 * without Float16Array are in use.
 *
 * @typedef {{dtype: string, shape: number[], data: any}} NpyArray
 */

const MAGIC = "\x93NUMPY";
export const MAGIC_BYTES = MAGIC.length;
const ALIGNED = 64; // bytes that the header is a multiple of
/** @type {Record<string, [dtype: string, values: any]>} */
const TYPES = {
  "<f4": ["float32", Float32Array],
  "<f8": ["float64", Float64Array],
  "<f2": ["float16", Uint16Array],
  "|u1": ["uint8", Uint8Array],
  "<i4": ["int32", Int32Array],
  "<i8": ["int64", BigInt64Array],
  "|b1": ["bool", Uint8Array],
};
const CODES = new Map(Object.entries(TYPES).map(([code, [dtype]]) => [dtype, code]));
const FIELD =
  /\s*'(descr|fortran_order|shape)'\s*:\s*(?:'([^']{1,80})'|(True|False)|\(([\d\s,]*)\))\s*(,|(?=\}))/y;

/** Whether bytes begin as those of a file do. */
export function isNpy(bytes) {
  return String.fromCharCode(...bytes.subarray(0, MAGIC_BYTES)) === MAGIC;
}

/**
 * The array in the bytes of a file.
 *
 * @param {Uint8Array} bytes
 * @returns {NpyArray}
 * @throws {Error} says what is wrong with them
 */
export function parseNpy(bytes) {
  const { text, end } = headerOf(bytes);
  const { descr, fortran_order: fortran, shape } = fieldsOf(text);
  if (!Object.hasOwn(TYPES, descr)) {
    const known = Object.keys(TYPES).join(", ");
    throw new Error(`expected values of one of ${known}, got ${descr}`);
  }
  const [dtype, Values] = TYPES[descr];
  const expected = product(shape) * Values.BYTES_PER_ELEMENT;
  const got = bytes.length - end;
  if (expected !== got) {
    throw new Error(`expected ${expected} bytes of values for [${shape.join(", ")}], got ${got}`);
  }
  const data = new Values(new Uint8Array(bytes.subarray(end)).buffer); // a copy is aligned
  return { dtype, shape, data: fortran ? inRows(data, shape) : data };
}

function headerOf(bytes) {
  if (!isNpy(bytes)) throw new Error("it does not begin as one");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 12) throw new Error("it ends inside its header");
  const [major, minor] = [bytes[6], bytes[7]];
  if (major < 1 || major > 3 || minor !== 0) {
    throw new Error(`expected format version 1.0 to 3.0, got ${major}.${minor}`);
  }
  const start = major === 1 ? 10 : 12;
  const end = start + (major === 1 ? view.getUint16(8, true) : view.getUint32(8, true));
  if (end > bytes.length) throw new Error("it ends inside its header");
  return { text: new TextDecoder().decode(bytes.subarray(start, end)), end };
}

/** The fields of the header, which is a dict of Python; it is never evaluated. */
function fieldsOf(text) {
  const fields = {};
  FIELD.lastIndex = text.indexOf("{") + 1;
  let end = FIELD.lastIndex;
  for (let found = FIELD.exec(text); found; found = FIELD.exec(text)) {
    const [, key, code, truth, sizes] = found;
    fields[key] = code ?? (truth ? truth === "True" : sizesOf(sizes));
    end = FIELD.lastIndex;
  }
  const { descr, fortran_order: fortran, shape } = fields;
  const good = typeof descr === "string" && typeof fortran === "boolean" && Array.isArray(shape);
  if (/^\s*\{/.test(text) && /^\s*\}\s*$/.test(text.slice(end)) && good) return fields;
  throw new Error("expected a header of descr, fortran_order and shape, with values of one number");
}

function sizesOf(text) {
  const sizes = text.split(",").map((item) => item.trim());
  if (sizes.at(-1) === "") sizes.pop();
  const good = sizes.every((size) => /^\d{1,15}$/.test(size));
  if (!good) throw new Error(`expected whole numbers for its shape, got (${text.slice(0, 80)})`);
  return sizes.map(Number);
}

/** Values in Fortran order, whose first axis is the fastest, in C order. */
function inRows(data, shape) {
  if (shape.length < 2) return data;
  const found = new data.constructor(data.length);
  const strides = shape.map((_, axis) => product(shape.slice(0, axis)));
  const place = Array(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < data.length; to++) {
    found[to] = data[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++place[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      place[axis] = 0;
    }
  }
  return found;
}

/**
 * The bytes of a file.
 *
 * @param {{dtype: string, shape: readonly number[], data: any}} array in C order
 * @returns {Uint8Array}
 */
export function packNpy({ dtype, shape, data }) {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${CODES.get(dtype)}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const start = MAGIC.length + 4;
  const end = Math.ceil((start + text.length + 1) / ALIGNED) * ALIGNED;
  const bytes = new Uint8Array(end + data.byteLength).fill(0x20, start, end);
  bytes.set([0x93, ...new TextEncoder().encode(MAGIC.slice(1)), 1, 0]);
  new DataView(bytes.buffer).setUint16(8, end - start, true);
  bytes.set(new TextEncoder().encode(text), start);
  bytes[end - 1] = 0x0a;
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), end);
  return bytes;
}

/** The numbers that bits of float16 stand for. */
export function fromHalves(bits) {
  return Float32Array.from(bits, (half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    return sign * (1024 + fraction) * 2 ** (exponent - 25);
  });
}
