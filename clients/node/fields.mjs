// Fields of a JSON document, of one kind of value each: they return the value, or throw what was
// expected and what came. Free of Node and of browsers.

import { CONTROL, shortened } from "./errors.mjs";

/** An object as one without a prototype: a field that is not there cannot be found in Object's. */
export function record(value, path) {
  const good = typeof value === "object" && value !== null && !Array.isArray(value);
  expect(good, path, "an object", value);
  return Object.assign(Object.create(null), value);
}

/**
 * An object whose keys are names.
 *
 * @template T
 * @param {any} value
 * @param {string} path
 * @param {(value: any, path: string) => T} read
 * @returns {Map<string, T>}
 */
export function mapOf(value, path, read) {
  const entries = Object.entries(record(value, path));
  return new Map(
    entries.map(([key, item]) => [
      name(key, path, /^[a-z][a-z0-9_-]*$/),
      read(item, `${path}.${key}`),
    ]),
  );
}

/**
 * @template T
 * @param {any} value
 * @param {string} path
 * @param {(value: any, path: string) => T} read
 * @returns {readonly T[]}
 */
export function list(value, path, read) {
  expect(Array.isArray(value), path, "a list", value);
  return Object.freeze(value.map((item, index) => read(item, `${path}[${index}]`)));
}

export function name(value, path, pattern = /^[a-z][a-z0-9_]*$/) {
  expect(pattern.test(string(value, path)), path, "a lower-case name", value);
  return value;
}

export function string(value, path) {
  expect(typeof value === "string", path, "a string", value);
  expect(!CONTROL.test(value), path, "a text without control characters", value);
  return value;
}

/** True or false; false where there is no such field. */
export function flag(value, path) {
  const good = value === undefined || typeof value === "boolean";
  expect(good, path, "true or false", value);
  return value === true;
}

export function finite(value, path) {
  expect(Number.isFinite(value), path, "a finite number", value);
  return value;
}

export function size(value, path) {
  expect(Number.isSafeInteger(value) && value > 0, path, "a whole number above 0", value);
  return value;
}

export function digest(value, path) {
  expect(/^[0-9a-f]{64}$/.test(string(value, path)), path, "64 hex digits", value);
  return value;
}

export function oneOf(values, value, path) {
  expect(values.includes(value), path, `one of ${values.join(", ")}`, value);
  return value;
}

export function file(value, path) {
  const outside = (component) => ["", ".", ".."].includes(component) || component.includes("\\");
  const inside = !string(value, path).split("/").some(outside);
  expect(inside, path, "a path inside the bundle", value);
  return value;
}

export function expect(good, path, expected, got) {
  if (!good) throw new Error(`${path}: expected ${expected}, got ${shown(got)}`);
}

/** As `expect`, with a text of the caller's for what came; both can quote much of the document. */
export function require(good, path, expected, got) {
  if (good) return;
  throw new Error(`${path}: expected ${shortened(expected)}, got ${shortened(got)}`);
}

// Objects are not quoted: they can be as large and as deep as the file.
function shown(value) {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return shortened(typeof value === "string" ? JSON.stringify(value) : String(value));
}
