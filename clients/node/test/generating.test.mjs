// Samplers of images of any size, and how many images run at once.

import assert from "node:assert/strict";
import { test } from "node:test";

import { axis, manifest, opened, tensor, variant } from "./made.mjs";

const SEED = tensor("seed", "int64", [1], null);
const INDEX = tensor("index", "int64", ["batch"], null);
const LABEL = tensor("label", "int64", ["batch"], [0, 4]);
const SIZES = ["height", "2*width"];
const AXES = {
  height: axis({ multiple: 4, min: 8, max: 512, margin: null }),
  width: axis({ multiple: 2, min: 4, margin: null }),
};

/** A sampler of images of two channels; `runs` gets what its graph is given. */
async function sampler({ sizes = SIZES, axes = AXES, rows = "batch", label = false } = {}) {
  const runs = [];
  const give = ({ dtype }, count, feeds) => {
    runs.push(feeds);
    const [, ...shape] = feeds.canvas.dims;
    const values = Array.from(feeds.index.data, (index) => Number(index % 251n));
    const width = 2 * shape[0] * shape[1];
    const data = Uint8Array.from(
      { length: count * width },
      (_, at) => values[Math.floor(at / width)],
    );
    return { dtype, shape: [count, 2, ...shape], data };
  };
  const made = variant({
    inputs: [
      ...[SEED, { ...INDEX, shape: [rows] }],
      tensor("canvas", "uint8", [rows, ...sizes], [0, 255]),
      ...(label ? [LABEL] : []),
    ],
    outputs: [tensor("image", "uint8", [rows, 2, ...sizes], [0, 255])],
    axes,
  });
  return { bundle: await opened(manifest({ sampler: made }), { give }), runs };
}

test("images have the size of the golden vectors, or that which is wanted", async () => {
  const { bundle, runs } = await sampler({ label: true });
  assert.deepEqual(bundle.imageShape("sampler"), [2, "height", "2*width"]);
  assert.deepEqual(bundle.generatedShape(), [2, 8, 16]);
  assert.deepEqual(bundle.generatedShape([64, 48]), [2, 64, 48]);
  const stored = await bundle.generate(7, 3, 5, { label: 4 });
  assert.equal(stored.length, 3 * 2 * 8 * 16);
  const images = await bundle.generate(7, 3, 5, { label: 4, size: [64, 48] });
  assert.deepEqual(
    [5, 6, 7],
    [0, 1, 2].map((image) => images[(image + 1) * 2 * 64 * 48 - 1]),
  );
  assert.equal(images.length, 3 * 2 * 64 * 48);
  const [first, last] = runs;
  assert.deepEqual(
    [first.canvas.dims, last.canvas.dims],
    [
      [3, 8, 16],
      [3, 64, 48],
    ],
  );
  assert.equal(last.canvas.type, "uint8");
  assert.deepEqual([...last.label.data], [4n, 4n, 4n]);
});

test("one axis may have a size of its own", async () => {
  const { bundle } = await sampler({ sizes: [6, "2*width"], axes: { width: AXES.width } });
  assert.deepEqual(bundle.generatedShape([20]), [2, 6, 20]);
  assert.throws(() => bundle.generatedShape([20, 20]), {
    message: "size: expected 1 number, 2*width, got 20x20",
    exitCode: 2,
  });
});

const WRONG = [
  ["expected 2 numbers, height and 2*width, got 64x48x3", [64, 48, 3]],
  ["expected 2 numbers, height and 2*width, got ", []],
  ["expected whole numbers, got 64x48.5", [64, 48.5]],
  ["expected whole numbers, got NaNx48", [NaN, 48]],
  ["expected whole numbers, got 9007199254740992x48", [2 ** 53, 48]],
  ["height: expected a multiple of 4 from 8 to 512, got 30: the nearest is 32", [30, 48]],
  ["height: expected a multiple of 4 from 8 to 512, got 0: the nearest is 8", [0, 48]],
  ["height: expected a multiple of 4 from 8 to 512, got -8: the nearest is 8", [-8, 48]],
  ["height: expected a multiple of 4 from 8 to 512, got 516: the nearest is 512", [516, 48]],
  ["width: expected a multiple of 2 of at least 4, got 3: the nearest is 4", [8, 6]],
  ["expected a multiple of 2 for 2*width, got 7", [8, 7]],
];

for (const [reason, size] of WRONG) {
  test(`size: ${reason}`, async () => {
    const { bundle, runs } = await sampler();
    const refused = bundle.generate(0, 1, 0, { size: /** @type {number[]} */ (size) });
    await assert.rejects(refused, { message: `size: ${reason}`, exitCode: 2 });
    assert.equal(runs.length, 0);
  });
}

test("an axis has one size", async () => {
  const { bundle } = await sampler({ sizes: ["side", "side"], axes: { side: axis() } });
  assert.deepEqual(bundle.generatedShape([9, 9]), [2, 9, 9]);
  assert.throws(() => bundle.generatedShape([9, 8]), {
    message: "side: expected one size in all inputs, got 9 in size and 8 in size",
    exitCode: 2,
  });
});

for (const [name, inputs] of Object.entries({
  "without a canvas": [SEED, INDEX],
  "with a canvas": [SEED, INDEX, tensor("canvas", "uint8", ["batch", 2, 3], [0, 255])],
})) {
  test(`images of one size, ${name}, take no other`, async () => {
    const outputs = [tensor("image", "uint8", ["batch", 1, 2, 3], [0, 255])];
    const bundle = await opened(manifest({ sampler: variant({ inputs, outputs }) }));
    assert.deepEqual(bundle.generatedShape(), [1, 2, 3]);
    assert.equal((await bundle.generate(0, 2)).length, 2 * 6);
    await assert.rejects(bundle.generate(0, 1, 0, { size: [2, 3] }), {
      message: "size: expected none, the images of this bundle have one size",
      exitCode: 2,
    });
  });
}

test("images that do not fit into memory are refused", async () => {
  const { bundle, runs } = await sampler();
  for (const width of [2 ** 46, 4e6 * 2 ** 20]) {
    await assert.rejects(bundle.generate(0, 1, 0, { size: [512, width] }), {
      message: new RegExp(`^count: 1 images of \\[2, 512, ${width}\\] do not fit into memory: `),
      exitCode: 2,
    });
  }
  assert.equal(runs.length, 0);
});

const AT_ONCE = [
  // size, rows of the graph, images, rows of each run
  [[8, 16], "batch", 130, [64, 64, 2]],
  [[512, 512], "batch", 9, [8, 1]], // 2^19 values in an image
  [[512, 8192], "batch", 2, [1, 1]],
  [[8, 16], 3, 7, [3, 3, 3]],
  [[512, 8192], 3, 4, [3, 3]],
];

for (const [size, rows, count, expected] of AT_ONCE) {
  test(`${count} images of ${size}, ${rows} rows, run ${expected} at once`, async () => {
    const { bundle, runs } = await sampler({ rows: /** @type {any} */ (rows) });
    const images = await bundle.generate(0, Number(count), 0, { size: /** @type {any} */ (size) });
    assert.deepEqual(
      runs.map(({ canvas }) => canvas.dims[0]),
      expected,
    );
    const width = images.length / Number(count);
    const numbers = Array.from({ length: Number(count) }, (_, image) => images[image * width]);
    assert.deepEqual(numbers, [...numbers.keys()]);
    assert.equal(width, 2 * Number(size[0]) * Number(size[1]));
  });
}
