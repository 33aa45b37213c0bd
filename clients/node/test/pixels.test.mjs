// Pixels and floats of any range, in float32: the numbers are numpy's.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fromPixels, toPixels } from "../bundle.mjs";
import { IMAGE, manifest, opened, tensor, variant } from "./made.mjs";

const ALL = Uint8Array.from({ length: 256 }, (_, pixel) => pixel);
const RANGES = [
  [0, 1],
  [-1, 1],
  [-0.1, 0.3],
  [0, 255],
  [-3, 5],
  [-3, 0.2],
  [0.001, 0.0011],
];

/** The float32 next to a value, in this direction. */
function next(value, up) {
  const bits = new Int32Array(Float32Array.of(value).buffer);
  bits[0] += value > 0 === up ? 1 : -1;
  return new Float32Array(bits.buffer)[0];
}

test("in [0, 1] pixels are what they are without a range", () => {
  const values = [0, -0, 1, 1.5, -0.5, NaN, Infinity, -Infinity];
  for (let step = 0; step < 510; step++) {
    const value = Math.fround((step + 0.5) / 510);
    values.push(value, next(value, true), next(value, false));
  }
  const images = Float32Array.from(values);
  // A clamped array clips and rounds, ties to even.
  const expected = Uint8ClampedArray.from(images, (value) => Math.fround(value * 255));
  for (const found of [toPixels(images), toPixels(images, [0, 1])]) {
    assert.deepEqual([...found], [...expected]);
  }
  const shares = Float32Array.from(ALL, (pixel) => pixel / 255);
  assert.deepEqual(fromPixels(ALL), shares);
  assert.deepEqual(fromPixels(ALL, [0, 1]), shares);
});

for (const range of RANGES) {
  test(`[${range.join(", ")}]: what pixels stand for becomes them again`, () => {
    const [low, high] = range;
    assert.deepEqual(toPixels(fromPixels(ALL, range), range), ALL);
    assert.deepEqual([...toPixels(Float32Array.of(low - 9, high + 9), range)], [0, 255]);
    assert.deepEqual([...toPixels(Float32Array.of(-Infinity, Infinity, NaN), range)], [0, 255, 0]);
  });
}

// Each a value where float64 gives another pixel.
const ROUNDED = [
  [
    [0, 1],
    [0.0019607844296842813, 0.009803921915590763, 0.01764705963432789],
    [0, 2, 4],
  ],
  [
    [-1, 1],
    [-0.48627451062202454, -0.47058823704719543, -0.45490196347236633],
    [66, 68, 70],
  ],
  [
    [-0.1, 0.3],
    [-0.09921568632125854, -0.07568627595901489, -0.07411764562129974],
    [1, 16, 16],
  ],
  [
    [0.001, 0.0011],
    // Two where the ends are to be rounded before they are subtracted.
    [0.0010001960908994079, 0.001002156874164939, 0.0010221569100394845, 0.0010260784765705466],
    [0, 5, 57, 67],
  ],
];

for (const [range, values, pixels] of ROUNDED) {
  test(`[${range.join(", ")}]: every step is rounded to float32`, () => {
    assert.deepEqual([...toPixels(Float32Array.from(values), range)], pixels);
  });
}

// Likewise, pixels.
const VALUES = [
  [[-1, 1], 65, -0.4901960492134094],
  [[-0.1, 0.3], 20, -0.06862744688987732],
  [[0.001, 0.0011], 3, 0.0010011765407398343],
  [[0.001, 0.0011], 54, 0.001021176460199058],
];

for (const [range, pixel, value] of VALUES) {
  test(`[${range.join(", ")}]: pixel ${pixel} is ${value}`, () => {
    assert.deepEqual([...fromPixels(Uint8Array.of(pixel), range)], [value]);
  });
}

for (const [range, got] of [
  [null, "of any range"],
  [[1, 1], "in [1, 1]"],
  [[-3e38, 3e38], "in [-3e+38, 3e+38]"],
]) {
  test(`no pixels stand for values ${got}`, () => {
    const message =
      "pixels: expected values in a range [low, high] whose width is a float32 above 0, " +
      `got values ${got}`;
    assert.throws(() => toPixels(new Float32Array(1), range), { message, exitCode: 1 });
    assert.throws(() => fromPixels(new Uint8Array(1), range), { message, exitCode: 1 });
  });
}

for (const taken of RANGES) {
  for (const given of RANGES) {
    test(`denoise maps pixels to [${taken}], and [${given}] to pixels`, async () => {
      const denoiser = variant({
        inputs: [tensor("x", "float32", IMAGE, taken)],
        outputs: [tensor("y", "float32", IMAGE, given)],
      });
      const shares = [0, 0.25, 0.5, 1, -0.125, 1.125];
      const values = shares.map((share) => given[0] + share * (given[1] - given[0]));
      let seen;
      const give = ({ dtype }, rows, { x }) => {
        seen = x.data;
        return { dtype, shape: [rows, 1, 2, 3], data: Float32Array.from(values) };
      };
      const pixels = Uint8Array.of(0, 1, 64, 128, 254, 255); // 255 may round to above the range
      const bundle = await opened(manifest({ denoiser }), { give });
      const found = await bundle.denoise(pixels);
      assert.deepEqual(seen, fromPixels(pixels, taken));
      assert.deepEqual(found, toPixels(Float32Array.from(values), given));
      assert.deepEqual([found[0], found[3], found[4], found[5]], [0, 255, 0, 255]);
    });
  }
}

test("floats at the ends of a range are taken, and no others", async () => {
  const x = tensor("x", "float32", IMAGE, [-0.1, 0.3]); // 0.3 in float32 is larger
  const part = await (
    await opened(manifest({ denoiser: variant({ inputs: [x] }) }))
  ).part("denoiser");
  await part.run({ x: Float32Array.of(-0.1, 0.3, 0, 0, 0, 0) });
  for (const value of [next(-0.1, false), next(0.3, true)]) {
    await assert.rejects(part.run({ x: Float32Array.of(value, 0, 0, 0, 0, 0) }), {
      message: /x: expected values in \[-0\.1, 0\.3\], got -?[0-9.]+ to -?[0-9.]+$/,
    });
  }
});

test("a range that floats do not have is no reason to refuse them", async () => {
  const x = tensor("x", "float32", IMAGE, [-1e300, 1e300]);
  const part = await (
    await opened(manifest({ denoiser: variant({ inputs: [x] }) }))
  ).part("denoiser");
  await part.run({ x: Float32Array.of(-3e38, 3e38, 0, 0, 0, 0) });
});
