// The page: engine, proof, panels. Each panel works or says why it does not.

import { oneLine } from "./bundle.mjs";
import { denoisePanel } from "./denoise.mjs";
import { startEngine } from "./engine.mjs";
import { generatePanel } from "./generate.mjs";
import { latentPanel } from "./latent.mjs";
import { photoPanel } from "./photo.mjs";
import { refuse } from "./picture.mjs";
import { NAMES, prove, showProofs } from "./proof.mjs";

const byId = (name) => document.getElementById(name);
const PANELS = ["denoise", "latents", "generate"].map(byId);
const PHOTO = byId("photo");

async function start() {
  const status = byId("status");
  try {
    const engine = await startEngine();
    status.textContent = "Checking the graphs against PyTorch …";
    const { proofs, provider, why } = await prove(engine);
    showBadge(provider, why);
    const table = /** @type {HTMLTableElement} */ (byId("proofs"));
    showProofs(table.tBodies[0], proofs);
    showVerdict(proofs);
    const { denoise, latents, generate, photo } = proofs;
    const [denoising, sliding, generating] = PANELS;
    await opened(denoising, denoise, () => denoisePanel(denoising, denoise));
    performance.mark("first-image");
    const drawn = generate.error ? undefined : generate.bundle;
    await opened(sliding, latents, () => latentPanel(sliding, latents.bundle, drawn));
    await opened(generating, generate, () => generatePanel(generating, generate.bundle));
    if (photo) await opened(PHOTO, photo, () => photoPanel(PHOTO, photo.bundle));
    status.textContent = `onnxruntime-web ${engine.version}, ready in ${seconds("first-image")} s`;
  } catch (error) {
    status.textContent = "Not started.";
    showAlert(oneLine(error));
    for (const panel of PANELS) panel.hidden = true;
  }
  document.body.dataset.state = "ready";
}

/**
 * Open a panel; without its graph it says what is wrong with that.
 *
 * @param {HTMLElement} panel
 * @param {import("./proof.mjs").Proof} proof of its part
 * @param {() => Promise<void>} open
 */
async function opened(panel, { part, bundle, error }, open) {
  panel.hidden = false;
  if (error) return refuse(panel, error);
  try {
    const [, height, width] = bundle.imageShape(part);
    if (typeof height === "number") panel.style.setProperty("--ratio", `${width} / ${height}`);
    await open();
  } catch (problem) {
    refuse(panel, oneLine(problem));
  }
}

function showBadge(provider, why) {
  const badge = byId("badge");
  badge.textContent = NAMES[provider];
  badge.parentElement.classList.toggle("fell-back", why.startsWith("it failed"));
  byId("why").textContent = why && `Not WebGPU: ${why}.`;
}

function showVerdict(proofs) {
  const all = Object.values(proofs);
  const failed = all.filter((proof) => !proof.ok).map((proof) => proof.part);
  const verdict = byId("verdict");
  verdict.className = `badge ${failed.length ? "fail" : "pass"}`;
  verdict.textContent = failed.length ? "Check failed" : "Equal to PyTorch";
  if (!failed.length) return;
  showAlert(
    `Do not trust these pictures: ${failed.join(", ")} did not give what PyTorch gave. ` +
      "See the check below.",
  );
}

function showAlert(text) {
  byId("alert").textContent = text;
  byId("alert").hidden = false;
}

function seconds(mark) {
  const [{ startTime }] = performance.getEntriesByName(mark);
  return (startTime / 1000).toFixed(1);
}

start();
