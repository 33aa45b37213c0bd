import assert from "node:assert/strict";
import { test } from "node:test";

import { requirePlainGraph } from "../graph.mjs";
import { field, manifest, message, model, opened, variant, hash } from "./made.mjs";

const attribute = (...fields) => ({ node: [field(5, message(field(1, "a"), ...fields))] });
const external = message(field(13, message(field(1, "location"), field(2, "secret.txt"))));

const FORBIDDEN = {
  "a weight in another file": [{ weight: [field(14, 1)] }, "weights in other files"],
  "a number that is cut to that": [{ weight: [field(14, 2 ** 32 + 1)] }, "weights in other files"],
  "the name of another file": [{ weight: [external] }, "weights in other files"],
  "an attribute in another file": [attribute(field(5, external)), "weights in other files"],
  "attributes in other files": [attribute(field(10, external)), "weights in other files"],
  "a sparse weight": [{ graph: [field(15, "")] }, "sparse weights"],
  "a sparse attribute": [attribute(field(22, "")), "sparse weights"],
  "sparse attributes": [attribute(field(23, "")), "sparse weights"],
  "the type of one": [attribute(field(20, 11)), "sparse weights"],
  "a subgraph": [attribute(field(6, "")), "a subgraph (Relu)"],
  subgraphs: [attribute(field(11, "")), "a subgraph (Relu)"],
  "the type of a subgraph": [attribute(field(20, 5)), "a subgraph (Relu)"],
  ...Object.fromEntries(
    ["Loop", "If", "Scan", "SequenceMap"].map((name) => [
      name,
      [{ node: [field(4, name)] }, `a subgraph (${name})`],
    ]),
  ),
  "another domain": [{ node: [field(7, "com.example")] }, 'operators of the domain "com.example"'],
  "a domain that is imported": [
    { top: [field(8, message(field(1, "x.y"), field(2, 1)))] },
    'operators of the domain "x.y"',
  ],
  "training information": [{ top: [field(20, "")] }, "training information"],
  functions: [{ top: [field(25, "")] }, "functions"],
  "a second graph": [
    { top: [field(7, message(field(5, message(field(14, 1)))))] },
    "weights in other files",
  ],
};

for (const [name, [change, reason]] of Object.entries(FORBIDDEN)) {
  test(`${name} is refused`, () => {
    const message = `part.onnx: a bundle never holds ${reason}`;
    assert.throws(() => requirePlainGraph("part.onnx", model(change)), { message, exitCode: 1 });
  });
}

const DAMAGED = {
  "it ends inside a field": model().subarray(0, -3),
  "field 7 is of another kind": message(model(), field(7, 1)),
  "field 4 is of another kind": model({ node: [field(4, 1)] }),
  "wire type 3 is not used in graphs": message(model(), Buffer.from([0x4b, 0x4c])),
  "it has no graph": field(1, 8),
  "it is in onnxruntime's own format": message(field(2, "  ORTM  "), model()),
  "it ends inside a number": message(model(), Buffer.from([0x80])),
  "a number is longer than 10 bytes": message(model(), Buffer.alloc(11, 0x80)),
  "a field has no valid number": message(model(), Buffer.from([2, 0])),
};

for (const [reason, bytes] of Object.entries(DAMAGED)) {
  test(`no graph: ${reason}`, () => {
    const message = `part.onnx is not an ONNX graph: ${reason}`;
    assert.throws(() => requirePlainGraph("part.onnx", bytes), { message, exitCode: 1 });
  });
}

test("a plain graph passes", () => {
  requirePlainGraph("part.onnx", model());
  requirePlainGraph("part.onnx", model({ node: [field(7, "ai.onnx")], weight: [field(14, 0)] }));
});

test("damaged bytes are refused or pass, and nothing else", () => {
  let state = 1;
  const random = (below) => (state = (state * 48271) % 0x7fffffff) % below;
  const whole = model({ node: [field(5, field(5, field(9, "values")))] });
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(whole);
    for (let change = random(4); change >= 0; change--) bytes[random(bytes.length)] = random(256);
    try {
      requirePlainGraph("part.onnx", bytes.subarray(0, bytes.length - random(4)));
    } catch (error) {
      assert.equal(error.constructor.name, "BundleError");
      refused++;
    }
  }
  assert.ok(refused > 5000);
});

test("a graph is walked before the engine has it", async () => {
  const graph = model({ weight: [external] });
  const part = variant({ bytes: graph.length, sha256: hash(graph) });
  const bundle = await opened(manifest({ denoiser: part }), { graph });
  await assert.rejects(bundle.part("denoiser"), {
    message: "part.onnx: a bundle never holds weights in other files",
  });
});
