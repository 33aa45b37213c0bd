#!/usr/bin/env node
// Check a bundle, and make images with it. See README.md for what each code means.

import { parseArgs } from "node:util";

import { UsageError, checkedLine, grid, oneLine, timeLine } from "./bundle.mjs";
import { openFolder, readPicture, writePicture } from "./node.mjs";

const USAGE = `Usage:
  aeonnx check BUNDLE [--time]
  aeonnx denoise BUNDLE in.png out.png
  aeonnx generate BUNDLE [--seed S] [-n N] out.png`;

/**
 * Verbs: the names of their arguments, their options, and what they do, with the exit code.
 *
 * @type {Map<string, {names: string[], options: import("node:util").ParseArgsConfig["options"],
 *   act: (args: any, values: any) => Promise<number>}>}
 */
const VERBS = new Map([
  ["check", { names: ["BUNDLE"], options: { time: { type: "boolean" } }, act: check }],
  ["denoise", { names: ["BUNDLE", "in.png", "out.png"], options: {}, act: denoise }],
  [
    "generate",
    {
      names: ["BUNDLE", "out.png"],
      options: {
        seed: { type: "string", default: "0" },
        n: { type: "string", short: "n", default: "64" },
      },
      act: generate,
    },
  ],
]);

async function check([folder], { time }) {
  const bundle = await openFolder(folder);
  const { outputs, ok } = await bundle.check((line) => console.log(line));
  if (time) {
    for (const [part, variants] of bundle.manifest.parts) {
      for (const variant of variants.keys()) {
        console.log(timeLine(part, variant, await bundle.time(part, variant)));
      }
    }
  }
  console.log(checkedLine(outputs, bundle.version));
  return ok ? 0 : 3;
}

async function denoise([folder, from, to]) {
  const bundle = await openFolder(folder);
  const shape = bundle.manifest.input_shape;
  const clean = await bundle.denoise(await readPicture(from, shape));
  await writePicture(to, grid(clean, 1, shape));
  return 0;
}

async function generate([folder, to], { seed, n }) {
  const count = Number(whole(n, "-n"));
  const seeds = whole(seed, "--seed");
  const bundle = await openFolder(folder);
  const pixels = await bundle.generate(seeds, count);
  await writePicture(to, grid(pixels, count, bundle.manifest.input_shape));
  return 0;
}

function whole(text, option) {
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new UsageError(`${option}: expected a whole number, got "${text}"`);
}

/** @param {string[]} args */
async function main([name, ...rest]) {
  const verb = VERBS.get(name);
  if (!verb) {
    throw new UsageError(`expected ${[...VERBS.keys()].join(", ")}, got ${name ?? "nothing"}`);
  }
  const { values, positionals } = parsed(rest, verb.options);
  if (positionals.length !== verb.names.length) {
    throw new UsageError(`${name}: expected ${verb.names.join(" ")}, got ${positionals.join(" ")}`);
  }
  return verb.act(positionals, values);
}

function parsed(args, options) {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error.message);
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`Error: ${oneLine(error)}`);
  if (error instanceof UsageError) console.error(USAGE);
  process.exitCode = error.exitCode ?? 1;
}
