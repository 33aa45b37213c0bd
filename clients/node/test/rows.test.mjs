// Golden outputs: each row is judged by its own tolerance.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hash, manifest, opened, tensor, variant } from "./made.mjs";

/**
 * What `check` says of an output whose rows are off by `errors` from a golden one of zeros, and its
 * line. The graph is told by its input which row is which.
 */
async function checked(errors, tolerance, { batch = "batch", shape = [errors.length, 1] } = {}) {
  const rows = errors.length;
  const numbers = Buffer.from(Float32Array.from(errors.keys()).buffer);
  const zeros = Buffer.alloc(4 * shape.reduce((all, size) => all * size, 1));
  const stored = (file, bytes) => ({ file, sha256: hash(bytes), dtype: "float32" });
  const document = manifest({
    decoder: variant({
      inputs: [tensor("x", "float32", [batch, 1], null)],
      outputs: [tensor("y", "float32", [batch, 1], null)],
      golden: [
        {
          inputs: { x: { ...stored("numbers", numbers), shape: [rows, 1] } },
          outputs: { y: { ...stored("zeros", zeros), shape, tolerance } },
        },
      ],
    }),
  });
  const give = ({ dtype }, given, { x }) => {
    return { dtype, shape: [given, 1], data: Float32Array.from(x.data, (row) => errors[row]) };
  };
  const lines = [];
  const bundle = await opened(document, { give, files: { numbers, zeros } });
  const { ok, outputs } = await bundle.check((line) => lines.push(line));
  return { ok, ...outputs[0], lines };
}

const TOLERANCES = [0.0009765625, 1, 0.125, 1];
const ROWS = [
  // errors, ok, the row that is told of
  [[0.00048828125, 0.5, 0.109375, 0], true, 2],
  [[0.001953125, 0.5, 0.109375, 0], false, 0],
  [[0, 0.5, 0.5, 0.984375], false, 2],
  [[0.0009765625, -1, 0.125, 1], true, 0],
  [[0.001953125, NaN, 0.125, 1], false, 1],
  [[0.001953125, Infinity, 0.125, NaN], false, 3],
  [[0, 0, -Infinity, 0], false, 2],
  [[0, 0, 0, 0], true, 0],
];

for (const [errors, ok, row] of ROWS) {
  for (const batch of ["batch", 2]) {
    test(`rows that are off by ${errors}, ${batch} at once`, async () => {
      const found = await checked(errors, TOLERANCES, { batch });
      const expected = [ok, Math.abs(errors[row]), TOLERANCES[row]];
      assert.deepEqual([found.ok, found.error, found.tolerance], expected);
      assert.equal(found.lines.length, 1);
    });
  }
}

test("the line of an output is that of its worst row", async () => {
  const { lines } = await checked([0, 0.5, 0.25, 0], TOLERANCES);
  assert.deepEqual(lines, ["WRONG decoder fp32 y: max error 0.25, tolerance 0.125"]);
});

test("an output is right if every row is, whatever the tolerances", async () => {
  for (let trial = 0; trial < 300; trial++) {
    const rows = 1 + (trial % 7);
    const any = () => Math.fround(2 ** (-20 * Math.random()));
    const tolerances = Array.from({ length: rows }, any);
    const near = [1, 1, 1 - 2 ** -20, 1 + 2 ** -20, Math.random(), 1 + Math.random() / 50];
    const errors = tolerances.map((it) => Math.fround(it * near[Math.floor(Math.random() * 6)]));
    const found = await checked(errors, tolerances, { batch: trial % 2 ? "batch" : rows });
    const ratios = errors.map((error, row) => error / tolerances[row]);
    const row = ratios.indexOf(Math.max(...ratios));
    const expected = [
      errors.every((error, row) => error <= tolerances[row]),
      errors[row],
      tolerances[row],
    ];
    assert.deepEqual([found.ok, found.error, found.tolerance], expected);
  }
});

test("a golden output with other rows is refused", async () => {
  await assert.rejects(checked([0, 0, 0, 0], [1, 1], { shape: [2, 2] }), {
    message:
      "made/manifest.json: parts.decoder.fp32.golden[0].outputs.y: expected float32 [4, 1], " +
      "got float32 [2, 2]",
    exitCode: 1,
  });
});
