// Pixels and float images, and many images as one. Free of Node and of browsers.

import { BundleError } from "./errors.mjs";

const GAP = 2; // pixels between the images of a grid
const GREY = 128;

/**
 * @typedef {readonly [number, number]} Range the values that pixels 0 and 255 stand for
 * @type {Range}
 */
const UNIT = [0, 1];
/** What a range must be to convert pixels, for errors. */
export const PIXEL_RANGE = "[low, high] whose width is a float32 above 0";
const { fround } = Math; // each result is rounded to float32, as in the graphs that take pixels

/**
 * Whether pixels can stand for the values of a range.
 *
 * @param {Range | null} range null for any value
 */
export function holdsPixels(range) {
  const width = range ? widthOf(range) : 0;
  return width > 0 && width < Infinity;
}

/**
 * Float images as pixels: clipped to the range, which is mapped to 0 to 255, to the nearest, ties to
 * even. NaN gives 0.
 *
 * @param {Float32Array} images
 * @param {Range | null} range as in the manifest
 * @returns {Uint8Array} as many
 * @throws {BundleError} no pixels stand for the values of such a range
 */
export function toPixels(images, range = UNIT) {
  range = required(range);
  const [low, high] = range.map(fround);
  const width = widthOf(range);
  // A clamped array rounds just so.
  const rounded = new Uint8ClampedArray(images.length);
  for (let index = 0; index < images.length; index++) {
    const above = fround(Math.min(Math.max(images[index], low), high) - low);
    rounded[index] = fround(fround(above / width) * 255);
  }
  return new Uint8Array(rounded.buffer);
}

/**
 * Pixels as float images in a range.
 *
 * @param {Uint8Array} pixels
 * @param {Range | null} range as in the manifest
 * @returns {Float32Array} as many
 * @throws {BundleError} no pixels stand for the values of such a range
 */
export function fromPixels(pixels, range = UNIT) {
  range = required(range);
  const low = fround(range[0]);
  const width = widthOf(range);
  const values = Float32Array.from(
    { length: 256 },
    (_, value) => low + fround(fround(value / 255) * width),
  );
  const images = new Float32Array(pixels.length);
  for (let index = 0; index < pixels.length; index++) images[index] = values[pixels[index]];
  return images;
}

/** A range as errors print it. */
export function rangeInWords(range) {
  return range ? `in [${range.join(", ")}]` : "of any range";
}

/** @param {Range} range */
function widthOf([low, high]) {
  return fround(fround(high) - fround(low));
}

/** @returns {Range} */
function required(range) {
  if (holdsPixels(range)) return range;
  throw new BundleError(
    `pixels: expected values in a range ${PIXEL_RANGE}, got values ${rangeInWords(range)}`,
  );
}

/**
 * A picture as an image of 1 to 4 channels, colours made grey as pillow does it; alpha is not
 * applied.
 *
 * @param {Uint8Array | Uint8ClampedArray} rgba [H, W, 4]
 * @param {number} channels 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA
 * @returns {Uint8Array} [C, H, W]
 */
export function fromRgba(rgba, channels) {
  const size = rgba.length / 4;
  const image = new Uint8Array(channels * size);
  for (let pixel = 0; pixel < size; pixel++) {
    const at = pixel * 4;
    if (channels > 2) {
      for (let channel = 0; channel < channels; channel++) {
        image[channel * size + pixel] = rgba[at + channel];
      }
    } else {
      const grey = 19595 * rgba[at] + 38470 * rgba[at + 1] + 7471 * rgba[at + 2] + 32768;
      image[pixel] = grey >> 16;
      if (channels === 2) image[size + pixel] = rgba[at + 3];
    }
  }
  return image;
}

/**
 * Whether all pixels are opaque: then alpha can be dropped.
 *
 * @param {Uint8Array | Uint8ClampedArray} rgba [H, W, 4]
 */
export function isOpaque(rgba) {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] !== 255) return false;
  return true;
}

/**
 * The size of one picture of many, and where they are in it.
 *
 * @param {number} count
 * @param {readonly any[]} shape [C, H, W] of each
 */
export function gridSize(count, [, imageHeight, imageWidth]) {
  const columns = Math.ceil(Math.sqrt(count));
  const gap = count === 1 ? 0 : GAP;
  const width = columns * (imageWidth + gap) + gap;
  const height = Math.ceil(count / columns) * (imageHeight + gap) + gap;
  return { columns, gap, width, height };
}

/**
 * One picture of many: ceil(sqrt(count)) columns on mid-grey; a single image has no border.
 *
 * @param {Uint8Array} pixels [count, C, H, W]
 * @param {number} count
 * @param {readonly any[]} shape [C, H, W]
 * @returns {{width: number, height: number, channels: number, data: Uint8Array}} data is [H, W, C]
 */
export function grid(pixels, count, shape) {
  const [channels, imageHeight, imageWidth] = shape;
  const { columns, gap, width, height } = gridSize(count, shape);
  const data = new Uint8Array(height * width * channels).fill(GREY);
  let from = 0;
  for (let image = 0; image < count; image++) {
    const top = gap + Math.floor(image / columns) * (imageHeight + gap);
    const left = gap + (image % columns) * (imageWidth + gap);
    for (let channel = 0; channel < channels; channel++) {
      for (let y = top; y < top + imageHeight; y++) {
        for (let x = left; x < left + imageWidth; x++) {
          data[(y * width + x) * channels + channel] = pixels[from++];
        }
      }
    }
  }
  return { width, height, channels, data };
}
