// What a manifest says of the scores of normal rows, and where among them another score is. Free of
// Node and of browsers.

import { shortened } from "./errors.mjs";
import { expect, finite, list, mapOf, record, require, string } from "./fields.mjs";

/**
 * By output: thresholds by name, such as "p99".
 * @typedef {ReadonlyMap<string, ReadonlyMap<string, number>>} Percentiles
 *
 * By output: the lowest score of normal rows, those of 1 % to 99 % of them, and the highest.
 * @typedef {ReadonlyMap<string, readonly number[]>} Quantiles
 */

const QUANTILES = 101;

/**
 * @param {any} value
 * @param {string} path
 * @param {readonly {name: string}[]} outputs of the graph
 * @returns {Percentiles}
 */
export function percentilesOf(value, path, outputs) {
  const percentiles = mapOf(value, path, thresholdsOf);
  const names = outputs.map(({ name }) => name);
  requireAmong(percentiles, names, path, "outputs of the graph");
  return percentiles;
}

function thresholdsOf(value, path) {
  const thresholds = Object.entries(record(value, path));
  return new Map(
    thresholds.map(([name, threshold]) => [
      string(name, `${path}: a name`),
      finite(threshold, shortened(`${path}.${name}`)),
    ]),
  );
}

/**
 * @param {any} value nothing where the manifest does not say
 * @param {string} path
 * @param {Percentiles} percentiles
 * @returns {Quantiles}
 */
export function quantilesOf(value, path, percentiles) {
  const quantiles = mapOf(value === undefined ? {} : value, path, (normal, at) => {
    return ascending(record(normal, at).quantiles, `${at}.quantiles`);
  });
  requireAmong(quantiles, [...percentiles.keys()], path, "outputs with percentiles");
  return quantiles;
}

function requireAmong(found, names, path, expected) {
  const others = [...found.keys()].filter((name) => !names.includes(name));
  require(!others.length, path, expected, others.sort().join(", "));
}

function ascending(value, path) {
  const expected = `${QUANTILES} finite numbers in ascending order`;
  expect(Array.isArray(value), path, expected, value);
  require(value.length === QUANTILES, path, expected, `a list of ${value.length}`);
  const quantiles = list(value, path, finite);
  quantiles.slice(1).forEach((quantile, place) => {
    const before = quantiles[place];
    const least = `${before} or more, as the one before`;
    expect(quantile >= before, `${path}[${place + 1}]`, least, quantile);
  });
  return quantiles;
}

/**
 * The share of the normal rows with a lower score, in %, from 0 to 100.
 *
 * @param {readonly number[]} quantiles
 * @param {number} score
 */
export function percentileOf(quantiles, score) {
  const place = placeOf(quantiles, score);
  if (place === 0) return 0;
  if (place === QUANTILES) return 100;
  const [low, high] = [quantiles[place - 1], quantiles[place]];
  return place - 1 + (score - low) / (high - low);
}

/** The first place that is not below a score, by halving: of NaN 0. */
function placeOf(quantiles, score) {
  let [first, last] = [0, quantiles.length];
  while (first < last) {
    const middle = Math.floor((first + last) / 2);
    if (quantiles[middle] < score) first = middle + 1;
    else last = middle;
  }
  return first;
}
