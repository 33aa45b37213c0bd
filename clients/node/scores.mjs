// The verb `score`: a table of the scores of pictures, and of rows in .npy files.

import { stat } from "node:fs/promises";

import { BundleError, UsageError, printable } from "./bundle.mjs";
import { readArray } from "./arrays.mjs";
import { readStart, requireWritable, writeWhole } from "./files.mjs";
import { MAGIC_BYTES, isNpy } from "./npy.mjs";
import { readPicture } from "./picture.mjs";
import { thresholdOf } from "./scoring.mjs";
import { labelOf, scoresPictures } from "./verbs.mjs";

/**
 * @typedef {import("./variant.mjs").Variant} Variant
 * @typedef {import("./scoring.mjs").Scored} Scored
 */

const HEAD = ["name", "score", "percentile", "verdict"];

/**
 * Score files, and write the table once all are scored.
 *
 * @param {import("./bundle.mjs").Bundle} bundle
 * @param {readonly string[]} files pictures, and arrays of rows
 * @param {object} options
 * @param {string} options.threshold
 * @param {bigint} [options.label] of all rows, where the scorer takes one
 * @param {string} [options.to] the file to write; stdout if it is left out
 * @param {boolean} [options.force] replace a file that is there
 * @param {(table: string) => unknown} [options.print] what writes to stdout
 * @throws {UsageError} the threshold, the label or the name of the table is not one
 * @throws {BundleError} a file cannot be read or written, or holds what the scorer does not take
 */
export async function scoreFiles(
  bundle,
  files,
  { threshold, label, to, force = false, print = (table) => process.stdout.write(table) },
) {
  const toFile = to !== undefined;
  if (toFile && !/\.csv$/i.test(to)) {
    throw new UsageError(`${to}: expected a name that ends in .csv`);
  }
  const { variant } = await bundle.ready("scorer");
  thresholdOf(variant, threshold);
  labelOf(variant, label, "scorer", "--label");
  if (toFile) await requireWritable(to, force);
  const table = [HEAD];
  for (const file of files) {
    const { x, size } = await readGiven(file, variant);
    const found = await bundle.score(x, { threshold, label, size });
    const nameOf = (row) => (size ? file : files.length > 1 ? `${file}:${row}` : `${row}`);
    for (const row of found.scores.keys()) table.push(lineOf(nameOf(row), found, row));
  }
  const shown = toFile ? (text) => text : printable;
  const text = table.map((line) => `${line.map((item) => quoted(shown(item))).join()}\n`).join("");
  if (toFile) await writeWhole(to, Buffer.from(text), force);
  else print(text);
}

/** What a file holds; with the size of pixels, where it is a picture. */
async function readGiven(file, variant) {
  const [input] = variant.inputs;
  const pictures = scoresPictures(variant);
  if (await isFolder(file)) {
    const [what, ending] = pictures ? ["pictures", "png"] : ["files", "npy"];
    const such = `${file.replace(/[/\\]+$/, "")}/*.${ending}`;
    throw new BundleError(`${file} is a folder: name the ${what} in it, such as ${such}`);
  }
  if (isNpy(await readStart(file, MAGIC_BYTES))) return { x: await readArray(file, input) };
  if (!pictures) {
    const taken = `${input.kind} [${input.shape.join(", ")}]`;
    throw new BundleError(`${file}: this scorer takes ${taken}: give a .npy file of rows`);
  }
  const { pixels, height, width } = await readPicture(file, input.shape.slice(1));
  return { x: pixels, size: [height, width] };
}

async function isFolder(path) {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

function lineOf(name, { scores, percentiles, odd }, row) {
  const percentile = Number.isNaN(percentiles[row]) ? "" : numberInWords(percentiles[row]);
  return [name, numberInWords(scores[row]), percentile, odd[row] ? "odd" : "normal"];
}

/** As most languages read it. */
function numberInWords(number) {
  if (Number.isNaN(number)) return "nan";
  return String(number).replace("Infinity", "inf");
}

/** A field of a table, by RFC 4180. */
function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
