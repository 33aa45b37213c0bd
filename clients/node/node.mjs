// What Node adds to a bundle: files, onnxruntime-node and PNG pictures.

import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { BundleError, EnvironmentError, fromRgba, oneLine, openBundle } from "./bundle.mjs";

// Official builds send usage data unless this is set before the library is loaded.
process.env.ORT_DISABLE_TELEMETRY ??= "1";

const COLOUR_TYPES = [undefined, 0, 4, 2, 6]; // of PNG, by number of channels

/**
 * Open the bundle in a folder.
 *
 * @param {string} folder
 * @returns {Promise<import("./bundle.mjs").Bundle>}
 * @throws {BundleError} there is none, or its manifest is damaged or of a newer format
 * @throws {EnvironmentError} onnxruntime-node is not installed or cannot be loaded
 */
export async function openFolder(folder) {
  const ort = await load("onnxruntime-node");
  ort.env.logLevel = "fatal"; // what goes wrong is thrown, and need not be printed too
  const where = folder.replace(/(?<=.)[/\\]+$/, "");
  return openBundle({ ort, read: readerOf(folder), where, version: ort.env.versions.node });
}

/**
 * What reads the files of a folder, as `openBundle` wants it.
 *
 * @param {string} folder
 * @returns {(name: string) => Promise<Uint8Array>}
 */
export function readerOf(folder) {
  return async (name) => {
    try {
      return await readFile(join(folder, name));
    } catch (error) {
      throw Object.assign(error, { missing: ["ENOENT", "ENOTDIR"].includes(error.code) });
    }
  };
}

/**
 * The image in a PNG file.
 *
 * @param {string} path
 * @param {readonly [number, number, number]} shape [C, H, W]; colours are made C channels
 * @returns {Promise<Uint8Array>} [C, H, W]
 * @throws {BundleError} it is missing, is not a picture, or has another size
 */
export async function readPicture(path, [channels, height, width]) {
  requireChannels(channels);
  const { PNG } = await load("pngjs");
  const bytes = await readFile(path).catch((error) => {
    if (error.code === "ENOENT") throw new BundleError(`${path} does not exist`);
    throw new BundleError(`cannot read ${path}: ${oneLine(error)}`);
  });
  try {
    requireSize(path, bytes, width, height);
    const picture = PNG.sync.read(bytes);
    if (picture.depth > 8) throw new Error("it has 16 bits per value, expected 8");
    return fromRgba(withKeyColour(picture), channels);
  } catch (error) {
    if (error instanceof BundleError) throw error;
    throw new BundleError(`${path} is not a readable PNG image: ${oneLine(error)}`);
  }
}

/**
 * Write a picture as PNG, whole or not at all.
 *
 * @param {string} path
 * @param {{width: number, height: number, channels: number, data: Uint8Array}} picture [H, W, C]
 * @throws {BundleError} it cannot be written
 */
export async function writePicture(path, { channels, data, ...size }) {
  requireChannels(channels);
  const { PNG } = await load("pngjs");
  const colours = { colorType: COLOUR_TYPES[channels], inputColorType: COLOUR_TYPES[channels] };
  const bytes = PNG.sync.write({ ...size, data: Buffer.from(data), gamma: 0 }, colours);
  const beside = `${path}.${process.pid}.part`;
  try {
    await writeFile(beside, bytes);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw new BundleError(`cannot write ${path}: ${oneLine(error)}`);
  }
}

// Before it is unpacked, so that a picture of another size takes no memory.
function requireSize(path, bytes, width, height) {
  if (bytes.toString("latin1", 1, 4) !== "PNG") throw new Error("it does not start as one");
  const [gotWidth, gotHeight] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  if (gotWidth === width && gotHeight === height) return;
  throw new BundleError(
    `${path}: expected ${width}x${height} pixels, got ${gotWidth}x${gotHeight}: resize it first`,
  );
}

// pngjs blackens the colour that stands for transparency in a picture without alpha.
function withKeyColour({ data, transColor, depth }) {
  if (!transColor) return data;
  const key = transColor.map((value) => Math.round((value * 255) / (2 ** depth - 1)));
  const colour = key.length === 1 ? [key[0], key[0], key[0]] : key;
  for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 0) data.set(colour, at);
  return data;
}

function requireChannels(channels) {
  if (COLOUR_TYPES[channels] !== undefined) return;
  throw new BundleError(`a PNG picture has 1 to 4 channels, the images of this bundle ${channels}`);
}

async function load(name) {
  try {
    return (await import(name)).default;
  } catch (error) {
    throw new EnvironmentError(
      `${name} cannot be loaded: ${oneLine(error)}. ` +
        `Beside the program, run: npm install --ignore-scripts`,
    );
  }
}
