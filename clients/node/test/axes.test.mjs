import assert from "node:assert/strict";
import { test } from "node:test";

import { allows, isSize, nearest, scaled, shapeAt, shapeFor, solve } from "../axes.mjs";
import { parseManifest } from "../bundle.mjs";
import { axis, manifest, tensor, variant } from "./made.mjs";

const MOST = Number.MAX_SAFE_INTEGER;

test("a size follows an axis, times or divided by a whole number", () => {
  assert.deepEqual({ ...scaled("height") }, { axis: "height", factor: 1, divisor: 1 });
  assert.deepEqual({ ...scaled("320*frames") }, { axis: "frames", factor: 320, divisor: 1 });
  assert.deepEqual({ ...scaled("height/8") }, { axis: "height", factor: 1, divisor: 8 });
});

for (const size of [
  ...["", "8", "2*", "*h", "h/", "h/0", "0*h", "08*h", "2*h/2", "h*2", "H", "h w", "h\n", "-1*h"],
  ...['"h"', "h'", "__proto__", "1000000000*h", 0, -1, 1.5, 2 ** 53, null, true, {}, []],
]) {
  test(`no size: ${JSON.stringify(size)}`, () => assert.equal(isSize(size, 1), false));
}

test("the axis of rows stands first, and alone", () => {
  assert.ok(isSize("batch", 0));
  for (const size of ["2*batch", "batch/2"]) assert.equal(isSize(size, 0), false);
  assert.equal(isSize("batch", 1), false);
});

const AXES = new Map(
  Object.entries({
    height: axis({ multiple: 8, min: 16 }),
    width: axis({ multiple: 4, min: 8, max: 24 }),
    frames: axis(),
  }),
);

function spec(name, ...shape) {
  return { name, shape, places: shape.map((size) => scaled(size) ?? size) };
}

function sizesOf(specs, shapes) {
  const arrays = Object.fromEntries(specs.map(({ name }, at) => [name, { shape: shapes[at] }]));
  return Object.fromEntries(solve(specs, arrays, AXES));
}

test("the sizes of axes follow from the inputs, and give those of outputs", () => {
  const specs = [spec("x", "batch", 1, "height/8", "2*width")];
  const sizes = sizesOf(specs, [[3, 1, 5, 24]]);
  assert.deepEqual(sizes, { batch: 3, height: 40, width: 12 });
  const found = shapeAt(
    spec("y", "batch", "16*height", "width/4").places,
    new Map(Object.entries(sizes)),
  );
  assert.deepEqual(found, [3, 640, 3]);
});

const RULES = [
  [
    "x: height: expected a multiple of 8 of at least 16, got 41: the nearest is 40",
    ["height"],
    [41],
  ],
  ["x: height: expected a multiple of 8 of at least 16, got 8: the nearest is 16", ["height"], [8]],
  [
    "x: height: expected a multiple of 8 of at least 16, got 44: the nearest is 48",
    ["height"],
    [44],
  ],
  ["x: width: expected a multiple of 4 from 8 to 24, got 100: the nearest is 24", ["width"], [100]],
  ["x: expected a multiple of 16 for 16*frames, got 33", ["16*frames"], [33]],
];

for (const [message, shape, sizes] of RULES) {
  test(String(message), () =>
    assert.throws(() => sizesOf([spec("x", ...shape)], [sizes]), { message }),
  );
}

test("an axis has one size in all inputs", () => {
  const specs = [spec("z", "batch", "frames"), spec("mask", "batch", "frames")];
  const message = "frames: expected one size in all inputs, got 10 in z and 12 in mask";
  assert.throws(
    () =>
      sizesOf(specs, [
        [1, 10],
        [1, 12],
      ]),
    { message },
  );
});

test("the nearest size is one that is allowed, and none is nearer", () => {
  for (const rule of [axis(), ...AXES.values(), axis({ multiple: 6, min: 12, max: 60 })]) {
    for (let size = 1; size < 90; size++) {
      const found = nearest(rule, size);
      assert.ok(allows(rule, found));
      for (let other = 1; other < 100; other++) {
        if (allows(rule, other)) assert.ok(Math.abs(found - size) <= Math.abs(other - size));
      }
    }
  }
});

test("a padded size is the smallest that is allowed and no smaller", () => {
  for (const text of ["height", "2*height", "height/4"]) {
    const place = /** @type {any} */ (scaled(text));
    for (let given = 1; given < 60; given++) {
      const [found] = shapeFor("x", [place], AXES, [given]);
      const all = Array.from({ length: 400 }, (_, size) => size)
        .filter((size) => allows(AXES.get("height"), size))
        .map((size) => (place.factor * size) / place.divisor);
      assert.equal(found, Math.min(...all.filter((size) => size >= given)), `${text} ${given}`);
    }
  }
});

const SHARED = [
  // sizes, given, padded
  [["height", "height"], [40, 30], [40, 40]],
  [["height", "height"], [30, 41], [48, 48]],
  [["height", "height"], [40, 40], [40, 40]],
  [["2*height", "height"], [33, 3], [48, 24]],
  [["2*height", "height"], [3, 33], [80, 40]],
  [["height/8", "height"], [6, 17], [6, 48]],
  [["height", "width"], [17, 17], [24, 20]],
  [[5, "height"], [5, 17], [5, 24]],
]; // prettier-ignore

for (const [places, given, expected] of SHARED) {
  test(`[${places}] of at least [${given}] are [${expected}]`, () => {
    const tensor = spec("x", .../** @type {any[]} */ (places));
    const found = shapeFor("x", tensor.places, AXES, /** @type {number[]} */ (given));
    assert.deepEqual(found, expected);
  });
}

for (const given of [
  [25, 9],
  [9, 25],
]) {
  test(`an axis that may not be as large as [${given}] is refused`, () => {
    const { places } = spec("x", "width", "width");
    const rule = "expected a multiple of 4 from 8 to 24, got 25: the nearest is 24";
    assert.throws(() => shapeFor("x", places, AXES, given), { message: `x: width: ${rule}` });
  });
}

// What a manifest says of axes.

const SIZED = ["batch", 1, "height", "width"];
const HEIGHTS = { height: axis({ multiple: 2, min: 2 }), width: axis() };

function sized(axes, change = {}) {
  const specs = {
    inputs: [tensor("x", "float32", SIZED)],
    outputs: [tensor("y", "float32", SIZED)],
  };
  return manifest({ denoiser: variant({ ...specs, axes: { ...HEIGHTS, ...axes }, ...change }) });
}

const AT = "parts.denoiser.fp32";
const latents = (shape) => ({ outputs: [tensor("z", "float32", shape)] });
const without = (name) => {
  const document = sized({});
  delete document.parts.denoiser.fp32.axes[name];
  return document;
};
const withAxes = (axes) => {
  const document = sized({});
  document.parts.denoiser.fp32.axes = axes;
  return document;
};
const golden = (change) => {
  const document = sized({});
  change(document.parts.denoiser.fp32.golden);
  return document;
};
const shaped = (kind, shape) => {
  const document = sized({});
  document.parts.denoiser.fp32[kind][0].shape = shape;
  return document;
};
const seen = "expected those of the tensors, batch, height, width";
const FAULTS = {
  [`${AT}.axes: ${seen}, got batch, height`]: without("width"),
  [`${AT}.axes: ${seen}, got batch, depth, height, width`]: sized({ depth: axis() }),
  [`${AT}.axes: expected an object, got a list`]: withAxes([]),
  [`${AT}.axes.height: expected an object, got 8`]: sized({ height: 8 }),
  [`${AT}.axes.height.multiple: expected a whole number above 0, got 0`]: sized({
    height: axis({ multiple: 0 }),
  }),
  [`${AT}.axes.height.multiple: expected a whole number above 0, got 9007199254740992`]: sized({
    height: axis({ multiple: 2 ** 53 }),
  }),
  [`${AT}.axes.height.min: expected a multiple of 8 above 0, got 4`]: sized({
    height: axis({ multiple: 8, min: 4 }),
  }),
  [`${AT}.axes.height.max: expected at least min, 4, got 2`]: sized({
    height: axis({ min: 4, max: 2 }),
  }),
  [`${AT}.axes.height.max: expected a multiple of 2 above 0, or null, got nothing`]: sized({
    height: { multiple: 2, min: 2, margin: 0 },
  }),
  [`${AT}.axes.height.margin: expected a whole number of 0 or more, or null, got -1`]: sized({
    height: axis({ margin: -1 }),
  }),
  [`${AT}.axes.height.margin: expected a whole number of 0 or more, or null, got 0.5`]: sized({
    height: axis({ margin: 0.5 }),
  }),
  [`${AT}.outputs: expected sizes that follow axes of the inputs, got frames`]: sized(
    { frames: axis() },
    latents(["batch", "frames"]),
  ),
  [`${AT}.axes.height.multiple: expected a multiple of 8, by which a size divides it, got 2`]:
    sized({}, latents(["batch", 4, "height/8"])),
  [`${AT}.outputs[0].shape[2]: expected a size above 0, "batch" for the first, or an axis such as "height/8", got "height/0"`]:
    shaped("outputs", ["batch", 4, "height/0"]),
  [`${AT}.outputs[0].kind: expected 4 axes of a tensor of kind image, got [batch, 4]`]: sized(
    {},
    { outputs: [tensor("z", "float32", ["batch", 4], null, "image")] },
  ),
  [`${AT}.inputs: expected distinct names, got x, x`]: sized(
    {},
    { inputs: [tensor("x", "float32", SIZED), tensor("x", "float32", SIZED)] },
  ),
  [`${AT}.outputs: expected as many rows in all, got y float32 [batch, 2] and z float32 [3, 2]`]:
    sized({}, { outputs: [tensor("y", "float32", ["batch", 2]), tensor("z", "float32", [3, 2])] }),
  [`${AT}.inputs: expected one with a first size of 5, as the outputs have, got x float32 [batch, 1, height, width]`]:
    sized({}, latents([5, 2])),
  [`${AT}.golden: expected at least one set of golden vectors, got none`]: golden((sets) =>
    sets.pop(),
  ),
  [`${AT}.golden: expected a list, got an object`]: sized({}, { golden: {} }),
  [`${AT}.golden[0].inputs: expected x, got none`]: golden((sets) => delete sets[0].inputs.x),
  [`${AT}.golden[0].inputs.x: expected [batch, 1, height, width], got [2, 3, 8, 8]`]: golden(
    (sets) => (sets[0].inputs.x.shape[1] = 3),
  ),
  [`${AT}.golden[0].inputs.x: height: expected a multiple of 2 of at least 2, got 7: the nearest is 8`]:
    golden((sets) => (sets[0].inputs.x.shape[2] = 7)),
  [`${AT}.golden[0].outputs.y: expected float32 [2, 1, 8, 8], got float32 [2, 1, 8, 6]`]: golden(
    (sets) => (sets[0].outputs.y.shape[3] = 6),
  ),
  [`${AT}.golden[0].outputs.y: expected float32 [2, 1, 8, 8], got uint8 [2, 1, 8, 8]`]: golden(
    (sets) => (sets[0].outputs.y.dtype = "uint8"),
  ),
  [`${AT}.golden[1].inputs.x.shape: expected at most 2147483648 bytes, got 34359738368`]: golden(
    (sets) => {
      sets.push(structuredClone(sets[0]));
      sets[1].inputs.x.shape = [2, 1, 2 ** 16, 2 ** 16];
    },
  ),
  [`${AT}.inputs[0].shape: expected fewer than 2^50 values, got "1125899906842624"`]: shaped(
    "inputs",
    ["batch", 2 ** 50, "height", "width"],
  ),
};

for (const [reason, document] of Object.entries(FAULTS)) {
  test(`a manifest: ${reason}`, () => {
    const text = JSON.stringify(document);
    assert.throws(() => parseManifest(text, "m.json"), {
      message: `m.json: ${reason}`,
      exitCode: 1,
    });
  });
}

test("an unknown kind is refused", () => {
  const document = sized({}, latents(["batch", 2]));
  document.parts.denoiser.fp32.outputs[0].kind = "picture";
  assert.throws(
    () => parseManifest(JSON.stringify(document)),
    /kind: expected one of .*"picture"$/,
  );
});

test("the largest numbers of axes are taken, and no golden vector has such a size", () => {
  const large = axis({ multiple: MOST, min: MOST, max: MOST, margin: MOST });
  const text = JSON.stringify(sized({ height: large }));
  assert.throws(() => parseManifest(text), /got 8: the nearest is 9007199254740991$/);
  const margins = JSON.stringify(sized({ height: axis({ margin: MOST }) }));
  const { axes } = parseManifest(margins).parts.get("denoiser").get("fp32");
  assert.equal(axes.get("height").margin, MOST);
});

test("products of sizes beyond 2^53 are those of no array", () => {
  const place = /** @type {any} */ (scaled("999999999*frames"));
  assert.ok(!Number.isSafeInteger(shapeAt([place], new Map([["frames", MOST]]))[0]));
  const specs = [spec("x", "frames/999999999")];
  assert.throws(() => sizesOf(specs, [[MOST]]), /^Error: x: frames: expected a size of at least 1/);
});
