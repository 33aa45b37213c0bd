// Fields for the size of images, where a sampler makes images of any size.

import { UsageError, sizedPlaces } from "./bundle.mjs";

/** The fields, by their places in [C, H, W]. */
const FIELDS = Object.freeze({ 1: "height", 2: "width" });

/**
 * Show the fields for the sizes that can be chosen, with those of the golden vectors in them.
 *
 * @param {HTMLElement} panel
 * @param {import("./bundle.mjs").Bundle} bundle
 * @param {import("./variant.mjs").Variant} variant of the part `sampler`
 * @returns {() => number[] | undefined} what tells the size that is typed; undefined where images have
 *   one size
 */
export function sizeChoice(panel, bundle, variant) {
  const shape = bundle.generatedShape();
  const typed = sizedPlaces(variant).map(({ at, place }) => {
    const name = FIELDS[at];
    const field = /** @type {HTMLInputElement} */ (panel.querySelector(`#${name}`));
    const { multiple, min, max } = variant.axes.get(place.axis);
    const inPixels = (size) => String((place.factor * size) / place.divisor);
    const most = max === null ? "" : inPixels(max);
    const rule = { min: inPixels(min), max: most, step: inPixels(multiple) };
    Object.assign(field, rule, { value: String(shape[at]) });
    field.parentElement.hidden = false;
    return () => pixelsOf(field.value, name);
  });
  return () => (typed.length ? typed.map((size) => size()) : undefined);
}

function pixelsOf(text, name) {
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`expected a ${name} in whole pixels, got ${text || "nothing"}`);
}
