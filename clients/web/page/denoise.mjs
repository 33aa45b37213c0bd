// The panel that draws, adds noise, and takes it away.

import { oneLine } from "./bundle.mjs";
import { drawingArea } from "./draw.mjs";
import { newest, readFile } from "./engine.mjs";
import { KINDS, corrupt, drawNoise } from "./noise.mjs";
import { paint, readStrip, sizedImage, timed } from "./picture.mjs";

const LARGEST = 2 ** 24; // bytes of a manifest

/**
 * @param {HTMLElement} panel
 * @param {import("./proof.mjs").Proof} proof of the denoiser
 */
export async function denoisePanel(panel, { bundle, where, samples }) {
  await bundle.ready("denoiser");
  const [, height, width] = sizedImage(bundle, "denoiser", [1]);
  const [drawn, noised, denoised] = ["drawn", "noised", "denoised"].map(
    (name) => /** @type {HTMLCanvasElement} */ (document.getElementById(name)),
  );
  const kind = /** @type {HTMLSelectElement} */ (document.getElementById("kind"));
  const level = /** @type {HTMLInputElement} */ (document.getElementById("level"));
  const shown = document.getElementById("level-shown");
  const frame = document.getElementById("denoise-ms");
  /** @type {Uint8Array} */
  let clean = new Uint8Array(width * height);
  let seed = 1;
  let noise = drawNoise(seed, clean.length);

  const denoise = timed(frame, (pixels) => bundle.denoise(pixels));
  const show = newest(async () => {
    const pixels = corrupt(clean, kind.value, Number(level.value), noise);
    const answer = await denoise(pixels);
    paint(drawn, clean, width, height);
    paint(noised, pixels, width, height);
    paint(denoised, answer, width, height);
  });
  const area = drawingArea(drawn, panel.querySelector(".pen"), width, height, (pixels) => {
    clean = pixels;
    return show();
  });

  const trained = await corruption(where);
  for (const [name, [title]] of Object.entries(KINDS)) {
    kind.add(new Option(name === trained.kind ? `${title} (as in training)` : title, name));
  }
  kind.value = trained.kind ?? "gaussian";
  level.value = String(trained.level);
  const changed = () => {
    shown.textContent = Number(level.value).toFixed(2);
    return show();
  };
  kind.addEventListener("change", changed);
  level.addEventListener("input", changed);
  panel.querySelector("#new-noise").addEventListener("click", () => {
    noise = drawNoise(++seed, clean.length);
    return show();
  });
  panel.querySelector("#clear").addEventListener("click", area.clear);

  const pictures = await samplesIn(panel.querySelector("#samples"), samples, width, height);
  pictures.forEach((pixels, number) => {
    const button = document.createElement("button");
    const picture = document.createElement("canvas");
    button.type = "button";
    picture.ariaHidden = "true";
    button.ariaLabel = `Load sample digit ${number + 1}`;
    paint(picture, pixels, width, height);
    button.append(picture);
    button.addEventListener("click", () => area.load(pixels));
    panel.querySelector("#samples").append(button);
  });
  await changed();
  if (pictures.length) await area.load(pictures[3 % pictures.length]);
}

/** Sample digits to start from; where the site has them and they cannot be read, `place` says why. */
async function samplesIn(place, address, width, height) {
  place.hidden = !address;
  if (!address) return [];
  return readStrip(address, width, height).catch((error) => {
    place.textContent = `No sample digits: ${oneLine(error)}`;
    return [];
  });
}

/** What the denoiser learned to undo, from the manifest; no kind if it does not say. */
async function corruption(where) {
  const text = new TextDecoder().decode(await readFile(`${where}/manifest.json`, LARGEST));
  const options = JSON.parse(text).training?.options ?? {};
  const kind = Object.hasOwn(KINDS, options.corruption) ? options.corruption : undefined;
  const level = Number(options.corruption_level);
  return { kind, level: level > 0 && level <= 1 ? level : 0.5 };
}
