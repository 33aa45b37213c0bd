#!/usr/bin/env node
// Reads damaged bundles and prints a line for each: accepted, wrong or refused. It prints no more.
//
//   node fuzz.mjs FOLDER             manifests in FOLDER/manifests, as if each were FOLDER/bundle's
//   node fuzz.mjs --bundles FOLDER   all that the program does, with each folder in FOLDER

import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, parse } from "node:path";

import { grid, oneLine, openBundle } from "./bundle.mjs";
import { readRegular } from "./files.mjs";
import { openFolder, readPicture, readerOf, writePicture } from "./node.mjs";

const IMAGES = 3;

async function readManifests(folder) {
  const readInside = readerOf(join(folder, "bundle"));
  for (const file of (await readdir(join(folder, "manifests"))).sort()) {
    const { name, ext } = parse(file);
    if (ext !== ".json") continue;
    const path = join(folder, "manifests", file);
    await said(name, () =>
      readAll((inside, most) =>
        inside === "manifest.json" ? readRegular(path, most) : readInside(inside, most),
      ),
    );
  }
}

async function readAll(read) {
  const bundle = await openBundle({ ort: null, read, where: "bundle", version: "0" });
  for (const [part, variants] of bundle.manifest.parts) {
    for (const [variant, { golden }] of variants) {
      await bundle.graph(part, variant);
      for (const number of golden.keys()) await bundle.golden(part, variant, number);
    }
  }
  return "accepted";
}

async function runBundles(folder) {
  const scratch = await mkdtemp(join(tmpdir(), "aeonnx-fuzz-"));
  const picture = join(scratch, "picture.png");
  try {
    for (const name of (await readdir(folder)).sort()) {
      const path = join(folder, name);
      if (name.startsWith(".") || !(await isFolder(path))) continue;
      await said(name, () => runAll(path, join(folder, "in.png"), picture));
    }
  } finally {
    await rm(scratch, { recursive: true });
  }
}

async function isFolder(path) {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

async function runAll(folder, noisy, picture) {
  const bundle = await openFolder(folder);
  try {
    const { ok } = await bundle.check();
    const write = (pixels, count, shape) =>
      writePicture(picture, grid(pixels, count, shape), { force: true });
    if (bundle.has("denoiser")) {
      const shape = bundle.imageShape("denoiser");
      const { pixels, height, width } = await readPicture(noisy, shape);
      const clean = await bundle.denoise(pixels, [height, width]);
      await write(clean, 1, [shape[0], height, width]);
    }
    if (bundle.has("sampler")) {
      const label = firstLabel(bundle, "sampler");
      const images = await bundle.generate(0n, IMAGES, 0, { label });
      await write(images, IMAGES, bundle.generatedShape());
    }
    if (bundle.has("scorer")) await scoreGolden(bundle);
    return ok ? "ok" : "wrong";
  } finally {
    await bundle.close();
  }
}

async function scoreGolden(bundle) {
  const { inputs, golden } = bundle.manifest.parts.get("scorer").get("fp32");
  const options = { threshold: 0, label: firstLabel(bundle, "scorer") };
  for (const number of golden.keys()) {
    const stored = await bundle.golden("scorer", "fp32", number);
    await bundle.score(stored.inputs[inputs[0].name], options);
  }
}

function firstLabel(bundle, part) {
  const { inputs } = bundle.manifest.parts.get(part).get("fp32");
  const label = inputs.find(({ kind }) => kind === "label");
  return label && BigInt(Math.ceil(label.range?.[0] ?? 0));
}

async function said(name, act) {
  try {
    console.log(`${name} ${await act()}`);
  } catch (error) {
    console.log(`${name} refused: ${oneLine(error)}`);
  }
}

const [first, second] = process.argv.slice(2);
await (first === "--bundles" ? runBundles(second) : readManifests(first));
