// Scores of rows: what the manifest says of them, what they are compared with, and what can score.

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseManifest } from "../bundle.mjs";
import { percentileOf } from "../normal.mjs";
import { IMAGE, axis, manifest, opened, promised, tensor, variant } from "./made.mjs";

const ERROR = tensor("error", "float32", ["batch"], null, "score");
const LABEL = tensor("label", "int64", ["batch"], [0, 9]);
const PERCENTILES = { error: { p99: 0.75, p95: 0.5 } };
const QUANTILES = Array.from({ length: 101 }, (_, place) => Math.max(0, place - 10) / 64);
const NORMAL = { error: { quantiles: QUANTILES } };

/** The manifest of a scorer. */
const scorerOf = ({ percentiles = PERCENTILES, normal = NORMAL, ...others } = {}) =>
  manifest({ scorer: variant({ outputs: [tensor("y"), ERROR], percentiles, normal, ...others }) });

/** A scorer whose score is the first value of a row; `runs` gets what its graph is given. */
async function opens(document = scorerOf()) {
  const runs = [];
  const give = (spec, rows, feeds) => {
    if (spec.kind !== "score") return promised(spec, rows);
    runs.push(feeds);
    const { data } = feeds.x;
    const width = data.length / rows;
    const firsts = Float32Array.from({ length: rows }, (_, row) => data[row * width]);
    return { ...promised(spec, rows), data: firsts };
  };
  return { bundle: await opened(document, { give }), runs };
}

/** Rows of six values, whose first ones are given. */
const rowsOf = (...firsts) => Float32Array.from(firsts.flatMap((first) => [first, 0, 0, 0, 0, 0]));

// What is computed.

test("scores, where they are among normal ones, and what is odd", async () => {
  const { bundle } = await opens();
  const found = await bundle.score(rowsOf(0, 0.5, 0.5078125, 0.75, 1, 2));
  assert.deepEqual(found, {
    scores: Float32Array.of(0, 0.5, 0.5078125, 0.75, 1, 2),
    percentiles: Float64Array.of(0, 42, 42.5, 58, 74, 100),
    odd: [false, false, false, false, true, true],
    threshold: 0.75,
  });
});

const PLACES = [
  // score, percentile
  [-1, 0],
  [0, 0], // the lowest eleven are equal
  [1 / 128, 10.5],
  [1 / 64, 11],
  [1 / 64 + 2 ** -8, 11.25],
  [89 / 64, 99],
  [89.5 / 64, 99.5],
  [90 / 64, 100],
  [1.5, 100],
  [Infinity, 100],
  [-Infinity, 0],
  [NaN, 0],
];

for (const [score, percentile] of PLACES) {
  test(`the percentile of ${score}`, () => {
    assert.equal(percentileOf(QUANTILES, score), percentile);
  });
}

test("a percentile between equal quantiles, and of a scale that overflows", () => {
  const equal = Array(101).fill(0.5);
  assert.deepEqual(
    [0.25, 0.5, 0.75].map((score) => percentileOf(equal, score)),
    [0, 0, 100],
  );
  const wide = [...Array(50).fill(-1e308), ...Array(51).fill(1e308)];
  assert.equal(percentileOf(wide, 0), 49);
});

test("values out of the range are scored, which run refuses", async () => {
  const { bundle } = await opens();
  const x = rowsOf(300, -7);
  assert.deepEqual((await bundle.score(x)).scores, Float32Array.of(300, -7));
  const run = (await bundle.part("scorer")).run({ x });
  await assert.rejects(run, { message: "scorer: x: expected values in [0, 1], got -7 to 300" });
});

test("NaN and infinity are refused, but for what may be missing", async () => {
  const message = "scorer: x: expected finite values, got NaN or infinity";
  const some = scorerOf({ inputs: [{ ...tensor("x"), missing: true }] });
  for (const [document, value] of [
    [scorerOf(), NaN],
    [scorerOf(), -Infinity],
    [some, Infinity],
  ]) {
    const { bundle, runs } = await opens(document);
    await assert.rejects(bundle.score(rowsOf(value)), { message, exitCode: 1 });
    assert.equal(runs.length, 0);
  }
  const { scores, odd, percentiles } = await (await opens(some)).bundle.score(rowsOf(NaN, 1));
  assert.deepEqual([...scores], [Infinity, 1]);
  assert.deepEqual(odd, [true, true]);
  assert.deepEqual([...percentiles], [100, 74]);
});

const EMPTY = [
  // shape of a row, rows that are scored, rows that are refused, the first without a value
  [[2], [NaN, 1, 0, NaN, 0.5, 0], [0, 1, NaN, NaN, NaN, NaN], 1],
  [[2], [1, NaN], [NaN, NaN], 0],
  [[3, 2], [NaN, NaN, NaN, NaN, NaN, 1], [1, NaN, NaN, NaN, NaN, NaN, ...Array(6).fill(NaN)], 1],
];

for (const [shape, taken, refused, row] of /** @type {any[][]} */ (EMPTY)) {
  test(`a row of [${shape}] needs a value, not ${refused}`, async () => {
    const rows = tensor("x", "float32", ["batch", ...shape], null, "other");
    const { bundle, runs } = await opens(scorerOf({ inputs: [{ ...rows, missing: true }] }));
    const message = `scorer: x: expected a value in each row, got none in row ${row}: remove it`;
    const given = Float32Array.from(refused);
    await assert.rejects(bundle.score(given), { message, exitCode: 1 });
    assert.equal(runs.length, 0);
    await (await bundle.part("scorer")).run({ x: given }); // which says nothing of rows
    await bundle.score(Float32Array.from(taken));
  });
}

test("a value alone may be missing", async () => {
  const x = { ...tensor("x", "float32", ["batch"], null, "other"), missing: true };
  const { bundle } = await opens(scorerOf({ inputs: [x] }));
  assert.deepEqual([...(await bundle.score(Float32Array.of(NaN, 1))).scores], [Infinity, 1]);
});

test("no rows are refused as run refuses them", async () => {
  const { bundle } = await opens();
  const message = "scorer: x: expected float32 [batch, 1, 2, 3], got Float32Array [0, 1, 2, 3]";
  await assert.rejects(bundle.score(new Float32Array(0)), { message, exitCode: 1 });
});

test("the first score counts, by its own normal ones", async () => {
  const outputs = [tensor("y"), ERROR, { ...ERROR, name: "other" }];
  const other = { percentiles: { other: { p99: 9 }, error: { p99: 0.25 } }, normal: {} };
  const { bundle } = await opens(scorerOf({ outputs, ...other }));
  const found = await bundle.score(rowsOf(0.5));
  assert.deepEqual([found.threshold, found.odd], [0.25, [true]]);
  assert.deepEqual([...found.percentiles], [NaN]);
});

test("pixels are what the range of an image says, and themselves for a graph of pixels", async () => {
  const pixels = Uint8Array.of(255, 0, 0, 0, 0, 0, 51, 0, 0, 0, 0, 0);
  const floats = await opens(scorerOf({ inputs: [tensor("x", "float32", IMAGE, [-1, 1])] }));
  const { scores } = await floats.bundle.score(pixels);
  assert.deepEqual([...scores], [1, Math.fround(Math.fround(51 / 255) * 2 - 1)]);
  const uint8 = await opens(scorerOf({ inputs: [tensor("x", "uint8", IMAGE, [0, 255])] }));
  assert.deepEqual([...(await uint8.bundle.score(pixels)).scores], [255, 51]);
  const none = await opens(scorerOf({ inputs: [tensor("x", "float32", IMAGE, null)] }));
  await assert.rejects(none.bundle.score(pixels), /^Error: pixels: .*got values of any range$/);
  const tensorOf = { dtype: "uint8", shape: [2, 1, 2, 3], data: pixels };
  const message = "scorer: x: expected float32 [batch, 1, 2, 3], got uint8 [2, 1, 2, 3]";
  await assert.rejects(floats.bundle.score(tensorOf), { message });
});

test("pixels of images of any size have one", async () => {
  const inputs = [tensor("x", "float32", ["batch", 2, "height", "width"])];
  const outputs = [ERROR];
  const axes = {
    height: axis({ multiple: 2, min: 2, margin: null }),
    width: axis({ margin: null }),
  };
  const { bundle, runs } = await opens(scorerOf({ inputs, outputs, axes }));
  await bundle.score(new Uint8Array(3 * 2 * 4 * 5), { size: [4, 5] });
  assert.deepEqual(runs[0].x.dims, [3, 2, 4, 5]);
  await assert.rejects(bundle.score(new Uint8Array(30), { size: [3, 5] }), {
    message: "scorer: x: height: expected a multiple of 2 of at least 2, got 3: the nearest is 4",
  });
  await assert.rejects(bundle.score(new Uint8Array(39), { size: [4, 5] }), {
    message: "scorer: x: expected float32 [batch, 2, height, width], got float32 [0, 2, 4, 5]",
  });
});

test("a label is that of all rows", async () => {
  const labelled = { inputs: [tensor("x"), LABEL] };
  const { bundle, runs } = await opens(scorerOf(labelled));
  await bundle.score(rowsOf(0, 0, 0), { label: 7 });
  assert.deepEqual([...runs[0].label.data], [7n, 7n, 7n]);
  for (const [label, message] of [
    [undefined, "this scorer needs --label, 0 to 9"],
    [10, "label: expected a whole number from 0 to 9, got 10"],
    [1.5, "label: expected a whole number from 0 to 9, got 1.5"],
  ]) {
    const options = { label: /** @type {any} */ (label) };
    await assert.rejects(bundle.score(rowsOf(0), options), { message, exitCode: 2 });
  }
  const without = (await opens()).bundle.score(rowsOf(0), { label: 1 });
  const message = "this scorer takes no --label: it scores rows of one kind";
  await assert.rejects(without, { message, exitCode: 2 });
});

const LABELS = [
  // range, labels that are taken, that is refused, what is said
  [null, [0, 7n, 2n ** 63n - 1n], -1, "of 0 or more, got -1"],
  [null, [0], 0.5, "of 0 or more, got 0.5"],
  [null, [0], 2n ** 63n, `of 0 or more, got ${2n ** 63n}`],
  [[-3, 3], [-3, 3n], -4n, "from -3 to 3, got -4"],
];

for (const [range, taken, refused, said] of /** @type {any[][]} */ (LABELS)) {
  test(`a label ${said}`, async () => {
    const inputs = [tensor("x"), { ...LABEL, range }];
    const { bundle, runs } = await opens(scorerOf({ inputs }));
    const running = bundle.score(rowsOf(0), { label: refused });
    const message = `label: expected a whole number ${said}`;
    await assert.rejects(running, { message, exitCode: 2 });
    assert.equal(runs.length, 0);
    for (const label of taken) await bundle.score(rowsOf(300), { label });
    assert.deepEqual(
      runs.map((feeds) => feeds.label.data[0]),
      taken.map(BigInt),
    );
  });
}

// Thresholds.

const NUMBERS = [
  ["p95", 0.5],
  ["p99", 0.75],
  [0.25, 0.25],
  [-3, -3],
  ["-0.5", -0.5],
  ["+1.5e-2", 0.015],
  [".5", 0.5],
  ["2.", 2],
];

for (const [threshold, number] of NUMBERS) {
  test(`the threshold ${threshold}`, async () => {
    const { bundle } = await opens();
    assert.equal((await bundle.score(rowsOf(0), { threshold })).threshold, number);
  });
}

const NOTHING =
  "the manifest says nothing about the scores of normal images: " +
  "give a number, or export again with --calibration IMAGES";
const THRESHOLDS = [
  ...[
    "p98",
    "P99",
    "",
    " 1",
    "1_0",
    "0x10",
    "1e999",
    "inf",
    "nan",
    "error",
    "p",
    "1,5",
    "-",
    ".",
  ].map((text) => [text, PERCENTILES, `threshold: expected p95, p99 or a number, got ${text}`, 2]),
  ...[NaN, Infinity, true, null, {}].map((value) => [
    value,
    PERCENTILES,
    `threshold: expected p95, p99 or a number, got ${value}`,
    2,
  ]),
  ["p99", {}, `threshold p99: ${NOTHING}`, 1],
  ["p5", { y: { p5: 1 } }, `threshold p5: ${NOTHING}`, 1],
  ["p99", { error: {} }, `threshold p99: ${NOTHING}`, 1],
  ["p9x", {}, "threshold: expected a number, got p9x", 2],
  ["most", {}, "threshold: expected a number, got most", 2],
];

for (const [threshold, percentiles, message, exitCode] of THRESHOLDS) {
  test(`${JSON.stringify(percentiles)} ${message}`, async () => {
    const { bundle, runs } = await opens(scorerOf({ percentiles, normal: {} }));
    await assert.rejects(bundle.score(rowsOf(0), { threshold }), { message, exitCode });
    assert.equal(runs.length, 0);
  });
}

// What a scorer must be.

const FIRST = "a first input of the kind image, signal, volume, vector or other";
const SCORERS = {
  "expected an output of the kind score, got y, map": {
    outputs: [tensor("y"), tensor("map", "float32", ["batch", 2, 3])],
  },
  "expected error float32 [batch], got float64 [batch]": {
    outputs: [{ ...ERROR, dtype: "float64" }],
  },
  [`expected ${FIRST}, got z of latent`]: {
    inputs: [tensor("z", "float32", ["batch", 2], null, "latent")],
  },
  [`expected ${FIRST}, got label of label`]: { inputs: [LABEL, tensor("x")] },
  "expected x float32 [batch, 1, 2, 3], got int64 [batch, 1, 2, 3]": {
    inputs: [tensor("x", "int64")],
  },
  "expected x float32 [batch, 4], got float32 [4, 4]": {
    inputs: [tensor("x", "float32", [4, 4], null, "vector"), LABEL],
  },
  "expected 1 input, and a label at most, got x of image, w of other": {
    inputs: [tensor("x"), tensor("w", "float32", ["batch", 1])],
  },
  "expected 1 input, and a label at most, got x of image, label of label, more of label": {
    inputs: [tensor("x"), LABEL, { ...LABEL, name: "more" }],
  },
  "expected label int64 [batch], got float32 [batch]": {
    inputs: [tensor("x"), { ...LABEL, dtype: "float32" }],
  },
  "expected label int64 [batch], got int64 [batch, 1]": {
    inputs: [tensor("x"), tensor("label", "int64", ["batch", 1])],
  },
};

for (const [reason, specs] of Object.entries(SCORERS)) {
  test(`cannot score: ${reason}`, async () => {
    const { bundle } = await opens(scorerOf({ percentiles: {}, normal: {}, ...specs }));
    const message = `this bundle's scorer cannot score: ${reason}`;
    await assert.rejects(bundle.score(rowsOf(0)), { message, exitCode: 1 });
  });
}

// What the manifest says of normal rows.

const of = (quantiles) => ({ normal: { error: { quantiles } } });
const changed = (place, value) => of(QUANTILES.map((item, at) => (at === place ? value : item)));
const LIST = "101 finite numbers in ascending order";
const MANIFESTS = {
  "percentiles: expected an object, got null": { percentiles: null },
  "percentiles: expected an object, got a list": { percentiles: [] },
  "percentiles: expected outputs of the graph, got map, x": {
    percentiles: { ...PERCENTILES, x: {}, map: { p99: 1 } },
  },
  "percentiles.error: expected an object, got 0.5": { percentiles: { error: 0.5 } },
  'percentiles.error.p99: expected a finite number, got "0.5"': {
    percentiles: { error: { p99: "0.5" } },
  },
  "percentiles.error.p99: expected a finite number, got null": {
    percentiles: { error: { p99: null } },
  },
  'percentiles.error: a name: expected a text without control characters, got "\\u0007"': {
    percentiles: { error: { "\x07": 1 } },
  },
  "normal: expected an object, got null": { normal: /** @type {any} */ (null) },
  "normal: expected outputs with percentiles, got error": { percentiles: {} },
  "normal: expected outputs with percentiles, got y": {
    normal: /** @type {any} */ ({ y: NORMAL.error }),
  },
  "normal.error: expected an object, got a list": { normal: /** @type {any} */ ({ error: [] }) },
  [`normal.error.quantiles: expected ${LIST}, got nothing`]: of(undefined),
  [`normal.error.quantiles: expected ${LIST}, got "many"`]: of("many"),
  [`normal.error.quantiles: expected ${LIST}, got a list of 100`]: of(QUANTILES.slice(1)),
  [`normal.error.quantiles: expected ${LIST}, got a list of 102`]: of([...QUANTILES, 9]),
  'normal.error.quantiles[3]: expected a finite number, got "0"': changed(3, "0"),
  "normal.error.quantiles[100]: expected a finite number, got null": changed(100, null),
  "normal.error.quantiles[50]: expected 0.609375 or more, as the one before, got 0.5": changed(
    50,
    0.5,
  ),
};

for (const [reason, change] of Object.entries(MANIFESTS)) {
  test(`a manifest: ${reason}`, () => {
    const text = JSON.stringify(scorerOf(change));
    const message = `m.json: parts.scorer.fp32.${reason}`;
    assert.throws(() => parseManifest(text, "m.json"), { message, exitCode: 1 });
  });
}

test("a manifest must have percentiles, and numbers that are finite", () => {
  const document = scorerOf();
  parseManifest(JSON.stringify(document).replace('"p99":0.75', '"p99":1e9,"Other name":7'));
  const huge = JSON.stringify(document).replace('"p99":0.75', '"p99":1e999');
  assert.throws(() => parseManifest(huge), /percentiles\.error\.p99: expected a finite number/);
  const { percentiles: _, ...without } = document.parts.scorer.fp32;
  const less = JSON.stringify(manifest({ scorer: without }));
  assert.throws(() => parseManifest(less), /fp32\.percentiles: expected an object, got nothing$/);
});
