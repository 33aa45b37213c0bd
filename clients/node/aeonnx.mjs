#!/usr/bin/env node
// Check a bundle, and make images with it. See README.md for what each code means.

import { parseArgs } from "node:util";

import {
  UsageError,
  checkedLine,
  grid,
  oneLine,
  printable,
  requirePicture,
  timeLine,
} from "./bundle.mjs";
import { openFolder, readPicture, requireWritable, writePicture } from "./node.mjs";

const USAGE = `Usage:
  aeonnx check BUNDLE [--time]
  aeonnx denoise BUNDLE in.png out.png [--force]
  aeonnx generate BUNDLE [--seed S] [-n N] out.png [--force]`;

/**
 * Names of the arguments, options, and what is done, which gives the exit code.
 *
 * @typedef {{names: string[], options: Record<string, {type: "string" | "boolean", short?: string,
 *   default?: string}>, act: (args: any, options: any) => Promise<number>}} Verb
 * @type {Record<string, Verb>}
 */
const VERBS = {
  check: { names: ["BUNDLE"], options: { time: { type: "boolean" } }, act: check },
  denoise: {
    names: ["BUNDLE", "in.png", "out.png"],
    options: { force: { type: "boolean" } },
    act: denoise,
  },
  generate: {
    names: ["BUNDLE", "out.png"],
    options: {
      seed: { type: "string", default: "0" },
      n: { type: "string", short: "n", default: "64" },
      force: { type: "boolean" },
    },
    act: generate,
  },
};

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

async function denoise([folder, from, to], { force }) {
  const bundle = await openFolder(folder);
  const shape = bundle.manifest.input_shape;
  requirePicture("denoiser", "denoise", shape);
  await bundle.ready("denoiser");
  await requireWritable(to, force);
  const clean = await bundle.denoise(await readPicture(from, shape));
  await writePicture(to, grid(clean, 1, shape), { force });
  return 0;
}

async function generate([folder, to], { seed, n, force }) {
  const count = Number(whole(n, "-n"));
  const seeds = whole(seed, "--seed");
  const bundle = await openFolder(folder);
  const shape = bundle.manifest.input_shape;
  requirePicture("sampler", "generate", shape);
  await bundle.ready("sampler");
  await requireWritable(to, force);
  const pixels = await bundle.generate(seeds, count);
  await writePicture(to, grid(pixels, count, shape), { force });
  return 0;
}

function whole(text, option) {
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new UsageError(`${option}: expected a whole number, got "${text}"`);
}

/** @param {string[]} args */
async function main([name, ...rest]) {
  if (!Object.hasOwn(VERBS, name ?? "")) {
    throw new UsageError(`expected ${Object.keys(VERBS).join(", ")}, got ${name ?? "nothing"}`);
  }
  const verb = VERBS[name];
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
    throw new UsageError(oneLine(error));
  }
}

process.stdout.on("error", () => process.exit(1)); // a reader such as head has left
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`Error: ${printable(error.message)}`);
  if (error instanceof UsageError) console.error(USAGE);
  process.exitCode = error.exitCode ?? 1;
}
