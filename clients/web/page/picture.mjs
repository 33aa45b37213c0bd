// Pixels <-> canvases, and how long a frame takes.

import { BundleError, fromRgba, isOpaque } from "./bundle.mjs";
import { readFile } from "./engine.mjs";

const LARGEST = 2 ** 24; // bytes of a picture

/**
 * The images of a part, of a size that is known.
 *
 * @param {import("./bundle.mjs").Bundle} bundle
 * @param {"denoiser" | "decoder"} part
 * @param {number[]} shown numbers of channels that a panel shows
 * @returns {number[]} [C, H, W]
 * @throws {BundleError} they have another number of channels, or any size
 */
export function sizedImage(bundle, part, shown) {
  const channels = shownChannels(bundle, part, shown);
  const [, height, width] = bundle.imageShape(part);
  if (typeof height === "number" && typeof width === "number") return [channels, height, width];
  throw new BundleError(
    `this panel shows images of one size, those of ${bundle.where} have any: [${height}, ${width}]`,
  );
}

/** The channels of the images of a part, see `sizedImage`. */
export function shownChannels(bundle, part, shown) {
  const [channels] = bundle.imageShape(part);
  if (shown.includes(channels)) return channels;
  throw new BundleError(
    `this panel shows images of ${shown.join(" or ")} channels, those of ${bundle.where} have ` +
      channels,
  );
}

/** Show uint8 pixels, [H, W] or [H, W, 3], on a canvas, which takes their size. */
export function paint(canvas, pixels, width, height, channels = 1) {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let colour = 0; colour < 3; colour++) {
      data[pixel * 4 + colour] = pixels[pixel * channels + (channels < 3 ? 0 : colour)];
    }
  }
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas
    .getContext("2d", { willReadFrequently: true })
    .putImageData(new ImageData(data, width, height), 0, 0);
}

/**
 * Show a piece of a picture where it belongs.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {{top: number, left: number, height: number, width: number, pixels: Uint8Array}} tile
 *   [C, height, width]
 * @param {number} channels 1 or 3
 */
export function paintTile(canvas, { top, left, height, width, pixels }, channels) {
  const size = height * width;
  if (!size) return; // it is padding alone
  const data = new Uint8ClampedArray(size * 4).fill(255);
  for (let colour = 0; colour < 3; colour++) {
    const from = channels === 3 ? colour * size : 0;
    for (let pixel = 0; pixel < size; pixel++) data[pixel * 4 + colour] = pixels[from + pixel];
  }
  canvas
    .getContext("2d", { willReadFrequently: true })
    .putImageData(new ImageData(data, width, height), left, top);
}

/**
 * The grey images in a picture that has them one below the other: uint8, each [H, W].
 *
 * @throws {BundleError} it is no picture, has another width, or transparent pixels
 */
export async function readStrip(address, width, height) {
  const image = await decoded(new Blob([await readFile(address, LARGEST)]), address);
  const count = image.height / height;
  if (image.width !== width || !Number.isInteger(count)) {
    const got = `${image.width}x${image.height}`;
    throw new BundleError(`${address}: expected pictures of ${width}x${height}, got ${got}`);
  }
  const grey = channelsOf(image, address, 1);
  const size = width * height;
  return Array.from({ length: count }, (_, number) =>
    grey.slice(number * size, (number + 1) * size),
  );
}

/**
 * A picture of any size.
 *
 * @param {Blob} blob
 * @param {string} name for messages
 * @param {number} channels that its colours are made
 * @param {number} most pixels
 * @returns {Promise<{pixels: Uint8Array, height: number, width: number}>} [C, H, W]
 * @throws {BundleError} it is no picture, too large, or has transparent pixels
 */
export async function readPhoto(blob, name, channels, most) {
  const image = await decoded(blob, name);
  const { height, width } = image;
  if (height * width > most) {
    image.close();
    throw new BundleError(
      `${name}: expected at most ${most} pixels, got ${width}x${height}: take the command line, ` +
        "aeonnx denoise",
    );
  }
  return { pixels: channelsOf(image, name, channels), height, width };
}

/**
 * The browser decodes a picture and turns it as its EXIF says; colour profiles are left out, as in
 * every client.
 */
async function decoded(blob, name) {
  try {
    return await createImageBitmap(blob, {
      ...{ colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" },
    });
  } catch {
    throw new BundleError(`${name} is not a picture that this browser reads`);
  }
}

function channelsOf(image, name, channels) {
  const rgba = pixelsOf(image);
  image.close();
  if (isOpaque(rgba)) return fromRgba(rgba, channels);
  throw new BundleError(
    `${name} has transparent pixels, and the model takes none: flatten it first`,
  );
}

function pixelsOf(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height).data;
}

/** A canvas as a PNG to download. */
export async function offer(link, canvas, name) {
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(blob);
  link.download = name;
}

/** A function that runs `frame` and shows the median time of the last ones, in milliseconds. */
export function timed(output, frame) {
  const times = [];
  return async (...values) => {
    const start = performance.now();
    const result = await frame(...values);
    times.push(performance.now() - start);
    if (times.length > 31) times.shift();
    const median = times.toSorted((a, b) => a - b)[times.length >> 1];
    output.textContent = `${median.toFixed(median < 10 ? 1 : 0)} ms per frame`;
    return result;
  };
}

/** Say in a panel why it does not work, in place of what would be there. */
export function refuse(panel, text) {
  panel.classList.add("broken");
  const line = panel.querySelector(".problem");
  line.textContent = text;
  line.hidden = false;
}
