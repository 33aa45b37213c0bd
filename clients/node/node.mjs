// What Node adds to a bundle: files, onnxruntime-node, and pictures.

import { openBundle } from "./bundle.mjs";
import { readRegular, requireWritable } from "./files.mjs";
import { load } from "./packages.mjs";
import { readPicture, writePicture } from "./picture.mjs";

export { readPicture, requireWritable, writePicture };

// Official builds send usage data unless this is set before the library is loaded.
process.env.ORT_DISABLE_TELEMETRY ??= "1";

/**
 * Open the bundle in a folder.
 *
 * @param {string} folder
 * @returns {Promise<import("./bundle.mjs").Bundle>}
 * @throws {BundleError} there is none, or its manifest is damaged or of a newer format
 * @throws {EnvironmentError} onnxruntime-node is not installed or cannot be loaded
 */
export async function openFolder(folder) {
  const ort = load("onnxruntime-node");
  ort.env.logLevel = "fatal"; // what goes wrong is thrown, and need not be printed too
  const where = withoutSlash(folder);
  return openBundle({ ort, read: readerOf(where), where, version: String(ort.env.versions.node) });
}

/**
 * What reads the files of a folder, as `openBundle` wants it.
 *
 * @param {string} folder
 * @returns {(name: string, most: number) => Promise<Uint8Array>}
 */
export function readerOf(folder) {
  const where = withoutSlash(folder);
  return async (name, most) => {
    try {
      return await readRegular(`${where}/${name}`, most);
    } catch (error) {
      throw Object.assign(error, { missing: ["ENOENT", "ENOTDIR"].includes(error.code) });
    }
  };
}

function withoutSlash(folder) {
  return folder.replace(/(?<=.)[/\\]+$/, "");
}
