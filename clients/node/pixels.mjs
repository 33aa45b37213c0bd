// Pixels and float images, and many images as one. Free of Node and of browsers.

const GAP = 2; // pixels between the images of a grid
const GREY = 128;

/**
 * Float images as pixels: clipped to [0, 1], times 255, to the nearest, ties to even.
 *
 * @param {Float32Array} images
 * @returns {Uint8Array} as many
 */
export function toPixels(images) {
  // A clamped array clips and rounds just so; the product is rounded to float32 first, as in graphs.
  const clamped = Uint8ClampedArray.from(images, (value) => Math.fround(value * 255));
  return new Uint8Array(clamped.buffer);
}

/**
 * Pixels as float images in [0, 1].
 *
 * @param {Uint8Array} pixels
 * @returns {Float32Array} as many
 */
export function fromPixels(pixels) {
  return Float32Array.from(pixels, (value) => value / 255);
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
    const [r, g, b, a] = rgba.subarray(pixel * 4, pixel * 4 + 4);
    const grey = (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;
    const values = channels < 3 ? [grey, a] : [r, g, b, a];
    for (let channel = 0; channel < channels; channel++) {
      image[channel * size + pixel] = values[channel];
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
 * One picture of many: ceil(sqrt(count)) columns on mid-grey; a single image has no border.
 *
 * @param {Uint8Array} pixels [count, C, H, W]
 * @param {number} count
 * @param {readonly [number, number, number]} shape [C, H, W]
 * @returns {{width: number, height: number, channels: number, data: Uint8Array}} data is [H, W, C]
 */
export function grid(pixels, count, [channels, imageHeight, imageWidth]) {
  const columns = Math.ceil(Math.sqrt(count));
  const gap = count === 1 ? 0 : GAP;
  const width = columns * (imageWidth + gap) + gap;
  const height = Math.ceil(count / columns) * (imageHeight + gap) + gap;
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
