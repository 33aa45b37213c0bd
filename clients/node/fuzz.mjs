#!/usr/bin/env node
// Read damaged manifests as if each were that of FOLDER/bundle: `node fuzz.mjs FOLDER`.

import { readFile, readdir } from "node:fs/promises";
import { join, parse } from "node:path";

import { oneLine, openBundle } from "./bundle.mjs";
import { readerOf } from "./node.mjs";

const [folder] = process.argv.slice(2);
const readInside = readerOf(join(folder, "bundle"));

async function readAll(manifest) {
  const read = async (name) => (name === "manifest.json" ? readFile(manifest) : readInside(name));
  const bundle = await openBundle({ ort: null, read, where: "bundle", version: "0" });
  for (const [part, variants] of bundle.manifest.parts) {
    for (const variant of variants.keys()) {
      await bundle.graph(part, variant);
      await bundle.golden(part, variant);
    }
  }
}

for (const file of (await readdir(join(folder, "manifests"))).sort()) {
  const { name, ext } = parse(file);
  if (ext !== ".json") continue;
  try {
    await readAll(join(folder, "manifests", file));
    console.log(`${name} accepted`);
  } catch (error) {
    console.log(`${name} refused: ${oneLine(error)}`);
  }
}
