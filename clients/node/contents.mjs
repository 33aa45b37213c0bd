// The files of a bundle: its manifest, and those that it names, with their digests checked. Free of
// Node and of browsers.

import { BundleError, oneLine } from "./errors.mjs";
import { arrayFor } from "./inputs.mjs";
import { parseManifest } from "./manifest.mjs";
import { product } from "./tiles.mjs";

/**
 * @typedef {{read: (name: string, most: number) => Promise<Uint8Array>, where: string}} Source as
 *   `openBundle` has them
 * @typedef {import("./inputs.mjs").Tensor} Tensor
 */

const LARGEST_MANIFEST = 2 ** 24; // bytes

/**
 * @param {Source} source
 * @returns {Promise<import("./manifest.mjs").Manifest>}
 * @throws {BundleError} there is none, or it is damaged or of a newer format
 */
export async function readManifest({ read, where }) {
  let text;
  try {
    text = await read("manifest.json", LARGEST_MANIFEST);
  } catch (error) {
    if (error instanceof BundleError) throw error;
    if (!error.missing) throw new BundleError(`${where}/manifest.json: ${oneLine(error)}`);
    throw new BundleError(
      `no bundle at ${where}: it has no manifest.json. ` +
        `Make one with: aeonnx export --model MODEL -o ${where}`,
    );
  }
  return parseManifest(text, `${where}/manifest.json`);
}

/**
 * Stored arrays, by name.
 *
 * @param {Source} source
 * @param {ReadonlyMap<string, import("./tensors.mjs").Stored>} stored
 * @returns {Promise<Record<string, Tensor>>}
 * @throws {BundleError} a file is missing or is not the one that the manifest names
 */
export async function readArrays(source, stored) {
  const arrays = {};
  for (const [name, { file, sha256, dtype, shape }] of stored) {
    const Values = arrayFor(dtype);
    const size = product(shape) * Values.BYTES_PER_ELEMENT;
    const bytes = await readFile(source, file, sha256, size);
    // Stored little-endian, as every machine is that the engine runs on; a copy is aligned.
    arrays[name] = { dtype, shape, data: new Values(new Uint8Array(bytes).buffer) };
  }
  return arrays;
}

/**
 * The bytes of a file.
 *
 * @param {Source} source
 * @param {string} file path inside the bundle
 * @param {string} sha256
 * @param {number} size in bytes
 * @returns {Promise<Uint8Array>}
 * @throws {BundleError} it is missing or is not the one that the manifest names
 */
export async function readFile(source, file, sha256, size) {
  const path = `${source.where}/${file}`;
  const bytes = await readSome(source, path, file, size);
  if (bytes.length !== size) throw another(path, `${size} bytes`, bytes.length);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex === sha256) return bytes;
  throw another(path, `sha256 ${sha256}`, hex);
}

async function readSome({ read }, path, file, size) {
  try {
    return await read(file, size);
  } catch (error) {
    if (error.size !== undefined) throw another(path, `${size} bytes`, error.size);
    if (error instanceof BundleError) throw error;
    if (!error.missing) throw new BundleError(`${path}: ${oneLine(error)}`);
    throw new BundleError(
      `${path} is missing, though the manifest names it: export the bundle again`,
    );
  }
}

function another(path, expected, got) {
  return new BundleError(
    `${path} is not the file that the manifest names: ` +
      `expected ${expected}, got ${got}. Export the bundle again.`,
  );
}
