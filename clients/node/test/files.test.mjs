import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";

import { readRegular, requireWritable, writeWhole } from "../files.mjs";

const top = fs.mkdtempSync(join(tmpdir(), "aeonnx-test-"));
after(() => fs.rmSync(top, { recursive: true }));

let folder;
beforeEach(() => (folder = fs.mkdtempSync(join(top, "case-"))));

const at = (name) => join(folder, name);
const NEW = Buffer.from("new");

function fifo(name) {
  execFileSync("mkfifo", [at(name)]);
  return at(name);
}

async function assertWrites(path, force = false) {
  await requireWritable(path, force);
  await writeWhole(path, NEW, force);
}

async function assertRefuses(path, message, force = false) {
  await assert.rejects(requireWritable(path, force), { message, exitCode: 1 });
  await assert.rejects(writeWhole(path, NEW, force), { message, exitCode: 1 });
}

test("only regular files are read, and at once", async () => {
  const paths = [folder, fifo("pipe"), "/dev/zero", "/dev/null"];
  fs.symlinkSync("/dev/zero", at("link"));
  for (const path of [...paths, at("link")]) {
    await assert.rejects(readRegular(path, 100), { message: `${path} is not a regular file` });
  }
});

test("a file is read up to a size, through links", async () => {
  fs.writeFileSync(at("a"), "abc");
  fs.symlinkSync("a", at("link"));
  assert.equal(String(await readRegular(at("link"), 3)), "abc");
  await assert.rejects(readRegular(at("a"), 2), {
    message: `${at("a")} is 3 bytes, expected at most 2`,
    size: 3,
  });
});

test("a new file has the mode of new files", async () => {
  const before = process.umask(0o027);
  await assertWrites(at("a"));
  process.umask(before);
  assert.equal(fs.statSync(at("a")).mode & 0o777, 0o640);
  assert.deepEqual(fs.readdirSync(folder), ["a"]);
});

test("a file is replaced with --force alone, and keeps its mode", async () => {
  fs.writeFileSync(at("a"), "old", { mode: 0o600 });
  await assertRefuses(
    at("a"),
    `${at("a")} exists already: pass --force to replace it, or name another`,
  );
  assert.equal(fs.readFileSync(at("a"), "utf8"), "old");
  await assertWrites(at("a"), true);
  assert.equal(fs.readFileSync(at("a"), "utf8"), "new");
  assert.equal(fs.statSync(at("a")).mode & 0o777, 0o600);
  assert.deepEqual(fs.readdirSync(folder), ["a"]);
});

test("links stay, and what they point to is written", async () => {
  fs.mkdirSync(at("sub/deep"), { recursive: true });
  fs.symlinkSync("sub/deep", at("way"));
  fs.symlinkSync("way/../b", at("first")); // sub/b, not b
  fs.symlinkSync("first", at("second"));
  await assertWrites(at("second"));
  assert.equal(fs.readFileSync(at("sub/b"), "utf8"), "new");
  await assertRefuses(
    at("second"),
    `${at("second")} exists already: pass --force to replace it, or name another`,
  );
  await assertWrites(at("second"), true);
  for (const name of ["first", "second"]) assert.ok(fs.lstatSync(at(name)).isSymbolicLink());
  assert.deepEqual(fs.readdirSync(folder).sort(), ["first", "second", "sub", "way"]);
});

test("devices and pipes are written through", async () => {
  const before = fs.statSync("/dev/null");
  await assertWrites("/dev/null");
  fs.symlinkSync("/dev/null", at("link"));
  await assertWrites(at("link"));
  assert.equal(fs.statSync("/dev/null").rdev, before.rdev);
  assert.ok(fs.statSync("/dev/null").isCharacterDevice());
  const reader = spawn("cat", [fifo("pipe")]);
  const said = (async () => Buffer.concat(await reader.stdout.toArray()))();
  await assertWrites(at("pipe"));
  assert.equal(String(await said), "new");
  assert.ok(fs.statSync(at("pipe")).isFIFO());
});

test("what cannot be written is said, and nothing is left", async () => {
  await assertRefuses(folder, `cannot write ${folder}: it is a folder`, true);
  fs.symlinkSync("loop", at("loop"));
  await assertRefuses(at("no/a"), `cannot write ${at("no/a")}: there is no folder ${at("no")}`);
  for (const path of [at("loop"), at("x".repeat(256))]) {
    await assert.rejects(writeWhole(path, NEW, true), (error) => {
      assert.ok(error.message.startsWith(`cannot write ${path}: E`));
      return error.exitCode === 1;
    });
  }
  await assert.rejects(
    writeWhole("/dev/full", NEW, true),
    /^Error: cannot write \/dev\/full: ENOSPC/,
  );
  assert.deepEqual(fs.readdirSync(folder), ["loop"]);
});
