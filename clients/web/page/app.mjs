// The page: engine, proof, panels. Each panel works or says why it does not.

import { oneLine } from "./bundle.mjs";
import { denoisePanel } from "./denoise.mjs";
import { startEngine } from "./engine.mjs";
import { generatePanel } from "./generate.mjs";
import { latentPanel } from "./latent.mjs";
import { refuse } from "./picture.mjs";
import { NAMES, prove, showProofs } from "./proof.mjs";

const byId = (name) => document.getElementById(name);
const PANELS = ["denoise", "latents", "generate"].map(byId);

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
    const { denoiser, decoder, sampler } = proofs;
    const [denoise, latents, generate] = PANELS;
    await opened(denoise, [denoiser], () => denoisePanel(denoise, denoiser));
    performance.mark("first-image");
    const drawn = sampler.error ? undefined : sampler.bundle;
    await opened(latents, [decoder], () => latentPanel(latents, decoder.bundle, drawn));
    await opened(generate, [sampler], () => generatePanel(generate, sampler.bundle));
    status.textContent = `onnxruntime-web ${engine.version}, ready in ${seconds("first-image")} s`;
  } catch (error) {
    status.textContent = "Not started.";
    showAlert(oneLine(error));
    for (const panel of PANELS) panel.hidden = true;
  }
  document.body.dataset.state = "ready";
}

/** Open a panel; without its graphs it says what is wrong with them. */
async function opened(panel, proofs, open) {
  const broken = proofs.find((proof) => proof.error);
  if (broken) return refuse(panel, broken.error);
  const [, height, width] = proofs[0].bundle.manifest.input_shape;
  panel.style.setProperty("--ratio", `${width} / ${height}`);
  try {
    await open();
  } catch (error) {
    refuse(panel, oneLine(error));
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
