// Which engine to trust: golden vectors through each graph that the page uses.

import { BundleError, checkLine, oneLine } from "./bundle.mjs";
import { inTurn, opener, readFile } from "./engine.mjs";

const PIXELS = ["fp32", "fp32-uint8"];
/** @typedef {{part: Proof["part"], bundle: string, variants: string[], gpu: boolean}} Use */
/**
 * What the page runs, by panel; the sampler's operators are in the engine's WebAssembly build alone.
 *
 * @type {Record<string, Use>}
 */
const USED = {
  denoise: { part: "denoiser", bundle: "dae", variants: PIXELS, gpu: true },
  latents: { part: "decoder", bundle: "vae", variants: ["fp32"], gpu: true },
  generate: { part: "sampler", bundle: "vae", variants: ["fp32"], gpu: false },
};
/**
 * What it runs too where the site has a denoiser of pictures of any size.
 *
 * @type {Record<string, Use>}
 */
const PHOTO = { photo: { part: "denoiser", bundle: "any_size", variants: PIXELS, gpu: true } };
const LARGEST_LIST = 2 ** 16; // bytes

/**
 * @typedef {import("./bundle.mjs").Checked} Checked
 * @typedef {{part: "denoiser" | "decoder" | "sampler", where: string, provider: string, bundle?: import("./bundle.mjs").Bundle,
 *   outputs: Checked[], error?: string, ok: boolean}} Proof of one part
 */

/**
 * Replay what PyTorch gave: on WebGPU where there is one, and on WebAssembly what fails there.
 *
 * @returns {Promise<{proofs: Record<string, Proof>, provider: string, why: string}>} proofs by
 *   panel; `why`: what speaks against WebGPU
 */
export async function prove(engine) {
  const open = opener(engine);
  const used = (await bundlesHere()).includes(PHOTO.photo.bundle) ? { ...USED, ...PHOTO } : USED;
  const proven = async (gpu) => {
    const proofs = {};
    for (const [panel, use] of Object.entries(used)) {
      proofs[panel] = await proofOf(use, open, use.gpu && gpu ? "webgpu" : "wasm");
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

/** The names of the bundles in the site. */
async function bundlesHere() {
  const text = new TextDecoder().decode(await readFile("bundles.json", LARGEST_LIST));
  const names = JSON.parse(text);
  if (Array.isArray(names)) return names;
  throw new BundleError("bundles.json: expected a list of the names of folders in bundles/");
}

async function proofOf({ part, bundle, variants }, open, provider) {
  const where = `bundles/${bundle}`;
  const outputs = [];
  const proof = { part, where, provider, outputs, ok: false };
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
