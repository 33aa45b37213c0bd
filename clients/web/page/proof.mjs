// Which engine to trust: golden vectors through each graph that the page uses.

import { BundleError, checkLine, oneLine } from "./bundle.mjs";
import { inTurn, opener, readFile } from "./engine.mjs";

const LARGEST_LIST = 2 ** 20; // bytes
const NOT_ON_GPU = "sampler"; // its operators are in the engine's WebAssembly build alone

/**
 * A panel as aeonnx/tools/web/panels.py chose it: what it runs, and sample images if it has some.
 *
 * @typedef {{panel: string, bundle: string, part: "denoiser" | "decoder" | "sampler",
 *   variants: string[], samples: string | null}} Panel
 * @typedef {import("./bundle.mjs").Checked} Checked
 * @typedef {{part: Panel["part"], samples: string | null, where: string, provider: string,
 *   bundle?: import("./bundle.mjs").Bundle, outputs: Checked[], error?: string, ok: boolean}} Proof
 *   of one part
 */

/**
 * The panels of this site.
 *
 * @param {string[]} known names of panels
 * @returns {Promise<Panel[]>}
 * @throws {BundleError} the list is damaged
 */
export async function panelsHere(known) {
  const text = new TextDecoder().decode(await readFile("bundles.json", LARGEST_LIST));
  const panels = JSON.parse(text);
  const good = Array.isArray(panels) && panels.every((one) => known.includes(one?.panel));
  if (good && panels.length) return panels;
  throw new BundleError(`bundles.json: expected a list of the panels ${known.join(", ")}`);
}

/**
 * Replay what PyTorch gave: on WebGPU where there is one, and on WebAssembly what fails there.
 *
 * @param {Awaited<ReturnType<typeof import("./engine.mjs").startEngine>>} engine
 * @param {Panel[]} panels
 * @returns {Promise<{proofs: Record<string, Proof>, provider: string, why: string}>} proofs by
 *   panel; `why`: what speaks against WebGPU
 */
export async function prove(engine, panels) {
  const open = opener(engine);
  const proven = async (gpu) => {
    const proofs = {};
    for (const use of panels) {
      const provider = gpu && use.part !== NOT_ON_GPU ? "webgpu" : "wasm";
      proofs[use.panel] = await proofOf(use, open, provider);
    }
    return proofs;
  };
  const provider = engine.builds.webgpu ? "webgpu" : "wasm";
  const proofs = await proven(provider === "webgpu");
  const failing = ({ provider, ok }) => provider === "webgpu" && !ok;
  const failed = Object.keys(proofs).find((panel) => failing(proofs[panel]));
  if (!failed) return { proofs, provider, why: engine.why };
  const again = await proven(false);
  // What fails on both is the bundle's fault.
  const fault = again[failed].ok ? `it failed its check: ${reason(proofs[failed])}` : "";
  return { proofs: again, provider: "wasm", why: fault };
}

async function proofOf({ part, bundle, variants, samples }, open, provider) {
  const where = `bundles/${bundle}`;
  const outputs = [];
  /** @type {Proof} */
  const proof = { part, samples, where, provider, outputs, ok: false };
  try {
    proof.bundle = await open(where, provider);
    await inTurn(() => proof.bundle.part(part)); // a part that is missing is an error
    const only = variants.map((variant) => `${part} ${variant}`);
    const { ok } = await inTurn(() =>
      proof.bundle.check((_, output) => outputs.push(output), { only }),
    );
    proof.ok = ok && outputs.length > 0;
  } catch (error) {
    proof.error = oneLine(error);
  }
  return proof;
}

function reason({ error, outputs }) {
  return error ?? checkLine(outputs.find((output) => !output.ok));
}

/** Rows of the table: an output each, or why there is none. */
export function showProofs(table, proofs) {
  for (const { part, provider, outputs, error } of Object.values(proofs)) {
    for (const output of outputs) {
      const name = `${part} ${output.variant} ${output.output}`;
      const numbers = [output.error, output.tolerance].map(short);
      addRow(table, output.ok, [name, NAMES[provider], ...numbers]);
    }
    if (error) addRow(table, false, [part, NAMES[provider], error]);
  }
}

function short(number) {
  return number && number < 0.001 ? number.toExponential(2) : String(Number(number.toPrecision(3)));
}

export const NAMES = { webgpu: "WebGPU", wasm: "WebAssembly" };

function addRow(table, ok, texts) {
  const row = table.insertRow();
  row.className = ok ? "pass" : "fail";
  texts.forEach((text, column) => {
    const cell = column ? row.insertCell() : document.createElement("th");
    cell.textContent = text;
    if (!column) row.append(Object.assign(cell, { scope: "row" }));
  });
  row.lastChild.colSpan = 5 - texts.length; // an error needs the room of the numbers
  row.insertCell().textContent = ok ? "pass" : "fail";
}
