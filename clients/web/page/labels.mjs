// A choice of the class of images, where a model was trained with labels.

import { BundleError } from "./bundle.mjs";
import { readFile } from "./engine.mjs";

const LARGEST = 2 ** 24; // bytes of a manifest
const MOST = 1000; // classes to choose from

/**
 * Fill a choice with the classes of a part; it is hidden, with its label, where the part takes none.
 *
 * @param {HTMLSelectElement} choice
 * @param {import("./bundle.mjs").Bundle} bundle
 * @param {import("./variant.mjs").Variant} variant of the part
 * @returns {Promise<() => bigint | undefined>} what tells the class that is chosen
 */
export async function classChoice(choice, bundle, variant) {
  const input = variant.inputs.find(({ kind }) => kind === "label");
  choice.parentElement.hidden = !input;
  if (!input) return () => undefined;
  const names = await classesOf(bundle.where);
  const [first, last] = input.range ?? [0, names.length - 1];
  if (!(last - first < MOST)) {
    throw new BundleError(`this page shows up to ${MOST} classes, got ${last - first + 1}`);
  }
  for (let number = first; number <= last; number++) {
    choice.add(new Option(names[number] ?? String(number), String(number)));
  }
  return () => BigInt(choice.value);
}

/** Names of the classes, from the manifest; none if it does not say. */
async function classesOf(where) {
  const text = new TextDecoder().decode(await readFile(`${where}/manifest.json`, LARGEST));
  const { classes } = JSON.parse(text);
  return Array.isArray(classes) ? classes.map(String) : [];
}
