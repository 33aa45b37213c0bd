// The page: engine, proof, panels. Each panel works or says why it does not.

import { oneLine } from "./bundle.mjs";
import { denoisePanel } from "./denoise.mjs";
import { startEngine } from "./engine.mjs";
import { generatePanel } from "./generate.mjs";
import { latentPanel } from "./latent.mjs";
import { photoPanel } from "./photo.mjs";
import { refuse } from "./picture.mjs";
import { NAMES, panelsHere, prove, showProofs } from "./proof.mjs";

const byId = (name) => document.getElementById(name);
/** What opens a panel, by its name. */
const OPEN = {
  denoise: denoisePanel,
  photo: photoPanel,
  latents: latentPanel,
  generate: generatePanel,
};

async function start() {
  const status = byId("status");
  let panels = [];
  try {
    panels = await panelsHere(Object.keys(OPEN));
    for (const { panel } of panels) byId(panel).hidden = false;
    const engine = await startEngine();
    status.textContent = "Checking the graphs against PyTorch …";
    const { proofs, provider, why } = await prove(engine, panels);
    showBadge(provider, why);
    const table = /** @type {HTMLTableElement} */ (byId("proofs"));
    showProofs(table.tBodies[0], proofs);
    showVerdict(proofs);
    for (const { panel } of panels) {
      await opened(byId(panel), proofs[panel], () =>
        OPEN[panel](byId(panel), proofs[panel], proofs),
      );
      if (panel === panels[0].panel) performance.mark("first-image");
    }
    status.textContent = `onnxruntime-web ${engine.version}, ready in ${seconds("first-image")} s`;
  } catch (error) {
    status.textContent = "Not started.";
    showAlert(oneLine(error));
    for (const { panel } of panels) byId(panel).hidden = true;
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
