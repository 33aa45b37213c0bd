// Pictures in files: PNG, JPEG and BMP in, PNG out.

import { BundleError, EnvironmentError, fromRgba, isOpaque, oneLine } from "./bundle.mjs";
import { isBmp, openBmp } from "./bmp.mjs";
import { oriented } from "./exif.mjs";
import { readNamed, writeWhole } from "./files.mjs";
import { isJpeg, openJpeg } from "./jpeg.mjs";
import { isPng, openPng, packPng } from "./png.mjs";

/**
 * A picture before it is decoded.
 *
 * @typedef {object} Picture
 * @property {number} width as stored
 * @property {number} height as stored
 * @property {number} orientation as in EXIF, 1 to 8
 * @property {number} pictures in the file
 * @property {boolean} [cmyk]
 * @property {() => Uint8Array} decode gives RGBA, [H, W, 4]; it throws what is wrong
 */

const LARGEST = 2 ** 30; // bytes
const MOST_PIXELS = 178_956_970; // as Python reads

/**
 * The image in a PNG, JPEG or BMP file.
 *
 * @param {string} path
 * @param {readonly (number | string)[]} shape [C, H, W]; colours are made C channels; H and W that are
 *   names of axes are any
 * @returns {Promise<{pixels: Uint8Array, height: number, width: number}>} [C, H, W]
 * @throws {BundleError} it is missing, is not a picture, has another size, or more than the model
 *   takes: transparent pixels, several pictures, CMYK
 */
export async function readPicture(path, [any, height, width]) {
  const channels = Number(any);
  requireChannels(channels);
  const bytes = await readNamed(path, LARGEST);
  const picture = readable(path, () => opened(bytes));
  requireOne(path, picture);
  const size = requireSize(path, picture, width, height);
  const stored = readable(path, picture.decode);
  const rgba = oriented(stored, picture.width, picture.height, picture.orientation);
  if (channels % 2 && !isOpaque(rgba)) {
    throw new BundleError(
      `${path} has transparent pixels, and the model takes none: flatten it first`,
    );
  }
  return { pixels: fromRgba(rgba, channels), ...size };
}

/**
 * Write a picture as PNG, whole or not at all.
 *
 * @param {string} path
 * @param {{width: number, height: number, channels: number, data: Uint8Array}} picture [H, W, C]
 * @param {{force?: boolean}} options `force`: replace a file that is there
 * @throws {BundleError} it exists already, or cannot be written
 */
export async function writePicture(path, picture, { force = false } = {}) {
  requireChannels(picture.channels);
  await writeWhole(path, packPng(picture), force);
}

/** @returns {Picture} */
function opened(bytes) {
  if (isPng(bytes)) return openPng(bytes);
  if (isJpeg(bytes)) return openJpeg(bytes);
  if (isBmp(bytes)) return openBmp(bytes);
  throw new Error(bytes.length ? "it starts as none of them" : "it is empty");
}

function readable(path, act) {
  try {
    return act();
  } catch (error) {
    if (error instanceof EnvironmentError) throw error;
    const reason = oneLine(error);
    throw new BundleError(`${path} is not a readable PNG, JPEG or BMP image: ${reason}`);
  }
}

function requireOne(path, { pictures, cmyk }) {
  if (pictures > 1) throw new BundleError(`${path} holds ${pictures} pictures: expected one`);
  if (!cmyk) return;
  throw new BundleError(
    `${path} is in CMYK, whose colours depend on its profile: convert it to RGB first`,
  );
}

// Before it is decoded, so that a picture of another size takes no memory.
function requireSize(path, picture, width, height) {
  const stored = [picture.width, picture.height];
  const [gotWidth, gotHeight] = picture.orientation > 4 ? stored.reverse() : stored;
  const got = `got ${gotWidth}x${gotHeight}`;
  const fits = (wanted, given) => typeof wanted !== "number" || wanted === given;
  if (!fits(width, gotWidth) || !fits(height, gotHeight)) {
    throw new BundleError(`${path}: expected ${width}x${height} pixels, ${got}: resize it first`);
  }
  if (gotWidth * gotHeight > MOST_PIXELS) {
    throw new BundleError(
      `${path}: expected at most ${MOST_PIXELS} pixels, ${got}: make it smaller`,
    );
  }
  return { height: gotHeight, width: gotWidth };
}

function requireChannels(channels) {
  if (channels <= 4) return; // an axis is no number of channels
  throw new BundleError(`a picture has 1 to 4 channels, the images of this bundle ${channels}`);
}
