// BMP pictures: uncompressed, 1 to 32 bits per pixel.

/** @typedef {import("./picture.mjs").Picture} Picture */

const [PLAIN, MASKED] = [0, 3]; // of the compressions
const BYTE_MASKS = [0xff0000, 0xff00, 0xff, 0]; // red, green, blue, alpha
const BLACK = [0, 0, 0, 255];
const PLAIN_MASKS = { 16: [0x7c00, 0x3e0, 0x1f, 0], 24: BYTE_MASKS, 32: BYTE_MASKS };

export function isBmp(bytes) {
  return bytes.toString("latin1", 0, 2) === "BM";
}

/**
 * What a BMP says of itself.
 *
 * @param {Buffer} bytes
 * @returns {Picture}
 * @throws {Error} it is damaged or cut
 */
export function openBmp(bytes) {
  try {
    const header = headerOf(bytes);
    const { width, height } = header;
    return { width, height, pictures: 1, orientation: 1, decode: () => decoded(bytes, header) };
  } catch (error) {
    throw error instanceof RangeError ? new Error("it is cut in its header") : error;
  }
}

function headerOf(bytes) {
  const [start, size] = [bytes.readUInt32LE(10), bytes.readUInt32LE(14)];
  const old = size === 12; // of OS/2
  if (!old && size < 40) throw new Error("its header is not one of BMP");
  const width = old ? bytes.readUInt16LE(18) : bytes.readInt32LE(18);
  const tall = old ? bytes.readInt16LE(20) : bytes.readInt32LE(22);
  const bits = bytes.readUInt16LE(old ? 24 : 28);
  const compression = old ? PLAIN : bytes.readUInt32LE(30);
  if (width <= 0 || tall === 0) throw new Error("it has no pixels");
  const masked = compression === MASKED && (bits === 16 || bits === 32);
  if (compression !== PLAIN && !masked) throw new Error("it is compressed, expected a plain one");
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw new Error(`it has ${bits} bits per pixel`);
  const stride = Math.ceil((width * bits) / 32) * 4;
  const height = Math.abs(tall);
  if (start + stride * height > bytes.length) throw new Error("rows are missing");
  const table = { at: 14 + size, entry: old ? 3 : 4, colours: old ? 0 : bytes.readUInt32LE(46) };
  const masks = masked ? masksOf(bytes, size, bits) : PLAIN_MASKS[bits];
  return { start, width, height, bits, stride, topDown: tall < 0, table, masks };
}

function masksOf(bytes, size, bits) {
  const masks = [54, 58, 62].map((at) => bytes.readUInt32LE(at));
  // As pillow takes them: alpha in the longer headers alone, and of 32 bits.
  masks.push(size >= 56 && bits === 32 ? bytes.readUInt32LE(66) : 0);
  for (const mask of masks.slice(0, 3)) requireMask(mask);
  if (masks[3]) requireMask(masks[3]);
  return masks;
}

function requireMask(mask) {
  const most = mask / lowestOf(mask);
  const good = mask && most < 256 && Number.isInteger(Math.log2(most + 1));
  if (!good) throw new Error("its colour masks are not runs of up to 8 bits");
}

function lowestOf(mask) {
  return (mask & -mask) >>> 0;
}

function decoded(bytes, header) {
  const { start, width, height, stride, topDown } = header;
  const pixel = header.bits > 8 ? masked(header) : fromTable(bytes, header);
  const rgba = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    const row = bytes.subarray(start + stride * (topDown ? y : height - 1 - y));
    for (let x = 0; x < width; x++) rgba.set(pixel(row, x), 4 * (y * width + x));
  }
  return rgba;
}

function masked({ bits, masks }) {
  const colours = masks.map((mask) => ({ mask, low: lowestOf(mask), most: mask / lowestOf(mask) }));
  return (row, x) => {
    const value = row.readUIntLE((x * bits) / 8, bits / 8);
    return colours.map(({ mask, low, most }) =>
      mask ? Math.floor(((((value & mask) >>> 0) / low) * 255) / most) : 255,
    );
  };
}

function fromTable(bytes, { start, bits, table }) {
  const { at, entry } = table;
  const count = Math.min(table.colours || 2 ** bits, 2 ** bits, Math.floor((start - at) / entry));
  const colours = Array.from({ length: Math.max(0, count) }, (_, number) => {
    const [b, g, r] = bytes.subarray(at + entry * number);
    return [r, g, b, 255];
  });
  return (row, x) => {
    const shift = 8 - bits - ((x * bits) % 8);
    const number = (row[(x * bits) >> 3] >> shift) & (2 ** bits - 1);
    return colours[number] ?? BLACK; // beyond the table, as in PNG
  };
}
