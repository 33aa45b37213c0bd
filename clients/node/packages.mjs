// The packages of npm that the client needs.

import { createRequire } from "node:module";

import { EnvironmentError, oneLine } from "./bundle.mjs";

const require = createRequire(import.meta.url);

/**
 * A package, loaded at first use.
 *
 * @param {string} name
 * @returns {any}
 * @throws {EnvironmentError} it is not installed or cannot be loaded
 */
export function load(name) {
  try {
    return require(name);
  } catch (error) {
    throw new EnvironmentError(
      `${name} cannot be loaded: ${oneLine(error).slice(0, 200)}. ` +
        `Beside the program, run: npm install --ignore-scripts`,
    );
  }
}

/** Forget a package, so that the next `load` gives a fresh one. */
export function unload(name) {
  delete require.cache[require.resolve(name)];
}
