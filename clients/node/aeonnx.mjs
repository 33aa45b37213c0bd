#!/usr/bin/env node
// Check a bundle, make images with it, find odd ones, and run its parts on arrays. See README.md for
// what each code means.

import { parseArgs } from "node:util";

import {
  UsageError,
  checkedLine,
  grid,
  labelOf,
  oneLine,
  printable,
  requirePicture,
  timeLine,
} from "./bundle.mjs";
import { runArrays } from "./arrays.mjs";
import { openFolder, readPicture, requireWritable, writePicture } from "./node.mjs";
import { scoreFiles } from "./scores.mjs";

const USAGE = `Usage:
  aeonnx check BUNDLE [--time]
  aeonnx denoise BUNDLE in.png out.png [--force]
  aeonnx generate BUNDLE [--seed S] [-n N] [--label L] [--size HxW] out.png [--force]
  aeonnx run BUNDLE PART input=in.npy ... output=out.npy ... [--force]
  aeonnx score BUNDLE FILE... [--threshold p99] [--label L] [-o scores.csv] [--force]`;

/**
 * Names of the arguments, any more of them, options, and what is done, which gives the exit code.
 *
 * @typedef {{names: string[], more?: string, options: Record<string, {type: "string" | "boolean", short?: string,
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
      label: { type: "string" },
      size: { type: "string" },
      force: { type: "boolean" },
    },
    act: generate,
  },
  run: {
    names: ["BUNDLE", "PART"],
    more: "input=in.npy ... output=out.npy ...",
    options: { force: { type: "boolean" } },
    act: run,
  },
  score: {
    names: ["BUNDLE", "FILE"],
    more: "...",
    options: {
      threshold: { type: "string", default: "p99" },
      label: { type: "string" },
      o: { type: "string", short: "o" },
      force: { type: "boolean" },
    },
    act: score,
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
  await bundle.ready("denoiser");
  const shape = bundle.imageShape("denoiser");
  requirePicture("denoiser", "denoise", shape);
  await requireWritable(to, force);
  const { pixels, height, width } = await readPicture(from, shape);
  const clean = await bundle.denoise(pixels, [height, width]);
  await writePicture(to, grid(clean, 1, [Number(shape[0]), height, width]), { force });
  return 0;
}

async function generate([folder, to], { seed, n, label, size, force }) {
  const count = Number(whole(n, "-n"));
  const seeds = whole(seed, "--seed");
  const labels = labelIn(label);
  const sizes = size === undefined ? undefined : sizesIn(size);
  const bundle = await openFolder(folder);
  const { variant } = await bundle.ready("sampler");
  requirePicture("sampler", "generate", bundle.imageShape("sampler"));
  labelOf(variant, labels, "sampler", "--label");
  const shape = bundle.generatedShape(sizes);
  await requireWritable(to, force);
  const pixels = await bundle.generate(seeds, count, 0, { label: labels, size: sizes });
  await writePicture(to, grid(pixels, count, shape), { force });
  return 0;
}

async function run([folder, part, ...pairs], { force }) {
  const bundle = await openFolder(folder);
  await runArrays(bundle, part, pairs, { force });
  return 0;
}

async function score([folder, ...files], { threshold, label, o, force }) {
  const labels = labelIn(label);
  const bundle = await openFolder(folder);
  await scoreFiles(bundle, files, { threshold, label: labels, to: o, force });
  return 0;
}

/** A label may be below 0: the part says which it takes. */
function labelIn(text) {
  if (text === undefined) return undefined;
  return /^-\d{1,19}$/.test(text) ? BigInt(text) : whole(text, "--label");
}

function whole(text, option) {
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new UsageError(`${option}: expected a whole number, got "${text}"`);
}

/** [64, 48] of "64x48". */
function sizesIn(text) {
  if (/^\d{1,15}(x\d{1,15})+$/i.test(text)) return text.toLowerCase().split("x").map(Number);
  throw new UsageError(`--size: expected HEIGHTxWIDTH, such as 64x48, got "${text}"`);
}

/** @param {string[]} args */
async function main([name, ...rest]) {
  if (!Object.hasOwn(VERBS, name ?? "")) {
    throw new UsageError(`expected ${Object.keys(VERBS).join(", ")}, got ${name ?? "nothing"}`);
  }
  const verb = VERBS[name];
  const { values, positionals } = parsed(rest, verb.options);
  const { names, more } = verb;
  const left = positionals.length - names.length;
  if (left < 0 || (left > 0 && !more)) {
    const expected = [...names, ...(more ? [more] : [])].join(" ");
    throw new UsageError(`${name}: expected ${expected}, got ${positionals.join(" ")}`);
  }
  return verb.act(positionals, values);
}

function parsed(args, options) {
  try {
    return parseArgs({ args: joined(args, options), options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(oneLine(error));
  }
}

/** A negative number after an option is its value, though it begins as an option does. */
function joined(args, options) {
  const found = [];
  for (const word of args) {
    const option = found.at(-1) ?? "";
    const takesText = option.startsWith("--") && options[option.slice(2)]?.type === "string";
    if (takesText && /^-(\d|\.\d|inf)/i.test(word)) found.push(`${found.pop()}=${word}`);
    else found.push(word);
  }
  return found;
}

process.stdout.on("error", () => process.exit(1)); // a reader such as head has left
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`Error: ${printable(error.message)}`);
  if (error instanceof UsageError) console.error(USAGE);
  process.exitCode = error.exitCode ?? 1;
}
