// A picture through a denoiser: pixels to what the graph takes, padded, in tiles, and back. Free of
// Node and of browsers.

import { requireNumbers, requirePixels } from "./checks.mjs";
import { BundleError } from "./errors.mjs";
import { padded, paddedSize } from "./padding.mjs";
import { fromPixels, toPixels } from "./pixels.mjs";
import { outputBlock, taken } from "./tiles.mjs";

/**
 * A tile of a picture that is done: its pixels, [C, height, width], and how many are done of how many.
 *
 * @typedef {{top: number, left: number, height: number, width: number, pixels: Uint8Array,
 *   done: number, total: number}} PictureTile
 * @typedef {{onTile?: (tile: PictureTile) => unknown, signal?: AbortSignal, whole?: number}} Options
 *   as those of `Part.run`
 */

/**
 * The shape of a picture.
 *
 * @param {readonly (number | string)[]} declared [C, H, W]; texts for H and W of any size
 * @param {readonly any[]} [size] [H, W]; needed where they are texts
 * @returns {number[]}
 * @throws {BundleError} it cannot have this size
 */
export function pictureShape([channels, ...declared], size = declared) {
  const good = size.length === 2 && size.every((length) => Number.isSafeInteger(length));
  const fits = declared.every(
    (length, axis) => typeof length !== "number" || length === size[axis],
  );
  if (good && fits && typeof channels === "number") return [channels, ...size];
  const got = size === declared ? "none" : `[${size.join(", ")}]`;
  throw new BundleError(
    `denoise: expected the size of the pixels, [${declared.join(", ")}], got ${got}`,
  );
}

/**
 * A picture without its noise.
 *
 * @param {import("./part.mjs").Part} part a denoiser
 * @param {Uint8Array} pixels
 * @param {readonly number[]} shape [C, H, W] of the pixels
 * @param {Options} options
 * @returns {Promise<Uint8Array>} of the same shape
 * @throws {BundleError} the pixels are not such, the size is none that the part takes, or it gives NaN
 */
export async function denoised(part, pixels, shape, { onTile, ...options }) {
  requirePixels(pixels, shape);
  const { variant } = part;
  const [[input], [output]] = [variant.inputs, variant.outputs];
  const larger = paddedSize(variant, shape.slice(1));
  const whole = padded(pixels, shape, larger);
  const data = input.dtype === "uint8" ? whole : fromPixels(whole, input.range);
  const x = { dtype: input.dtype, shape: [1, shape[0], ...larger], data };
  const advanced = async ({ tile, outputs, done, total }) => {
    const found = outputs[output.name];
    const all = outputBlock(output.places, tile, found.shape);
    if (output.dtype !== "uint8") requireNumbers("denoiser", taken(found, all).data);
    if (!onTile) return;
    const block = cropped(all, shape);
    const [[, , top, left], [, , height, width]] = [block.at, block.size];
    await onTile({ top, left, height, width, pixels: pixelsIn(found, block), done, total });
  };
  const pixelsIn = (found, block) => {
    const values = taken(found, block).data;
    return output.dtype === "uint8" ? values : toPixels(values, output.range);
  };
  const outputs = await part.runShaped({ [input.name]: x }, { ...options, onTile: advanced });
  return pixelsIn(outputs[output.name], { at: [0, 0, 0, 0], size: [1, ...shape] });
}

/** What of a block is not padding. */
function cropped({ at, size }, shape) {
  const ends = [1, ...shape];
  const kept = size.map((length, axis) => Math.min(length, ends[axis] - at[axis]));
  return { at, size: kept.map((length) => Math.max(0, length)) };
}
