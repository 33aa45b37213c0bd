// JPEG pictures: decoded by libjpeg-turbo, as pillow does, once its markers are known to be whole.

import { orientationOf } from "./exif.mjs";
import { load, unload } from "./packages.mjs";

/** @typedef {import("./picture.mjs").Picture} Picture */

const CUT = "it is cut: its end, the marker EOI, is missing";
const [SOI, EOI, SOS, APP1, TEM] = [0xd8, 0xd9, 0xda, 0xe1, 0x01];
const NO_FRAME = new Set([0xc4, 0xc8, 0xcc]); // between the markers SOF0 to SOF15
const DECODER = "@cwasm/jpeg-turbo";

export function isJpeg(bytes) {
  return bytes[0] === 0xff && bytes[1] === SOI && bytes[2] === 0xff;
}

/**
 * What a JPEG says of itself.
 *
 * @param {Buffer} bytes
 * @returns {Picture}
 * @throws {Error} it is damaged or cut
 */
export function openJpeg(bytes) {
  const { segments, end } = segmentsOf(bytes);
  const frames = segments.filter(({ marker }) => isFrame(marker));
  if (frames.length !== 1) throw new Error(`it has ${frames.length} frames, expected 1`);
  const [{ data: frame }] = frames;
  if (frame.length < 6) throw new Error("its frame has no size");
  const [depth, colours] = [frame[0], frame[5]];
  const [height, width] = [frame.readUInt16BE(1), frame.readUInt16BE(3)];
  if (depth !== 8) throw new Error(`expected 8 or 16 bits per channel, got ${depth}`);
  const exif = segments.find(({ marker, data }) => marker === APP1 && isExif(data));
  return {
    ...{ width, height, pictures: 1, cmyk: colours === 4 },
    orientation: exif ? orientationOf(exif.data.subarray(6)) : 1,
    decode: () => decoded(bytes.subarray(0, end), width * height * 4),
  };
}

function segmentsOf(bytes) {
  const segments = [];
  let at = 2;
  for (;;) {
    const marker = markerAt(bytes, at);
    at = marker.end;
    if (marker.code === EOI) return { segments, end: at };
    if (isAlone(marker.code)) continue;
    if (at + 2 > bytes.length) throw new Error(CUT);
    const end = at + bytes.readUInt16BE(at);
    if (end < at + 2) throw new Error("a segment has no length");
    if (end > bytes.length) throw new Error(CUT);
    segments.push({ marker: marker.code, data: bytes.subarray(at + 2, end) });
    at = marker.code === SOS ? endOfScan(bytes, end) : end;
  }
}

function markerAt(bytes, at) {
  if (at < bytes.length && bytes[at] !== 0xff) throw new Error(`byte ${at} is not a marker`);
  while (bytes[at] === 0xff) at++; // fill bytes
  if (at >= bytes.length) throw new Error(CUT);
  return { code: bytes[at], end: at + 1 };
}

// Where the first marker after the values of a scan is: 0 stands for a value of 255.
function endOfScan(bytes, start) {
  for (let at = bytes.indexOf(0xff, start); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1];
    if (next !== 0 && next !== 0xff && !isAlone(next)) return at;
  }
  throw new Error(CUT);
}

function isAlone(marker) {
  return (marker >= 0xd0 && marker <= 0xd7) || marker === TEM;
}

function isFrame(marker) {
  return marker >= 0xc0 && marker <= 0xcf && !NO_FRAME.has(marker);
}

function isExif(data) {
  return data.toString("latin1", 0, 6) === "Exif\0\0";
}

function decoded(bytes, length) {
  const decoder = load(DECODER);
  try {
    const { data } = decoder.decode(bytes);
    if (data.length !== length) throw new Error("its size is another than its frame's");
    return new Uint8Array(data.buffer, data.byteOffset, data.length);
  } catch (error) {
    unload(DECODER); // what fails keeps its stack and memory in use
    throw new Error("its data are damaged, or of a kind that is not read", { cause: error });
  }
}
