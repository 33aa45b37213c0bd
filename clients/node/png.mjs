// PNG pictures: decoded by pngjs, once the checks are done that it leaves out.

import { crc32, inflateSync } from "node:zlib";

import { orientationOf } from "./exif.mjs";
import { load } from "./packages.mjs";

/** @typedef {import("./picture.mjs").Picture} Picture */

const SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
const SAMPLES = new Map([[0, 1], [2, 3], [3, 1], [4, 2], [6, 4]]); // prettier-ignore
const DEPTHS = new Map([[0, [1, 2, 4, 8, 16]], [3, [1, 2, 4, 8]]]); // prettier-ignore
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]]; // prettier-ignore

export function isPng(bytes) {
  return bytes.subarray(0, 8).equals(SIGNATURE);
}

/**
 * What a PNG says of itself, with every checksum compared.
 *
 * @param {Buffer} bytes
 * @returns {Picture}
 * @throws {Error} it is damaged or cut
 */
export function openPng(bytes) {
  const { chunks, end } = chunksOf(bytes);
  const header = headerOf(chunks[0]);
  const find = (name) => chunks.find((chunk) => chunk.name === name)?.data;
  const animation = find("acTL");
  const exif = find("eXIf");
  return {
    ...header,
    pictures: animation && animation.length >= 4 ? Math.max(1, animation.readUInt32BE(0)) : 1,
    orientation: exif ? orientationOf(exif) : 1,
    decode: () => decoded(bytes.subarray(0, end), chunks, header),
  };
}

function chunksOf(bytes) {
  const chunks = [];
  let at = SIGNATURE.length;
  while (chunks.at(-1)?.name !== "IEND") {
    if (at + 12 > bytes.length) throw new Error("it is cut: its end, the chunk IEND, is missing");
    const end = at + 12 + bytes.readUInt32BE(at);
    const name = bytes.toString("latin1", at + 4, at + 8);
    if (end > bytes.length) throw new Error(`it is cut in the chunk ${name}`);
    if (crc32(bytes.subarray(at + 4, end - 4)) !== bytes.readUInt32BE(end - 4)) {
      throw new Error(`the chunk ${name} has a wrong checksum`);
    }
    chunks.push({ name, data: bytes.subarray(at + 8, end - 4) });
    at = end;
  }
  return { chunks, end: at };
}

function headerOf({ name, data }) {
  if (name !== "IHDR" || data.length !== 13) throw new Error("it has no header");
  const [width, height] = [data.readUInt32BE(0), data.readUInt32BE(4)];
  const [depth, colours, compression, filter, interlace] = data.subarray(8);
  const known = (DEPTHS.get(colours) ?? [8, 16]).includes(depth) && SAMPLES.has(colours);
  if (!known || !width || !height || compression || filter || interlace > 1) {
    throw new Error("its header is not one of PNG");
  }
  return { width, height, depth, colours, interlace };
}

function decoded(bytes, chunks, header) {
  requireRows(chunks, header);
  // Samples as they are in the file: from 16 bits, pngjs would make others than the high byte.
  const found = load("pngjs").PNG.sync.read(bytes, { skipRescale: true });
  const { depth, colours } = header;
  if (found.transColor) restoreKey(found);
  if (depth === 16) return Uint8Array.from(found.data, (sample) => sample >> 8);
  if (depth === 8 || colours === 3) return new Uint8Array(found.data);
  return Uint8Array.from(found.data, (sample) => (sample * 255) / (2 ** depth - 1));
}

// pngjs takes rows that are missing for black, and unpacks interlaced ones without a bound.
function requireRows(chunks, { width, height, depth, colours, interlace }) {
  const bits = depth * (SAMPLES.get(colours) ?? 0);
  const passes = interlace ? PASSES : [[0, 0, 1, 1]];
  const sizes = passes.map(([x, y, across, down]) => {
    const [columns, rows] = [Math.ceil((width - x) / across), Math.ceil((height - y) / down)];
    return columns > 0 && rows > 0 ? rows * (1 + Math.ceil((columns * bits) / 8)) : 0;
  });
  const expected = sizes.reduce((sum, size) => sum + size, 0);
  const packed = chunks.filter(({ name }) => name === "IDAT").map(({ data }) => data);
  const rows = unpacked(Buffer.concat(packed), expected);
  if (rows.length < expected) throw new Error("rows are missing");
}

function unpacked(packed, most) {
  try {
    return inflateSync(packed, { maxOutputLength: most });
  } catch (error) {
    if (error.code === "ERR_BUFFER_TOO_LARGE") throw new Error("it has more data than its size");
    throw error;
  }
}

// pngjs blackens the colour that stands for transparency in a picture without alpha.
function restoreKey({ data, transColor: key }) {
  const [r, g = r, b = r] = key;
  for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 0) data.set([r, g, b], at);
}

/**
 * A picture as a PNG.
 *
 * @param {{width: number, height: number, channels: number, data: Uint8Array}} picture [H, W, C]
 * @returns {Buffer}
 */
export function packPng({ width, height, channels, data }) {
  const colorType = [0, 4, 2, 6][channels - 1];
  const pixels = { width, height, data: Buffer.from(data), gamma: 0 };
  return load("pngjs").PNG.sync.write(pixels, { colorType, inputColorType: colorType });
}
