// How a picture is to be turned, as its EXIF says.

const ORIENTATION = 0x0112;

/**
 * The orientation in EXIF data: 1 if there is none, or none that can be read.
 *
 * @param {Buffer} data as in a PNG's eXIf, or in a JPEG's APP1 after "Exif\0\0"
 * @returns {number} 1 to 8
 */
export function orientationOf(data) {
  const order = data.toString("latin1", 0, 4);
  if (order !== "II*\0" && order !== "MM\0*") return 1;
  const little = order.startsWith("II");
  const u16 = (at) => (little ? data.readUInt16LE(at) : data.readUInt16BE(at));
  try {
    const first = little ? data.readUInt32LE(4) : data.readUInt32BE(4);
    for (let entry = 0; entry < u16(first); entry++) {
      const at = first + 2 + 12 * entry;
      if (u16(at) !== ORIENTATION) continue;
      const [kind, value] = [u16(at + 2), u16(at + 8)];
      return kind === 3 && value >= 1 && value <= 8 ? value : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // it ends too early
  }
  return 1;
}

/**
 * A picture as it is to be seen.
 *
 * @param {Uint8Array} rgba [H, W, 4]
 * @param {number} width
 * @param {number} height
 * @param {number} orientation 1 to 8; from 5 on, width and height change places
 * @returns {Uint8Array} as many values
 */
export function oriented(rgba, width, height, orientation) {
  if (orientation === 1) return rgba;
  const turned = orientation > 4;
  const [rows, columns] = turned ? [width, height] : [height, width];
  const flipsRows = [3, 4, 6, 7].includes(orientation);
  const flipsColumns = [2, 3, 7, 8].includes(orientation);
  const pixels = new Uint8Array(rgba.length);
  let to = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, to += 4) {
      const [row, column] = turned ? [x, y] : [y, x];
      const fromRow = flipsRows ? height - 1 - row : row;
      const from = 4 * (fromRow * width + (flipsColumns ? width - 1 - column : column));
      pixels.set(rgba.subarray(from, from + 4), to);
    }
  }
  return pixels;
}
