import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { runArrays } from "../arrays.mjs";
import { fromHalves, packNpy, parseNpy } from "../npy.mjs";
import { axis, manifest, opened, tensor, variant } from "./made.mjs";

const folder = mkdtempSync(join(tmpdir(), "aeonnx-npy-"));
after(() => rmSync(folder, { recursive: true }));

function npy(text, values, { version = [1, 0], length = undefined } = {}) {
  const size = length ?? text.length;
  const field = version[0] === 1 ? Buffer.alloc(2) : Buffer.alloc(4);
  if (version[0] === 1) field.writeUInt16LE(size);
  else field.writeUInt32LE(size);
  return Buffer.concat([
    Buffer.from([0x93]),
    Buffer.from("NUMPY"),
    Buffer.from(version),
    field,
    Buffer.from(text),
    values,
  ]);
}

const header = (descr, fortran, shape) =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;
const SIX = Uint8Array.of(1, 2, 3, 4, 5, 6);

for (const [dtype, data] of Object.entries({
  float32: Float32Array.of(0.5, -1, 3e38, NaN, Infinity, 0),
  float64: Float64Array.of(0.1, 2, 3, 4, 5, 6),
  uint8: SIX,
  bool: Uint8Array.of(0, 1, 1, 0, 1, 0),
  int32: Int32Array.of(-1, 2, 3, 4, 5, 2 ** 31 - 1),
  int64: BigInt64Array.of(-1n, 2n, 3n, 4n, 5n, 2n ** 63n - 1n),
})) {
  for (const shape of [[6], [2, 3], [1, 2, 3, 1]]) {
    test(`${dtype} [${shape}] is written and read again`, () => {
      const bytes = packNpy({ dtype, shape, data });
      assert.equal((bytes.length - data.byteLength) % 64, 0);
      const found = parseNpy(bytes);
      assert.deepEqual(found, { dtype, shape, data });
      // A view into a larger buffer, as a file that was read is.
      const larger = Buffer.concat([Buffer.from("before"), bytes, Buffer.from("after")]);
      assert.deepEqual(parseNpy(larger.subarray(6, 6 + bytes.length)), { dtype, shape, data });
    });
  }
}

test("Fortran order becomes C order", () => {
  const found = parseNpy(npy(header("|u1", "True", "(2, 3)"), SIX));
  assert.deepEqual([...found.data], [1, 3, 5, 2, 4, 6]);
  const three = parseNpy(npy(header("|u1", "True", "(1, 2, 3)"), SIX));
  assert.deepEqual([...three.data], [1, 3, 5, 2, 4, 6]);
});

for (const version of [
  [1, 0],
  [2, 0],
  [3, 0],
]) {
  test(`format version ${version.join(".")} is read, with fields in any order`, () => {
    const text = "{ 'shape':(2,3) ,'fortran_order' : False, 'descr': '|u1'}   \n";
    assert.deepEqual([...parseNpy(npy(text, SIX, { version })).data], [...SIX]);
  });
}

test("a number alone has no sizes", () => {
  assert.deepEqual(parseNpy(npy(header("|u1", "False", "()"), SIX.subarray(0, 1))).shape, []);
});

const GOOD = header("|u1", "False", "(6,)");
const BAD = [
  ["it does not begin as one", Buffer.from("PK\x03\x04")],
  ["it does not begin as one", Buffer.alloc(0)],
  ["it ends inside its header", npy("", Buffer.alloc(0)).subarray(0, 8)],
  ["it ends inside its header", npy(GOOD, SIX, { length: 60000 })],
  ["it ends inside its header", npy(GOOD, SIX, { version: [2, 0], length: 2 ** 32 - 1 })],
  ["expected format version 1.0 to 3.0, got 4.0", npy(GOOD, SIX, { version: [4, 0] })],
  ["expected format version 1.0 to 3.0, got 1.1", npy(GOOD, SIX, { version: [1, 1] })],
  [/^expected values of one of .*, got >f4$/, npy(header(">f4", "False", "(6,)"), SIX)],
  [/^expected values of one of .*, got \|O$/, npy(header("|O", "False", "(6,)"), SIX)],
  [/^expected values of one of .*, got __proto__$/, npy(header("__proto__", "False", "(6,)"), SIX)],
  ["expected 6 bytes of values for [6], got 5", npy(GOOD, SIX.subarray(1))],
  ["expected 6 bytes of values for [6], got 12", npy(GOOD, Buffer.concat([SIX, SIX]))],
  [
    /^expected 1e\+15 bytes|^expected 999999999999999 bytes/,
    npy(header("|u1", "False", "(999999999999999,)"), SIX),
  ],
  [
    /^expected Infinity bytes/,
    npy(header("|u1", "False", `(${"999999999999999,".repeat(30)})`), SIX),
  ],
  [/^expected whole numbers for its shape/, npy(header("|u1", "False", "(6,,)"), SIX)],
  [/^expected whole numbers for its shape/, npy(header("|u1", "False", "(6 6)"), SIX)],
  ...[
    "",
    "{}",
    "[1]",
    "{'descr': '|u1', 'fortran_order': False}",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}",
    "{'descr': '|u1', 'fortran_order': 0, 'shape': (6,)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-6,)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (6,)} + x",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (6,), 'more': 1}",
    "x{'descr': '|u1', 'fortran_order': False, 'shape': (6,)}",
    "{'descr': (1,), 'fortran_order': False, 'shape': (6,)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': True}",
  ].map((text) => [/^expected a header of descr, fortran_order and shape/, npy(text, SIX)]),
];

BAD.forEach(([message, bytes], number) => {
  test(`not an array: ${number}, ${message}`, () => {
    assert.throws(() => parseNpy(bytes), { message });
  });
});

test("no cut of a file is read, and no changed byte makes more than an error", () => {
  const whole = packNpy({ dtype: "float32", shape: [2, 3], data: Float32Array.from(SIX) });
  for (let end = 0; end < whole.length; end++)
    assert.throws(() => parseNpy(whole.subarray(0, end)), Error);
  for (let at = 0; at < whole.length; at++) {
    const changed = Uint8Array.from(whole);
    changed[at] ^= 1 << (at % 8);
    try {
      parseNpy(changed);
    } catch (error) {
      assert.equal(error.constructor, Error);
    }
  }
});

test("halves are the numbers that they stand for", () => {
  const bits = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0xfc00, 0x3555);
  const found = fromHalves(bits);
  assert.deepEqual([...found], [1, -2, 65504, 2 ** -24, -0, Infinity, -Infinity, 0.333251953125]);
  assert.ok(Number.isNaN(fromHalves(Uint16Array.of(0x7e00))[0]));
});

// The verb.

const SIGNAL = ["batch", 1, "2*frames"];
const document = manifest({
  encoder: variant({
    inputs: [tensor("x", "float32", SIGNAL, [-1, 1], "signal")],
    outputs: [tensor("z", "float32", ["batch", "frames"], null, "latent")],
    axes: { frames: axis({ min: 2 }) },
  }),
});
const give = (_, rows, { x }) => ({ dtype: "float32", shape: [rows, x.dims[2] / 2] });

async function ran(pairs, options) {
  return runArrays(await opened(document, { give }), "encoder", pairs, options);
}

function array(name, dtype, data, shape) {
  const path = join(folder, name);
  writeFileSync(path, packNpy({ dtype, shape, data }));
  return path;
}

const X = array("x.npy", "float32", new Float32Array(12), [2, 1, 6]);
const Z = join(folder, "z.npy");

test("a part runs on arrays of files", async () => {
  for (const x of [
    X,
    array("x64.npy", "float64", new Float64Array(12), [2, 1, 6]),
    array("x16.npy", "float16", new Uint16Array(12), [2, 1, 6]),
  ]) {
    await ran([`x=${x}`, `z=${Z}`], { force: true });
    const found = parseNpy(readFileSync(Z));
    assert.deepEqual(found, { dtype: "float32", shape: [2, 3], data: new Float32Array(6) });
  }
});

const wrong = (name, dtype, data, shape) => `x=${array(name, dtype, data, shape)}`;
const REFUSED = [
  ["encoder has no input or output y, it has: x, z", 2, [`x=${X}`, "y=y.npy"]],
  ["encoder needs x=FILE", 2, ["z=new.npy"]],
  ["name an output, such as z=out.npy", 2, [`x=${X}`]],
  ["run: x is given twice", 2, [`x=${X}`, `x=${X}`, "z=new.npy"]],
  ["run: expected name=file.npy, got x", 2, ["x"]],
  ["run: expected name=file.npy, got x=", 2, ["x="]],
  [
    "encoder: x: expected a multiple of 2 for 2*frames, got 7",
    1,
    [wrong("odd.npy", "float32", new Float32Array(7), [1, 1, 7]), "z=new.npy"],
  ],
  [
    "encoder: x: expected float32 [batch, 1, 2*frames], got float32 [12]",
    1,
    [wrong("flat.npy", "float32", new Float32Array(12), [12]), "z=new.npy"],
  ],
  [
    "encoder: x: expected float32 [batch, 1, 2*frames], got float32 [0, 1, 6]",
    1,
    [wrong("none.npy", "float32", new Float32Array(0), [0, 1, 6]), "z=new.npy"],
  ],
  [
    "encoder: x: expected float32 [batch, 1, 2*frames], got int64 [2, 1, 6]",
    1,
    [wrong("int.npy", "int64", new BigInt64Array(12), [2, 1, 6]), "z=new.npy"],
  ],
  [
    "encoder: x: expected finite values, got NaN or infinity",
    1,
    [wrong("large.npy", "float64", new Float64Array(12).fill(1e300), [2, 1, 6]), "z=new.npy"],
  ],
  [
    "encoder: x: expected values in [-1, 1], got -3 to 7",
    1,
    [wrong("wide.npy", "float64", Float64Array.of(-3, 7, 0, 0), [1, 1, 4]), "z=new.npy"],
  ],
];

for (const [message, exitCode, pairs] of REFUSED) {
  test(`run: ${message}`, async () => {
    await assert.rejects(ran(pairs), { message, exitCode });
    assert.ok(!existsSync("new.npy"));
  });
}

test("a file that is there is replaced with force alone", async () => {
  writeFileSync(Z, "kept");
  await assert.rejects(ran([`x=${X}`, `z=${Z}`]), /exists already: pass --force/);
  assert.equal(readFileSync(Z, "utf8"), "kept");
});

test("a file that is no array is said to be none", async () => {
  const path = join(folder, "text.npy");
  writeFileSync(path, "text");
  const message = `${path} is not a readable .npy file: it does not begin as one`;
  await assert.rejects(ran([`x=${path}`, `z=${join(folder, "new.npy")}`]), {
    message,
    exitCode: 1,
  });
  const missing = `x=${join(folder, "missing.npy")}`;
  await assert.rejects(
    ran([missing, `z=${join(folder, "new.npy")}`]),
    /missing\.npy does not exist$/,
  );
});
