// The noise that a denoiser was trained with: the same formulas, other random numbers.

import { fromPixels, toPixels } from "./bundle.mjs";

/**
 * By the name in the manifest: the name to show, and the formula for x in [0, 1].
 *
 * @typedef {{normal: number, uniform: number}} Draw
 * @type {Record<string, [string, (x: number, level: number, draw: Draw) => number]>}
 */
export const KINDS = {
  gaussian: ["Gaussian", (x, level, { normal }) => x + level * normal],
  masking: ["Masking", (x, level, { uniform }) => (uniform < level ? 0 : x)],
  "salt-pepper": [
    "Salt and pepper",
    (x, level, { uniform }) => (uniform < level ? Number(uniform < level / 2) : x),
  ],
};

/** Random numbers for `size` pixels; the same for the same seed, so that noise can stand still. */
export function drawNoise(seed, size) {
  const uniform = uniforms(seed);
  return Array.from({ length: size }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform())); // Box and Muller
    return { normal: radius * Math.cos(2 * Math.PI * uniform()), uniform: uniform() };
  });
}

/**
 * Pixels with noise.
 *
 * @param {Uint8Array} pixels
 * @param {string} kind a key of KINDS
 * @param {number} level standard deviation, or share of the pixels
 * @param {ReturnType<typeof drawNoise>} noise a draw per pixel
 * @returns {Uint8Array} clipped to 0 to 255
 */
export function corrupt(pixels, kind, level, noise) {
  const [, formula] = KINDS[kind];
  return toPixels(fromPixels(pixels).map((x, pixel) => formula(x, level, noise[pixel])));
}

/** Numbers in [0, 1): a counter through MurmurHash3's finalizer. */
function uniforms(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let bits = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
  };
}
