// A run in tiles or in batches of rows, whose outputs are put together. Free of Node and of browsers.

import { shapeAt } from "./axes.mjs";
import { BundleError, oneLine } from "./errors.mjs";
import * as tiles from "./tiles.mjs";

/**
 * @typedef {import("./inputs.mjs").Tensor} Tensor
 * @typedef {import("./axes.mjs").Sizes} Sizes
 * @typedef {import("./tiles.mjs").Tile} Tile
 * @typedef {Record<string, {data: any, shape: number[]}>} Outputs by name
 */

/**
 * Run a part tile by tile into the whole, which is made once the first tile has shown its type.
 *
 * @param {import("./variant.mjs").Variant} variant
 * @param {Record<string, Tensor>} tensors the inputs of the whole
 * @param {Sizes} sizes of its axes
 * @param {import("./tiles.mjs").Counted<Tile>} cuts
 * @param {(tensors: Record<string, Tensor>, sizes: Sizes) => Promise<Outputs>} run
 * @param {(tile: Tile, outputs: Outputs) => Promise<void>} advanced called after each tile, with the
 *   outputs so far
 * @returns {Promise<Outputs>}
 */
export async function runTiled(variant, tensors, sizes, cuts, run, advanced) {
  if (cuts.length === 1) {
    const found = await run(tensors, sizes);
    await advanced(cuts.at(0), found);
    return found;
  }
  /** @type {Outputs} */
  const outputs = {};
  for (const tile of cuts) {
    const found = await run(cut(variant, tensors, tile), tiles.sizesIn(tile, sizes));
    for (const { name, places } of variant.outputs) {
      const shape = shapeAt(places, sizes);
      outputs[name] ??= { data: room(found[name].data, shape, name), shape };
      const inner = tiles.innerBlock(places, tile, found[name].shape);
      const { at } = tiles.outputBlock(places, tile, shape);
      tiles.copyBlock(found[name], inner, outputs[name], at);
    }
    await advanced(tile, outputs);
  }
  return outputs;
}

function cut({ inputs }, tensors, tile) {
  return Object.fromEntries(
    inputs.map(({ name, places }) => {
      const { dtype, shape, data } = tensors[name];
      const block = tiles.inputBlock(places, tile, shape);
      return [name, { dtype, ...tiles.taken({ data, shape }, block) }];
    }),
  );
}

/**
 * Put a batch of rows into outputs of all; the last batch may have more rows than are wanted.
 *
 * @param {Outputs} outputs changed
 * @param {Outputs} found of the batch
 * @param {number} start its first row
 * @param {number} rows of all
 */
export function addRows(outputs, found, start, rows) {
  for (const [name, { data, shape }] of Object.entries(found)) {
    const [count, ...rest] = shape;
    const whole = [rows, ...rest];
    if (count === rows) {
      outputs[name] = { data, shape };
      continue;
    }
    outputs[name] ??= { data: room(data, whole, name), shape: whole };
    const width = tiles.product(rest);
    const wanted = Math.min(count, rows - start) * width;
    outputs[name].data.set(data.subarray(0, wanted), start * width);
  }
}

/** Room for values like some, in another shape. */
function room(like, shape, name) {
  try {
    return new like.constructor(tiles.product(shape));
  } catch (error) {
    const sizes = `[${shape.join(", ")}]`;
    throw new BundleError(`${name} ${sizes} does not fit into memory: ${oneLine(error)}`);
  }
}
