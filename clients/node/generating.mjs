// New images of a sampler: their size, and as many in a run as memory has room for. Free of Node and
// of browsers.

import { shapeAt, solve } from "./axes.mjs";
import { UsageError, oneLine } from "./errors.mjs";
import { product, rowsAtOnce } from "./tiles.mjs";
import { NEEDS } from "./verbs.mjs";

/** @typedef {import("./variant.mjs").Variant} Variant */

const AT_ONCE = 64; // images of a run, where these are small

/**
 * The sizes of images that follow axes, such as height and width; none where images have one size.
 *
 * @param {Variant} variant of the part `sampler`
 * @returns {{at: number, name: string, place: import("./axes.mjs").ScaledAxis}[]} `at`: where it is in
 *   [C, H, W]; `name`: as the manifest has it
 */
export function sizedPlaces(variant) {
  const { shape, places } = NEEDS.sampler.image(variant);
  return places.flatMap((place, at) =>
    at < 2 || typeof place === "number" ? [] : [{ at: at - 1, name: String(shape[at]), place }],
  );
}

/**
 * The size of each axis of a sampler where its images have a size.
 *
 * @param {Variant} variant of the part `sampler`
 * @param {readonly number[]} [size] a number for each of `sizedPlaces`, such as [height, width]; if it
 *   is left out, that of the golden vectors
 * @returns {Map<string, number>}
 * @throws {UsageError} the images cannot have this size
 */
function imageSizes(variant, size) {
  const { inputs, axes, golden } = variant;
  const stored = solve(inputs, Object.fromEntries(golden[0].inputs), axes);
  if (size === undefined) return stored;
  const sized = sizedPlaces(variant);
  const names = sized.map(({ name }) => name);
  const expect = (good, expected) => {
    if (!good) throw new UsageError(`size: expected ${expected}`);
  };
  expect(names.length, "none, the images of this bundle have one size");
  const got = `got ${size.join("x")}`;
  const numbers = `${names.length} number${names.length > 1 ? "s" : ""}`;
  expect(size.length === names.length, `${numbers}, ${names.join(" and ")}, ${got}`);
  expect(size.every(Number.isSafeInteger), `whole numbers, ${got}`);
  const wanted = { name: "size", places: sized.map(({ place }) => place), shape: names };
  try {
    return new Map([...stored, ...solve([wanted], { size: { shape: size } }, axes)]);
  } catch (error) {
    throw new UsageError(error.message);
  }
}

/**
 * The shape of an image of a sampler.
 *
 * @param {Variant} variant
 * @param {readonly number[]} [size] see `imageSizes`
 * @returns {number[]} [C, H, W]
 * @throws {UsageError} the images cannot have this size
 */
export function imageShapeAt(variant, size) {
  return shapeAt(NEEDS.sampler.image(variant).places, imageSizes(variant, size)).slice(1);
}

/**
 * New images.
 *
 * @param {import("./part.mjs").Part} part a sampler
 * @param {object} wanted
 * @param {bigint} wanted.seed
 * @param {number} wanted.count
 * @param {number} wanted.first number of the first image
 * @param {bigint} [wanted.label] of all images, where the sampler takes one
 * @param {readonly number[]} [wanted.size] see `imageSizes`
 * @returns {Promise<Uint8Array>} [count, C, H, W]
 * @throws {UsageError} the images cannot have this size, or do not fit into memory
 */
export async function generated(part, { seed, count, first, label = 0n, size }) {
  const { variant, batch } = part;
  const sizes = imageSizes(variant, size);
  const shape = imageShapeAt(variant, size);
  const images = room(count, shape);
  const canvas = variant.inputs.find(({ kind }) => kind === "canvas");
  const step = batch ?? Math.min(AT_ONCE, rowsAtOnce(variant, sizes));
  for (let start = 0; start < count; start += step) {
    const rows = Math.min(step, count - start);
    const given = {
      seed: BigInt64Array.of(seed),
      index: BigInt64Array.from({ length: rows }, (_, row) => BigInt(first + start + row)),
      label: new BigInt64Array(rows).fill(label),
      canvas: canvas && blank(rows, shapeAt(canvas.places, sizes).slice(1)),
    };
    const { image } = await part.run(
      Object.fromEntries(variant.inputs.map(({ name, kind }) => [name, given[kind]])),
    );
    images.set(image, start * product(shape));
  }
  return images;
}

/** A canvas, whose size alone is used. */
function blank(rows, size) {
  return { dtype: "uint8", shape: [rows, ...size], data: room(rows, size) };
}

function room(count, shape) {
  try {
    return new Uint8Array(count * product(shape));
  } catch (error) {
    throw new UsageError(
      `count: ${count} images of [${shape.join(", ")}] do not fit into memory: ${oneLine(error)}`,
    );
  }
}
