// The verb `score`: files in, a table out.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";

import { packNpy } from "../npy.mjs";
import { writePicture } from "../picture.mjs";
import { scoreFiles } from "../scores.mjs";
import { axis, manifest, opened, promised, tensor, variant } from "./made.mjs";

const top = fs.mkdtempSync(join(tmpdir(), "aeonnx-test-"));
after(() => fs.rmSync(top, { recursive: true }));

let folder;
beforeEach(() => (folder = fs.mkdtempSync(join(top, "case-"))));

const at = (name) => join(folder, name);
const HEAD = "name,score,percentile,verdict\n";
const ERROR = tensor("error", "float32", ["batch"], null, "score");
const GREY = { width: 3, height: 2, channels: 1 };

async function picture(name, first) {
  await writePicture(at(name), { ...GREY, data: Uint8Array.of(first, 0, 0, 0, 0, 0) });
  return at(name);
}

function array(name, dtype, shape, data) {
  fs.writeFileSync(at(name), packNpy({ dtype, shape, data }));
  return at(name);
}

/** A scorer whose score is the first value of a row; `runs` gets the rows of each run. */
async function opens({ inputs = [tensor("x")], normal = true, ...others } = {}) {
  const runs = [];
  const give = (spec, rows, { x }) => {
    runs.push(rows);
    const width = x.data.length / rows;
    return {
      ...promised(spec, rows),
      data: Float32Array.from({ length: rows }, (_, row) => x.data[row * width]),
    };
  };
  const quantiles = Array.from({ length: 101 }, (_, place) => place / 128);
  const known = { percentiles: { error: { p99: 0.5 } }, normal: { error: { quantiles } } };
  const made = variant({ inputs, outputs: [ERROR], ...(normal && known), ...others });
  return { bundle: await opened(manifest({ scorer: made }), { give }), runs };
}

/** What is printed. */
async function printed(bundle, files, options = {}) {
  let text = "";
  const print = (table) => (text += table);
  await scoreFiles(bundle, files, { threshold: "p99", ...options, print });
  return text;
}

test("pictures are scored one at a time, and have their names", async () => {
  const { bundle, runs } = await opens();
  const files = [await picture("b.png", 0), await picture("a.png", 255)];
  const text = `${HEAD}${at("b.png")},0,0,normal\n${at("a.png")},1,100,odd\n`;
  assert.equal(await printed(bundle, files), text);
  assert.deepEqual(runs, [1, 1]);
});

test("rows are counted, within their file if it is not the only one", async () => {
  const { bundle, runs } = await opens({ inputs: [tensor("x", "float32", ["batch", 2], null)] });
  const x = array("x.npy", "float64", [3, 2], Float64Array.of(0.25, 0, 1e30, 0, -1e-30, 0));
  const lines = ["0,0.25,32,normal", "1,1.0000000150474662e+30,100,odd"];
  const last = `${-Math.fround(1e-30)},0,normal`;
  assert.equal(await printed(bundle, [x]), `${HEAD}${lines.join("\n")}\n2,${last}\n`);
  assert.deepEqual(runs, [3]);
  const all = await printed(bundle, [x, x]);
  assert.equal(all.split("\n")[6], `${x}:2,${last}`);
});

test("pictures and arrays of images go together", async () => {
  const { bundle } = await opens();
  const x = array("x.npy", "float32", [1, 1, 2, 3], Float32Array.of(7, 0, 0, 0, 0, 0));
  const text = await printed(bundle, [await picture("a", 0), x]);
  assert.equal(text, `${HEAD}${at("a")},0,0,normal\n${x}:0,7,100,odd\n`);
});

test("a picture of any size has its own", async () => {
  const inputs = [tensor("x", "float32", ["batch", 1, "height", "width"])];
  const axes = { height: axis({ margin: null }), width: axis({ margin: null }) };
  const { bundle } = await opens({ inputs, axes });
  assert.match(await printed(bundle, [await picture("a.png", 255)]), /a\.png,1,100,odd\n$/);
});

test("a manifest that says nothing of normal rows leaves percentiles empty", async () => {
  const { bundle } = await opens({ normal: false });
  const text = await printed(bundle, [await picture("a.png", 255)], { threshold: "-1" });
  assert.equal(text, `${HEAD}${at("a.png")},1,,odd\n`);
});

test("what is no number has names that most languages know", async () => {
  const give = (spec, rows) => ({
    ...promised(spec, rows),
    data: Float32Array.of(NaN, Infinity, -Infinity),
  });
  const inputs = [tensor("x", "float32", ["batch", 1], null)];
  const bundle = await opened(manifest({ scorer: variant({ inputs, outputs: [ERROR] }) }), {
    give,
  });
  const x = array("x.npy", "float32", [3, 1], new Float32Array(3));
  const text = await printed(bundle, [x], { threshold: "0" });
  assert.equal(text, `${HEAD}0,inf,,odd\n1,inf,,odd\n2,-inf,,normal\n`);
});

const NAMES = [
  // a name, in a file, on stdout
  ["a b'c;d", "a b'c;d", "a b'c;d"],
  ["a,b", '"a,b"', '"a,b"'],
  ['a"b"', '"a""b"""', '"a""b"""'],
  ["a\nb", '"a\nb"', "a\\x0ab"],
  ["a\rb", '"a\rb"', "a\\x0db"],
  ["\x1b[2J,", '"\x1b[2J,"', '"\\x1b[2J,"'],
];

for (const [name, inFile, onStdout] of NAMES) {
  test(`a name: ${JSON.stringify(name)}`, async () => {
    const { bundle } = await opens();
    const files = [await picture(name, 255)];
    await scoreFiles(bundle, files, { threshold: "p99", to: at("x.csv") });
    const line = (quoted) => `${quoted.replace(/^("?)/, `$1${folder}/`)},1,100,odd\n`;
    assert.equal(fs.readFileSync(at("x.csv"), "utf8"), HEAD + line(inFile));
    assert.equal(await printed(bundle, files), HEAD + line(onStdout));
  });
}

test("a table is replaced with --force alone, before anything runs", async () => {
  const { bundle, runs } = await opens();
  const files = [await picture("a.png", 0)];
  const to = at("SCORES.CSV");
  fs.writeFileSync(to, "old");
  const options = { threshold: "p99", to };
  const message = `${to} exists already: pass --force to replace it, or name another`;
  await assert.rejects(scoreFiles(bundle, files, options), { message, exitCode: 1 });
  assert.equal(runs.length, 0);
  assert.equal(fs.readFileSync(to, "utf8"), "old");
  await scoreFiles(bundle, files, { ...options, force: true });
  assert.equal(fs.readFileSync(to, "utf8"), `${HEAD}${at("a.png")},0,0,normal\n`);
});

test("a failure at any file leaves no table", async () => {
  const { bundle } = await opens();
  const files = [await picture("a.png", 0), at("none.png")];
  const message = `${at("none.png")} does not exist`;
  await assert.rejects(scoreFiles(bundle, files, { threshold: "p99", to: at("x.csv") }), {
    message,
    exitCode: 1,
  });
  assert.deepEqual(fs.readdirSync(folder), ["a.png"]);
  const print = () => assert.fail("half a table");
  await assert.rejects(scoreFiles(bundle, files, { threshold: "p99", print }), { message });
});

test("what makes no sense is refused before any file is read", async () => {
  const { bundle } = await opens();
  for (const [options, message] of [
    [{ threshold: "p98" }, "threshold: expected p99 or a number, got p98"],
    [{ label: 3n }, "this scorer takes no --label: it scores rows of one kind"],
    [{ to: "x.txt" }, "x.txt: expected a name that ends in .csv"],
    [{ to: "csv" }, "csv: expected a name that ends in .csv"],
  ]) {
    await assert.rejects(printed(bundle, [at("none")], options), { message, exitCode: 2 });
  }
});

test("the option --label is named as it is written", async () => {
  for (const [range, label, expected] of [
    [null, -1n, "of 0 or more, got -1"],
    [[0, 9], 10n, "from 0 to 9, got 10"],
  ]) {
    const taken = tensor("label", "int64", ["batch"], /** @type {any} */ (range));
    const { bundle } = await opens({ inputs: [tensor("x"), taken] });
    await assert.rejects(printed(bundle, [at("none")], { label }), {
      message: `--label: expected a whole number ${expected}`,
      exitCode: 2,
    });
  }
});

const VECTOR = [tensor("x", "float32", ["batch", 3], null, "vector")];
const WIDE = [tensor("x", "float32", ["batch", 5, 2, 3])];
const FREE = [tensor("x", "float32", ["batch", 1, 2, 3], null)];

for (const [inputs, taken] of [
  [VECTOR, "vector [batch, 3]"],
  [WIDE, "image [batch, 5, 2, 3]"],
  [FREE, "image [batch, 1, 2, 3]"],
]) {
  test(`a picture is refused by what takes ${taken}`, async () => {
    const { bundle } = await opens({ inputs: /** @type {any} */ (inputs) });
    const file = await picture("a.png", 0);
    const message = `${file}: this scorer takes ${taken}: give a .npy file of rows`;
    await assert.rejects(printed(bundle, [file]), { message, exitCode: 1 });
  });
}

test("a folder is refused in words", async () => {
  const { bundle } = await opens();
  const rows = (await opens({ inputs: VECTOR })).bundle;
  const such = `such as ${folder}/*`;
  for (const [scorer, path, message] of [
    [bundle, folder, `${folder} is a folder: name the pictures in it, ${such}.png`],
    [bundle, `${folder}/`, `${folder}/ is a folder: name the pictures in it, ${such}.png`],
    [rows, folder, `${folder} is a folder: name the files in it, ${such}.npy`],
  ]) {
    await assert.rejects(printed(scorer, [path]), { message, exitCode: 1 });
  }
});

test("files are read as denoise and run read them", async () => {
  const { bundle } = await opens();
  fs.writeFileSync(at("text"), "text");
  fs.writeFileSync(at("half.npy"), "\x93NUMPY", "latin1");
  await writePicture(at("wide.png"), { ...GREY, width: 6, height: 1, data: new Uint8Array(6) });
  const expected = "scorer: x: expected float32 [batch, 1, 2, 3]";
  const picture = "is not a readable PNG, JPEG or BMP image";
  for (const [file, said] of [
    ["text", `${at("text")} ${picture}: it starts as none of them`],
    ["half.npy", `${at("half.npy")} is not a readable .npy file: it ends inside its header`],
    ["wide.png", `${at("wide.png")}: expected 3x2 pixels, got 6x1: resize it first`],
    [array("i.npy", "int64", [1, 6], new BigInt64Array(6)), `${expected}, got int64 [1, 6]`],
    [
      array("u.npy", "uint8", [1, 1, 2, 3], new Uint8Array(6)),
      `${expected}, got uint8 [1, 1, 2, 3]`,
    ],
    [
      array("none.npy", "float32", [0, 1, 2, 3], new Float32Array(0)),
      `${expected}, got float32 [0, 1, 2, 3]`,
    ],
  ]) {
    const path = file.startsWith("/") ? file : at(file);
    await assert.rejects(printed(bundle, [path]), { message: said, exitCode: 1 });
  }
});
