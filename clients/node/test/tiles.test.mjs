import assert from "node:assert/strict";
import { test } from "node:test";

import { fromPixels } from "../bundle.mjs";
import { padded, paddedSize, reflected } from "../padding.mjs";
import { copyBlock, pieces, tilesOf } from "../tiles.mjs";
import { axis, manifest, opened, tensor, variant } from "./made.mjs";

test("tiles cover an axis once, with their margins, in sizes that it may have", () => {
  for (const multiple of [1, 2, 3]) {
    for (const min of [1, 2, 5, 8].map((times) => times * multiple)) {
      for (const margin of [0, 1, 2, 5]) {
        for (const side of [1, 4, 9]) {
          for (let size = min; size <= 60; size += multiple) {
            covered([...pieces({ multiple, min, max: null, margin }, size, side)], {
              multiple,
              min,
              margin,
              size,
            });
          }
        }
      }
    }
  }
});

function covered(found, { multiple, min, margin, size }) {
  let next = 0;
  for (const { start, stop, first, last } of found) {
    assert.equal(start, next);
    assert.ok(stop > start && first >= 0 && last <= size);
    assert.ok(first <= Math.max(0, start - margin) && last >= Math.min(size, stop + margin));
    assert.ok(last - first >= min, `${last - first} of ${min}`);
    for (const place of [start, first, last]) assert.equal(place % multiple, 0);
    next = stop;
  }
  assert.equal(next, size);
}

test("the first tile has as many inputs as the axis may have at least", () => {
  const found = pieces(axis({ min: 8, margin: 1 }), 9, 1);
  assert.deepEqual(found.at(0), { start: 0, stop: 6, first: 0, last: 8 });
});

test("margins of any size leave few tiles", () => {
  for (const margin of [0, 7, 200, 255, 256, 400, 2 ** 53 - 1]) {
    const size = 4096;
    const found = [...pieces(axis({ margin }), size, 512)];
    const computed = found.reduce((sum, { first, last }) => sum + last - first, 0);
    assert.ok(computed <= 2.1 * size, `${margin}: ${computed}`);
  }
});

const SIZED = ["batch", 1, "height", "width"];

function blurring(others = {}) {
  const rule = axis({ multiple: 2, min: 4, margin: 2, ...others });
  const outputs = [
    tensor("y", "float32", SIZED),
    tensor("half", "float32", ["batch", 1, "height/2", "width/2"], null, "latent"),
  ];
  const inputs = [tensor("x", "float32", SIZED)];
  return variant({ inputs, outputs, axes: { height: rule, width: rule } });
}

/** An engine whose outputs depend on inputs up to two places away. */
function blur({ name }, rows, { x: { dims, data } }) {
  const [, , height, width] = dims;
  const at = (row, y, x) =>
    y < 0 || x < 0 || y >= height || x >= width ? 0 : data[(row * height + y) * width + x];
  const step = name === "half" ? 2 : 1;
  const shape = [rows, 1, height / step, width / step];
  const found = [];
  for (let row = 0; row < rows; row++) {
    for (let y = 0; y < height; y += step) {
      for (let x = 0; x < width; x += step) {
        found.push((at(row, y, x) + at(row, y - 2, x) + at(row, y, x + 2) * 2) / 4);
      }
    }
  }
  return { dtype: "float32", shape, data: Float32Array.from(found) };
}

async function blurred(values, shape, options, others) {
  const ran = [];
  const give = (spec, rows, feeds) => {
    ran.push(feeds.x.dims);
    return blur(spec, rows, feeds);
  };
  const bundle = await opened(manifest({ denoiser: blurring(others) }), { give });
  const part = await bundle.part("denoiser");
  const found = await part.run({ x: { dtype: "float32", shape, data: values } }, options);
  return { found, ran };
}

test("tiles give what the whole gives, each row alone", async () => {
  const shape = [2, 1, 1200, 700];
  const x = Float32Array.from({ length: 2 * 1200 * 700 }, (_, at) => ((at * 7919) % 256) / 255);
  const whole = await blurred(x, shape, {});
  assert.equal(whole.ran.length, 2);
  const done = [];
  const tiled = await blurred(x, shape, {
    whole: 1000,
    onTile: (progress) => done.push([progress.done, progress.total]),
  });
  assert.ok(
    tiled.ran.every(([rows, , height, width]) => rows === 1 && height <= 512 && width <= 512),
  );
  assert.equal(done.length, 2 * 3 * 2);
  assert.deepEqual(done.at(-1), [12, 12]);
  assert.deepEqual(tiled.found, whole.found);
});

test("an unknown margin, and a small input, run as a whole", async () => {
  const shape = [1, 1, 1200, 700];
  const x = new Float32Array(1200 * 700);
  assert.equal((await blurred(x, shape, { whole: 1000 }, { margin: null })).ran[0][2], 1200);
  assert.equal((await blurred(x, shape, {})).ran[0][2], 1200);
});

test("a run ends between tiles", async () => {
  const ended = new AbortController();
  const onTile = ({ done }) => done === 2 && ended.abort();
  const options = { whole: 1000, onTile, signal: ended.signal };
  const running = blurred(new Float32Array(1200 * 700), [1, 1, 1200, 700], options);
  await assert.rejects(running, { name: "AbortError" });
});

test("sizes that an axis may not have are refused in words", async () => {
  const running = blurred(new Float32Array(41 * 8), [1, 1, 41, 8], {});
  await assert.rejects(running, {
    message:
      "denoiser: x: height: expected a multiple of 2 of at least 4, got 41: the nearest is 42",
    exitCode: 1,
  });
});

test("a graph that gives another size than the axes say is refused", async () => {
  const give = (spec, rows, feeds) => ({ ...blur(spec, rows, feeds), shape: [1, 1, 8, 9] });
  const part = await (await opened(manifest({ denoiser: blurring() }), { give })).part("denoiser");
  const x = { dtype: "float32", shape: [1, 1, 8, 8], data: new Float32Array(64) };
  await assert.rejects(
    part.run({ x }),
    /gave y float32 \[1, 1, 8, 9\], expected float32 \[1, 1, 8, 8\]/,
  );
});

test("a part without axes has no tiles", () => {
  const { axes, ...specs } = { axes: new Map([["batch", axis()]]), inputs: [], outputs: [] };
  assert.equal(tilesOf(/** @type {any} */ ({ ...specs, axes }), new Map(), 0).length, 1);
});

/** What `tilesOf` needs of a variant. */
function tiled(names, rule, factor = 1) {
  const places = ["batch", ...names].map((name) => ({ axis: name, factor: 1, divisor: 1 }));
  const large = [{ axis: names[0], factor, divisor: 1 }]; // a tensor in which a tile is longer
  const axes = new Map([["batch", axis()], ...names.map((name) => [name, rule])]);
  return /** @type {any} */ ({ inputs: [{ places }], outputs: [{ places: large }], axes });
}

test("tiles go along the last axis first, as often as they are gone through", () => {
  const rule = axis({ margin: 1 });
  const sizes = new Map(Object.entries({ batch: 1, a: 7, b: 14, c: 9 }));
  const cuts = tilesOf(tiled(["a", "b", "c"], rule, 10), sizes, 1);
  const along = (name) => [...pieces(rule, sizes.get(name) ?? 0, 6)];
  const expected = along("a").flatMap((a) =>
    along("b").flatMap((b) => along("c").map((c) => ({ a, b, c }))),
  );
  assert.equal(expected.length, 2 * 4 * 3);
  assert.equal(cuts.length, expected.length);
  for (let time = 0; time < 2; time++) {
    const found = [...cuts].map((tile) => Object.fromEntries(tile));
    assert.deepEqual(found, expected);
  }
});

test("tiles of one place are made one at a time", () => {
  const size = 2 ** 26; // as many tiles at once are more than memory holds
  for (const names of [["height", "width"], ["height"]]) {
    const variant = tiled(names, axis(), 2 ** 29);
    const sizes = new Map(["batch", ...names].map((name) => [name, size]));
    const cuts = tilesOf(variant, sizes, 1);
    assert.equal(cuts.length, size ** names.length);
    const [first] = cuts;
    assert.deepEqual([...first.keys()], names);
    const [start, stop] = [size - 1, size];
    for (const piece of cuts.at(cuts.length - 1).values()) {
      assert.deepEqual(piece, { start, stop, first: start, last: stop });
    }
  }
});

test("blocks are copied, in arrays of any number of axes", () => {
  const source = { data: Uint8Array.from({ length: 24 }, (_, at) => at), shape: [2, 3, 4] };
  const target = { data: new Uint8Array(8), shape: [2, 2, 2] };
  copyBlock(source, { at: [0, 1, 2], size: [2, 2, 2] }, target, [0, 0, 0]);
  assert.deepEqual([...target.data], [6, 7, 10, 11, 18, 19, 22, 23]);
});

// Padding.

test("places beyond the end are reflected as numpy does", () => {
  const found = (size) => Array.from({ length: 10 }, (_, place) => reflected(place, size));
  assert.deepEqual(found(4), [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]);
  assert.deepEqual(found(2), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
  assert.deepEqual(found(1), Array(10).fill(0));
});

test("an image is padded at the bottom and at the right, each channel for itself", () => {
  const pixels = Uint8Array.of(1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16);
  const found = padded(pixels, [2, 2, 3], [3, 5]);
  assert.deepEqual(
    [...found],
    [
      1, 2, 3, 2, 1, 4, 5, 6, 5, 4, 1, 2, 3, 2, 1, 11, 12, 13, 12, 11, 14, 15, 16, 15, 14, 11, 12,
      13, 12, 11,
    ],
  );
});

async function denoised(size, others, options) {
  const pixels = Uint8Array.from({ length: size[0] * size[1] }, (_, at) => (at * 31) % 256);
  const give = (spec, rows, { x: { dims, data } }) =>
    spec.name === "y"
      ? { dtype: "float32", shape: dims, data }
      : blur(spec, rows, { x: { dims, data } });
  const bundle = await opened(manifest({ denoiser: blurring(others) }), { give });
  return { pixels, found: await bundle.denoise(pixels, size, options) };
}

for (const size of [
  [1, 1],
  [37, 53],
  [4, 4],
  [513, 1025],
]) {
  test(`a picture of ${size} comes back in its size, tile by tile`, async () => {
    const seen = new Uint8Array(size[0] * size[1]);
    const onTile = ({ top, left, height, width, pixels }) => {
      for (let y = 0; y < height; y++) {
        seen.set(pixels.subarray(y * width, (y + 1) * width), (top + y) * size[1] + left);
      }
    };
    const { pixels, found } = await denoised(size, {}, { whole: 1000, onTile });
    assert.deepEqual(found, pixels);
    assert.deepEqual(seen, pixels);
  });
}

test("a manifest asks for no memory that a picture does not", async () => {
  const min = 2 ** 52;
  const axes = new Map([["height", axis({ min })]]);
  const places = [1, 1, { axis: "height", factor: 1, divisor: 1 }, 5];
  assert.throws(
    () => paddedSize(/** @type {any} */ ({ inputs: [{ name: "x", places }], axes }), [4, 5]),
    {
      message:
        "denoiser: x: expected a picture that fits into 16777216 pixels once it is padded, got 5x4, " +
        `padded to 5x${min}: take a larger picture`,
      exitCode: 1,
    },
  );
});

test("a picture above the largest size is refused in words", async () => {
  await assert.rejects(denoised([9, 8], { max: 8 }), {
    message: "denoiser: x: height: expected a multiple of 2 from 4 to 8, got 9: the nearest is 8",
  });
});

/** A denoiser of square pictures, and the sizes that it runs on. */
async function square(size, rule) {
  const shape = ["batch", 1, "side", "side"];
  const specs = {
    inputs: [tensor("x", "float32", shape)],
    outputs: [tensor("y", "float32", shape)],
  };
  const ran = [];
  const give = (_, rows, { x: { dims, data } }) => {
    ran.push([dims, data]);
    return { dtype: "float32", shape: dims, data };
  };
  const denoiser = variant({ ...specs, axes: { side: axis(rule) } });
  const bundle = await opened(manifest({ denoiser }), { give });
  const pixels = Uint8Array.from({ length: size[0] * size[1] }, (_, at) => (at * 31) % 256);
  return { pixels, ran, denoised: bundle.denoise(pixels, size) };
}

for (const [size, side] of [
  [[40, 30], 40],
  [[30, 41], 48],
  [[40, 40], 40],
  [[1, 3], 8],
]) {
  test(`a picture of ${size} is padded to a square of ${side}`, async () => {
    const { pixels, ran, denoised } = await square(size, { multiple: 8, min: 8, max: 48 });
    assert.deepEqual(await denoised, pixels);
    assert.deepEqual(ran.map(([dims]) => dims), [[1, 1, side, side]]); // prettier-ignore
    const whole = padded(pixels, [1, .../** @type {[number, number]} */ (size)], [side, side]);
    assert.deepEqual(ran[0][1], fromPixels(whole));
  });
}

test("a picture that fits into no square is refused", async () => {
  const { ran, denoised } = await square([30, 49], { multiple: 8, min: 8, max: 48 });
  await assert.rejects(denoised, {
    message: "denoiser: x: side: expected a multiple of 8 from 8 to 48, got 49: the nearest is 48",
    exitCode: 1,
  });
  assert.equal(ran.length, 0);
});

test("NaN is no pixel, on the whole or in any tile", async () => {
  const message = "denoiser gave NaN, which is no pixel";
  const pixels = new Uint8Array(700 * 600);
  for (const [size, whole] of [
    [[20, 30], 2 ** 22],
    [[700, 600], 1000],
  ]) {
    const onTile = () => assert.fail("a tile with NaN");
    for (const options of [{ whole }, { whole, onTile }]) {
      const give = (spec, rows, feeds) => {
        const found = blur(spec, rows, feeds);
        if (spec.name === "y") found.data[0] = NaN;
        return found;
      };
      const bundle = await opened(manifest({ denoiser: blurring() }), { give });
      const running = bundle.denoise(pixels.subarray(0, size[0] * size[1]), size, options);
      await assert.rejects(running, { message, exitCode: 1 });
    }
  }
});

test("NaN in what is no pixel, and infinity in pixels, are no reason to refuse a picture", async () => {
  const give = (spec, rows, feeds) => {
    const found = blur(spec, rows, feeds);
    if (spec.name === "half") found.data.fill(NaN);
    else found.data.set([Infinity, -Infinity]);
    return found;
  };
  const bundle = await opened(manifest({ denoiser: blurring() }), { give });
  const found = await bundle.denoise(new Uint8Array(16), [4, 4]);
  assert.deepEqual([...found], [255, ...Array(15).fill(0)]);
});

test("pixels need their size where the denoiser takes any", async () => {
  const bundle = await opened(manifest({ denoiser: blurring() }), {});
  await assert.rejects(bundle.denoise(new Uint8Array(16)), {
    message: "denoise: expected the size of the pixels, [height, width], got none",
  });
});

test("as many rows run at once as the largest tensor leaves room for", async () => {
  const rule = axis({ margin: null });
  const decoder = variant({
    inputs: [tensor("z", "float32", SIZED, null, "latent")],
    outputs: [tensor("y", "uint8", ["batch", 1, "256*height", "256*width"], null)],
    axes: { height: rule, width: rule },
    size: 1,
  });
  const runs = [];
  const give = ({ dtype }, rows, { z: { dims } }) => {
    runs.push(rows);
    return { dtype, shape: [rows, 1, 256 * dims[2], 256 * dims[3]] };
  };
  const part = await (await opened(manifest({ decoder }), { give })).part("decoder");
  const z = { dtype: "float32", shape: [5, 1, 4, 8], data: new Float32Array(5 * 32) };
  assert.equal((await part.run({ z })).y.length, 5 * 1024 * 2048);
  assert.deepEqual(runs, [2, 2, 1]); // 2^21 values in an output
});
