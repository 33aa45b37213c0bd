// Grey pixels <-> canvases, and how long a frame takes.

import { BundleError, fromRgba, isOpaque } from "./bundle.mjs";
import { readFile } from "./engine.mjs";

const LARGEST = 2 ** 24; // bytes of a picture

/** Height and width of a bundle's images, which this page draws in grey alone. */
export function greySize(bundle) {
  const [channels, height, width] = bundle.manifest.input_shape;
  if (channels === 1) return [height, width];
  throw new BundleError(
    `this page draws grey images, those of ${bundle.where} have ${channels} channels`,
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
 * The grey images in a picture that has them one below the other: uint8, each [H, W]. The browser
 * decodes it and turns it as its EXIF says; colour profiles are left out, as in every client.
 *
 * @throws {BundleError} it is no picture, has another width, or transparent pixels
 */
export async function readStrip(address, width, height) {
  const blob = new Blob([await readFile(address, LARGEST)]);
  const image = await createImageBitmap(blob, {
    ...{ colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" },
  }).catch(() => {
    throw new BundleError(`${address} is not a picture that this browser reads`);
  });
  const count = image.height / height;
  if (image.width !== width || !Number.isInteger(count)) {
    const got = `${image.width}x${image.height}`;
    throw new BundleError(`${address}: expected pictures of ${width}x${height}, got ${got}`);
  }
  const rgba = pixelsOf(image);
  if (!isOpaque(rgba)) {
    throw new BundleError(
      `${address} has transparent pixels, and the model takes none: flatten it first`,
    );
  }
  const grey = fromRgba(rgba, 1);
  const size = width * height;
  return Array.from({ length: count }, (_, number) =>
    grey.slice(number * size, (number + 1) * size),
  );
}

function pixelsOf(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height).data;
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
