// Pictures of any size for a graph that takes multiples: padded by reflection at the bottom and at the
// right, and cropped again. Free of Node and of browsers.

import { shapeFor } from "./axes.mjs";
import { BundleError } from "./errors.mjs";
import { product } from "./tiles.mjs";

const MOST_PIXELS = 2 ** 24;
const MOST_TIMES = 4;

/**
 * The size of a picture once it is padded.
 *
 * @param {import("./variant.mjs").Variant} variant of a denoiser
 * @param {readonly number[]} size [height, width]
 * @returns {number[]}
 * @throws {BundleError} the axes do not allow as large a one, or it would take memory that the picture
 *   itself does not ask for
 */
export function paddedSize({ inputs: [{ name, places }], axes }, size) {
  const padded = allowedSize(name, places.slice(2), axes, size);
  const most = Math.max(MOST_PIXELS, MOST_TIMES * product(size));
  if (product(padded) <= most) return padded;
  throw new BundleError(
    `denoiser: ${name}: expected a picture that fits into ${most} pixels once it is padded, got ` +
      `${size[1]}x${size[0]}, padded to ${padded[1]}x${padded[0]}: take a larger picture`,
  );
}

function allowedSize(name, places, axes, size) {
  try {
    return shapeFor(name, places, axes, size);
  } catch (error) {
    throw new BundleError(`denoiser: ${error.message}`);
  }
}

/**
 * An image with more rows at the bottom and more columns at the right, which are reflections of it.
 *
 * @param {Uint8Array} pixels [C, H, W]
 * @param {readonly number[]} from [C, H, W]
 * @param {readonly number[]} to [height, width], as large or larger
 * @returns {Uint8Array} [C, height, width]
 */
export function padded(pixels, [channels, height, width], [toHeight, toWidth]) {
  if (height === toHeight && width === toWidth) return pixels;
  const found = new Uint8Array(channels * toHeight * toWidth);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < toHeight; y++) {
      const from = (channel * height + reflected(y, height)) * width;
      const to = (channel * toHeight + y) * toWidth;
      found.set(pixels.subarray(from, from + width), to);
      for (let x = width; x < toWidth; x++) found[to + x] = pixels[from + reflected(x, width)];
    }
  }
  return found;
}

/** The place of a size that another is a reflection of, which the borders are not repeated in. */
export function reflected(place, size) {
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const within = place % period;
  return Math.min(within, period - within);
}
