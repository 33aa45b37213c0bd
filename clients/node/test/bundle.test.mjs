import assert from "node:assert/strict";
import { test } from "node:test";

import { oneLine, parseManifest, printable } from "../bundle.mjs";
import { IMAGE, axis, manifest, opened, promised, tensor, variant } from "./made.mjs";

const PIXELS = Uint8Array.of(0, 1, 2, 3, 4, 5);
const uint8 = (name, shape = IMAGE) => tensor(name, "uint8", shape, [0, 255]);

// What a verb needs.

const RANGE = "in a range [low, high] whose width is a float32 above 0";
const INSTEAD = "export it with such a range, or take its floats with the library's run";
const DENOISERS = {
  "expected 1 input, got 2: x, w": { inputs: [tensor("x"), tensor("w")] },
  "expected x float32 [batch, 1, 2, 3], got int64 [batch, 1, 2, 3]": {
    inputs: [tensor("x", "int64")],
  },
  "expected an input of the kind image, got x of other": {
    inputs: [tensor("x", "float32", IMAGE, [0, 1], "other")],
  },
  "expected an output of the kind image, got y of signal": {
    outputs: [tensor("y", "float32", ["batch", 1, 6], [0, 1], "signal")],
  },
  "expected y of the shape of x, image [batch, 1, 2, 3], got image [batch, 3, 2, 3]": {
    inputs: [uint8("x")],
    outputs: [uint8("y", ["batch", 3, 2, 3])],
  },
  "expected y uint8 [batch, 1, 2, 3], got float32 [batch, 1, 2, 3]": { inputs: [uint8("x")] },
  [`expected y float32 [batch, 1, 2, 3] ${RANGE}, got one of any range: ${INSTEAD}`]: {
    outputs: [tensor("y", "float32", IMAGE, null)],
  },
  [`expected x float32 [batch, 1, 2, 3] ${RANGE}, got one of any range: ${INSTEAD}`]: {
    inputs: [tensor("x", "float32", IMAGE, null)],
  },
  ...Object.fromEntries(
    [
      [1, 1],
      [1, -1],
      [0, 1e-60],
      [-3e38, 3e38],
      [1e300, 2e300],
    ].map((range) => [
      `expected y float32 [batch, 1, 2, 3] ${RANGE}, got one in [${range.join(", ")}]: ${INSTEAD}`,
      { outputs: [tensor("y", "float32", IMAGE, range)] },
    ]),
  ),
};

for (const [reason, specs] of Object.entries(DENOISERS)) {
  test(`cannot denoise: ${reason}`, async () => {
    const bundle = await opened(manifest({ denoiser: variant(specs) }));
    const message = `this bundle's denoiser cannot denoise: ${reason}`;
    await assert.rejects(bundle.denoise(PIXELS), { message, exitCode: 1 });
  });
}

const SEED = tensor("seed", "int64", [1], null);
const INDEX = tensor("index", "int64", ["batch"], null);
const canvas = (others = {}) => ({ ...uint8("canvas", ["batch", 2, 3]), ...others });
const KINDS = "inputs of the kinds seed and index, and canvas and label at most";
const SAMPLERS = {
  [`expected ${KINDS}, got z of image`]: { inputs: [tensor("z")] },
  [`expected ${KINDS}, got seed of seed, index of index, z of image`]: {
    inputs: [SEED, INDEX, tensor("z")],
  },
  "expected seed int64 [1], got int64 [batch]": {
    inputs: [tensor("seed", "int64", ["batch"], null), INDEX],
  },
  "expected index int64 [batch], got float32 [batch]": {
    inputs: [SEED, tensor("index", "float32", ["batch"], null)],
  },
  "expected label int64 [batch], got int64 [batch, 1]": {
    inputs: [SEED, INDEX, tensor("label", "int64", ["batch", 1], null)],
  },
  [`expected ${KINDS}, got seed of seed, index of index, canvas of canvas, more of canvas`]: {
    inputs: [SEED, INDEX, canvas(), canvas({ name: "more" })],
  },
  "expected canvas uint8 [batch, 2, 3], got float32 [batch, 2, 3]": {
    inputs: [SEED, INDEX, canvas({ dtype: "float32" })],
    outputs: [uint8("image")],
  },
  "expected canvas uint8 [batch, 2, 3], got uint8 [batch, 3, 2]": {
    inputs: [SEED, INDEX, canvas({ shape: ["batch", 3, 2] })],
    outputs: [uint8("image")],
  },
  "expected canvas uint8 [batch, height, width], got uint8 [batch, width, height]": {
    inputs: [SEED, INDEX, canvas({ shape: ["batch", "width", "height"] })],
    outputs: [uint8("image", ["batch", 1, "height", "width"])],
    axes: { height: axis(), width: axis() },
  },
  "expected an output image, got y": {},
  "expected image uint8 [batch, 1, 2, 3], got float32 [batch, 1, 2, 3]": {
    outputs: [tensor("image")],
  },
  "expected an output of the kind image, got image of other": {
    outputs: [tensor("image", "uint8", ["batch", 6], [0, 255])],
  },
};

for (const [reason, specs] of Object.entries(SAMPLERS)) {
  test(`cannot generate: ${reason}`, async () => {
    const sampler = variant({ inputs: [SEED, INDEX], ...specs });
    const bundle = await opened(manifest({ sampler }));
    const message = `this bundle's sampler cannot generate: ${reason}`;
    await assert.rejects(bundle.generate(0, 1), { message, exitCode: 1 });
  });
}

// What a run gives.

const GIVEN = {
  "y float32 [3, 1, 2, 3], expected float32 [1, 1, 2, 3]": (spec) => promised(spec, 3),
  "y float32 [0, 1, 2, 3], expected float32 [1, 1, 2, 3]": (spec) => promised(spec, 0),
  "y float32 [1, 6], expected float32 [1, 1, 2, 3]": () => ({ dtype: "float32", shape: [1, 6] }),
  "y uint8 [1, 1, 2, 3], expected float32 [1, 1, 2, 3]": (spec, rows) => ({
    ...promised(spec, rows),
    dtype: "uint8",
  }),
  "y nothing, expected float32 [1, 1, 2, 3]": () => undefined,
};

for (const [reason, give] of Object.entries(GIVEN)) {
  test(`a graph gave ${reason}`, async () => {
    const bundle = await opened(manifest({ denoiser: variant() }), { give });
    const message = `part.onnx gave ${reason}: export the bundle again`;
    await assert.rejects(bundle.denoise(PIXELS), { message, exitCode: 1 });
  });
}

test("rows beyond a fixed number come in several runs", async () => {
  const [shape, count] = [[3, 1, 2, 3], 7];
  const fixed = variant({
    inputs: [tensor("x", "float32", shape)],
    outputs: [tensor("y", "float32", shape)],
  });
  const part = await (await opened(manifest({ denoiser: fixed }))).part("denoiser");
  assert.equal((await part.run({ x: new Float32Array(6 * count) })).y.length, 6 * count);
});

// What comes in.

const VALUES = {
  "values in [0, 1], got 0 to 255": [0, 255],
  "values in [0, 1], got -0.5 to 1": [1, -0.5],
  "finite values, got NaN or infinity": [0, NaN],
};

for (const [reason, values] of Object.entries(VALUES)) {
  test(`floats: ${reason}`, async () => {
    const part = await (await opened(manifest({ denoiser: variant() }))).part("denoiser");
    const x = Float32Array.of(...values, 0, 0, 0, 0);
    const message = `denoiser: x: expected ${reason}`;
    await assert.rejects(part.run({ x }), { message, exitCode: 1 });
    const infinite = part.run({ x: Float32Array.of(Infinity, 0, 0, 0, 0, 0) });
    await assert.rejects(infinite, /expected finite values, got NaN or infinity$/);
  });
}

test("NaN stands for a missing value where there may be some", async () => {
  const some = variant({ inputs: [{ ...tensor("x"), missing: true }] });
  const part = await (await opened(manifest({ denoiser: some }))).part("denoiser");
  for (const values of [
    [NaN, 1, 0, 0, 0, 0],
    [0, 1, 0, 0, 0, NaN],
    [NaN, NaN, NaN, NaN, NaN, NaN],
  ]) {
    assert.equal((await part.run({ x: Float32Array.from(values) })).y.length, 6);
  }
  for (const [reason, ...values] of [
    ["values in [0, 1], got 7 to 7", NaN, 7],
    ["values in [0, 1], got -1 to 1", 1, -1],
    ["finite values, got NaN or infinity", NaN, Infinity],
    ["finite values, got NaN or infinity", -Infinity, NaN],
  ]) {
    const x = Float32Array.from({ length: 6 }, (_, place) => Number(values[place] ?? NaN));
    const message = `denoiser: x: expected ${reason}`;
    await assert.rejects(part.run({ x }), { message, exitCode: 1 });
  }
});

const NUMBERED = [
  // kind, range, values that are taken, that are refused, what is said
  ["codes", null, [0n, 7n], [3n, -1n], "expected values of 0 or more, got -1"],
  ["label", null, [0n, 2n ** 62n], [-(2n ** 63n), 0n], `expected values of 0 or more, got -${2n ** 63n}`],
  ["codes", [-4, 4], [-4n, 4n], [-5n, 0n], "expected values in [-4, 4], got -5 to 0"],
  ["label", [0, 9], [0n, 9n], [-1n, 9n], "expected values in [0, 9], got -1 to 9"],
  ["other", null, [-1n, 0n], null, ""],
]; // prettier-ignore

for (const [kind, range, taken, refused, said] of /** @type {any[][]} */ (NUMBERED)) {
  test(`${kind} ${range ? `in [${range}]` : "of any range"} ${said}`, async () => {
    const inputs = [tensor("z", "int64", ["batch", 2], range, kind)];
    const outputs = [tensor("y", "float32", ["batch", 2])];
    const bundle = await opened(manifest({ decoder: variant({ inputs, outputs }) }));
    const part = await bundle.part("decoder");
    assert.equal((await part.run({ z: BigInt64Array.from(taken) })).y.length, 2);
    if (!refused) return;
    const running = part.run({ z: BigInt64Array.from(refused) });
    await assert.rejects(running, { message: `decoder: z: ${said}`, exitCode: 1 });
  });
}

test("codes that are floats are 0 or more too", async () => {
  const inputs = [tensor("z", "float32", ["batch", 2], null, "codes")];
  const bundle = await opened(manifest({ decoder: variant({ inputs }) }));
  const part = await bundle.part("decoder");
  await part.run({ z: Float32Array.of(-0, 3) });
  const message = "decoder: z: expected values of 0 or more, got -0.5";
  await assert.rejects(part.run({ z: Float32Array.of(0, -0.5) }), { message, exitCode: 1 });
});

const MISSING = {
  "true or false, got 1": { missing: 1 },
  'true or false, got "true"': { missing: "true" },
  "true or false, got null": { missing: null },
  "floats, which have NaN, got int64": { missing: true, dtype: "int64" },
};

for (const [reason, change] of Object.entries(MISSING)) {
  test(`missing: ${reason}`, async () => {
    const document = manifest({ denoiser: variant({ inputs: [{ ...tensor("x"), ...change }] }) });
    const message = `made/manifest.json: parts.denoiser.fp32.inputs[0].missing: expected ${reason}`;
    await assert.rejects(opened(document), { message, exitCode: 1 });
  });
}

test("denoise takes pixels, and says what floats need", async () => {
  const bundle = await opened(manifest({ denoiser: variant() }));
  assert.deepEqual(await bundle.denoise(PIXELS), new Uint8Array(6));
  await assert.rejects(bundle.denoise(/** @type {any} */ (new Float32Array(6))), {
    message:
      "denoise: expected a Uint8Array of pixels, [1, 2, 3], got Float32Array of 6 values: " +
      "make floats pixels with toPixels first",
  });
  await assert.rejects(bundle.denoise(new Uint8Array(5)), /got Uint8Array of 5 values$/);
});

test("zero rows are refused", async () => {
  const part = await (await opened(manifest({ denoiser: variant() }))).part("denoiser");
  await assert.rejects(part.run({ x: new Float32Array(0) }), /got Float32Array \[0, 1, 2, 3\]$/);
});

test("an engine that opens files anywhere is too old", async () => {
  const bundle = await opened(manifest({ denoiser: variant() }), { version: "1.24.0" });
  await assert.rejects(bundle.part("denoiser"), {
    message:
      "part.onnx needs onnxruntime 1.24.1 or newer (older ones open files that a graph names), " +
      "this is 1.24.0: put a newer library beside the program",
    exitCode: 4,
  });
  const newer = manifest({ denoiser: variant({ min_onnxruntime: "1.31" }) });
  await assert.rejects(
    (await opened(newer)).part("denoiser"),
    /needs onnxruntime 1.31 or newer \(opset 18\)/,
  );
});

// Manifests.

const part = (change) => manifest({ decoder: variant(change) });
const MANIFESTS = {
  "parts.decoder.fp32.inputs[0].kind: expected 3 axes of a tensor of kind canvas, got [batch, 6]":
    part({ inputs: [canvas({ shape: ["batch", 6] })] }),
  "parts: expected at least one part": manifest({}),
  'parts.decoder: expected the variant fp32, got "int8"': manifest(
    {},
    { parts: { decoder: { int8: variant() } } },
  ),
  "parts.decoder.fp32.inputs: expected at least one input, got none": part({ inputs: [] }),
  "parts.decoder.fp32.outputs: expected at least one output, got none": part({ outputs: [] }),
  "parts.decoder.fp32.bytes: expected at most 2147483648, got 2147483649": part({
    bytes: 2 ** 31 + 1,
  }),
  "parts.decoder.fp32.bytes: expected a whole number above 0, got 9007199254740992": part({
    bytes: 2 ** 53,
  }),
  ...Object.fromEntries(
    ["./a", "a//b", "a/../b", "/a", "a\\b", "", "..", "a/", "a/./b"].map((file) => [
      `parts.decoder.fp32.file: expected a path inside the bundle, got ${JSON.stringify(file)}`,
      part({ file }),
    ]),
  ),
  "version 1 is older than this program, which reads 2: export the bundle again": manifest(
    { decoder: variant() },
    { version: 1 },
  ),
  "version 3 is newer than this program, which reads 2: take a newer one": manifest(
    { decoder: variant() },
    { version: 3 },
  ),
  'model: expected a text without control characters, got "\\u001b[2J"': manifest(
    { decoder: variant() },
    { model: "\x1b[2J" },
  ),
  'model: expected a text without control characters, got "\x9b"': manifest(
    { decoder: variant() },
    { model: "\x9b" },
  ),
  'model: expected a text without control characters, got "\\udfff"': manifest(
    { decoder: variant() },
    { model: "\udfff" },
  ),
};

for (const [reason, document] of Object.entries(MANIFESTS)) {
  test(`a manifest: ${printable(reason)}`, () => {
    const message = `m.json: ${printable(reason)}`;
    assert.throws(() => parseManifest(JSON.stringify(document), "m.json"), {
      message,
      exitCode: 1,
    });
  });
}

for (const number of ["1e999", "-1e999", `1${"0".repeat(400)}`]) {
  for (const name of ["tolerance", "range", "later"]) {
    test(`${number.slice(0, 6)} as ${name} is refused`, () => {
      const document = manifest({ decoder: variant() }, { later: [{ loss: 0.125 }] });
      const at = { tolerance: "[0.000001,", range: "[0,1]", later: ":0.125" }[name];
      const changed = { tolerance: `[${number},`, range: `[0,${number}]` }[name] ?? `:${number}`;
      const text = JSON.stringify(document);
      parseManifest(text);
      assert.ok(text.includes(at));
      assert.throws(() => parseManifest(text.replace(at, changed)), /expected .*number/);
    });
  }
}

const TOLERANCES = [
  [1e-6, ": expected 2 numbers above 0, got 0.000001"],
  [undefined, ": expected 2 numbers above 0, got nothing"],
  [null, ": expected 2 numbers above 0, got null"],
  ["ab", ': expected 2 numbers above 0, got "ab"'],
  [{ 0: 1, 1: 1, length: 2 }, ": expected 2 numbers above 0, got an object"],
  [[], ": expected 2 numbers above 0, got a list of 0"],
  [[1], ": expected 2 numbers above 0, got a list of 1"],
  [[1, 1, 1], ": expected 2 numbers above 0, got a list of 3"],
  [[0, 1], "[0]: expected a number above 0, got 0"],
  [[1, -1], "[1]: expected a number above 0, got -1"],
  [[1, "1"], '[1]: expected a number above 0, got "1"'],
  [[1, null], "[1]: expected a number above 0, got null"],
  [[[1], 1], "[0]: expected a number above 0, got a list"],
  [[1, true], "[1]: expected a number above 0, got true"],
];

for (const [tolerance, said] of TOLERANCES) {
  test(`a tolerance${said}`, () => {
    const document = part();
    document.parts.decoder.fp32.golden[0].outputs.y.tolerance = tolerance;
    const message = `m.json: parts.decoder.fp32.golden[0].outputs.y.tolerance${said}`;
    assert.throws(() => parseManifest(JSON.stringify(document), "m.json"), { message });
  });
}

test("an output without rows has none to compare", () => {
  const document = part();
  Object.assign(document.parts.decoder.fp32.golden[0].outputs.y, { shape: [], tolerance: [] });
  const message =
    "m.json: parts.decoder.fp32.golden[0].outputs.y.shape: expected at least one size, got a list";
  assert.throws(() => parseManifest(JSON.stringify(document), "m.json"), { message });
});

test("no message acts on a terminal", () => {
  assert.equal(
    printable("a\x1b[31m\n\x7f\x9b\ud800\u202e\u{1f600}é"),
    "a\\x1b[31m\\x0a\\x7f\\x9b\\ud800\\u202e\u{1f600}é",
  );
  assert.equal(oneLine(new Error(" two\n  lines \x1b")), "two lines \\x1b");
});
