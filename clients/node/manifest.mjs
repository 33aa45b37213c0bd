// What a bundle's manifest.json says, checked. Free of Node, of browsers and of the engine.

import { BundleError, oneLine, shortened } from "./errors.mjs";
import { expect, finite, mapOf, record, string } from "./fields.mjs";
import { variantOf } from "./variant.mjs";

/**
 * @typedef {import("./variant.mjs").Variant} Variant
 * @typedef {{model: string, parts: Map<string, Map<string, Variant>>}} Manifest
 */

const VERSION = 2;

/**
 * Read a manifest: what is used is checked, the rest is skipped.
 *
 * @param {string | Uint8Array} text
 * @param {string} where how to call the file in messages
 * @returns {Manifest} frozen; parts, variants, axes and golden arrays are Maps by name
 * @throws {BundleError} names the field, what was expected and what came
 */
export function parseManifest(text, where = "manifest.json") {
  try {
    const document = parseJson(text);
    const manifest = manifestOf(document);
    requireFinite(document);
    return manifest;
  } catch (error) {
    throw new BundleError(`${where}: ${oneLine(error)}`, { cause: error });
  }
}

/**
 * A variant of a part.
 *
 * @param {Manifest} manifest
 * @param {string} part
 * @param {string} variant
 * @returns {Variant}
 * @throws {BundleError} there is none
 */
export function variantIn({ model, parts }, part, variant) {
  const variants = parts.get(part);
  if (!variants) {
    const has = [...parts.keys()].sort().join(", ");
    throw new BundleError(
      `this bundle has no part "${part}", it has: ${has}. ` +
        `Export it with: aeonnx export --model ${model} --part ${part}`,
    );
  }
  const found = variants.get(variant);
  if (found) return found;
  const has = [...variants.keys()].join(", ");
  throw new BundleError(`part "${part}" has no variant "${variant}", it has: ${has}`);
}

function parseJson(text) {
  if (typeof text === "string") return JSON.parse(text);
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
}

// In what is skipped too: no reader takes 1e999 for a number. Without recursion, which ends at some
// depth.
function requireFinite(document) {
  const left = [["", document]];
  for (let next = left.pop(); next; next = left.pop()) {
    const [path, value] = next;
    if (typeof value === "number") {
      finite(value, path);
    } else if (typeof value === "object" && value !== null) {
      for (const [key, item] of Object.entries(value))
        left.push([shortened(`${path}.${key}`), item]);
    }
  }
}

function manifestOf(value) {
  const document = record(value, "the manifest");
  const { format, version } = document;
  expect(format === "aeonnx-bundle", "format", '"aeonnx-bundle"', format);
  expect(Number.isSafeInteger(version) && version > 0, "version", "a whole number", version);
  requireVersion(version);
  return Object.freeze({
    model: string(document.model, "model"),
    parts: partsOf(document.parts),
  });
}

function requireVersion(version) {
  if (version === VERSION) return;
  const [compared, remedy] =
    version > VERSION ? ["newer", "take a newer one"] : ["older", "export the bundle again"];
  throw new Error(
    `version ${version} is ${compared} than this program, which reads ${VERSION}: ${remedy}`,
  );
}

function partsOf(value) {
  const parts = mapOf(value, "parts", (variants, path) => mapOf(variants, path, variantOf));
  if (!parts.size) throw new Error("parts: expected at least one part");
  for (const [part, variants] of parts) {
    expect(
      variants.has("fp32"),
      `parts.${part}`,
      "the variant fp32",
      [...variants.keys()].join(", "),
    );
  }
  return parts;
}
