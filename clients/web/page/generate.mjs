// The panel that makes the grid of `aeonnx generate`.

import { UsageError, grid, oneLine, requirePicture } from "./bundle.mjs";
import { inTurn } from "./engine.mjs";
import { classChoice } from "./labels.mjs";
import { offer, paint } from "./picture.mjs";

const MOST = 1000; // images: more are a matter for the command line
const FIRST = { images: 8, pixels: 512 }; // the most of a side of the first grid

/**
 * @param {HTMLElement} panel
 * @param {import("./proof.mjs").Proof} proof of the sampler
 */
export async function generatePanel(panel, { bundle }) {
  const part = await bundle.ready("sampler");
  const shape = bundle.imageShape("sampler");
  requirePicture("sampler", "generate", shape);
  const [form, canvas, link, problem] = ["form", "#grid", "#download", "#generate-problem"].map(
    (name) => panel.querySelector(name),
  );
  const [seed, count] = ["#seed", "#count"].map(
    (name) => /** @type {HTMLInputElement} */ (panel.querySelector(name)),
  );

  const fit = Math.floor(FIRST.pixels / Math.max(...shape.slice(1).map(Number)));
  count.value = String(Math.min(Math.max(fit, 1), FIRST.images) ** 2);
  const choice = /** @type {HTMLSelectElement} */ (panel.querySelector("#class"));
  const chosen = await classChoice(choice, bundle, part.variant);
  /** @type {HTMLElement} */ (panel.querySelector("#of-class")).hidden =
    choice.options.length === 0;

  const generate = async () => {
    problem.textContent = "";
    try {
      const [wanted, images] = [seedOf(seed.value), countOf(count.value)];
      const start = performance.now();
      const label = chosen();
      const pixels = await inTurn(() => bundle.generate(wanted, images, 0, { label }));
      const spent = performance.now() - start;
      const { width, height, channels, data } = grid(pixels, images, shape);
      paint(canvas, data, width, height, channels);
      canvas.ariaLabel = `${images} generated images of seed ${wanted}`;
      const kind = label === undefined ? "" : `${choice.selectedOptions[0].text}-`;
      await offer(link, canvas, `${kind}seed-${wanted}-${images}.png`);
      panel.querySelector("#generate-ms").textContent = `${spent.toFixed(0)} ms`;
    } catch (error) {
      problem.textContent = oneLine(error);
    }
  };
  choice.addEventListener("change", generate);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    return generate();
  });
  await generate();
}

/** What was typed as a seed, exactly: a JavaScript number would lose digits. */
export function seedOf(text) {
  const seed = /^\d+$/.test(text.trim()) ? BigInt(text) : -1n;
  if (seed >= 0n && seed < 2n ** 63n) return seed;
  throw new UsageError(
    `expected a seed of 0 to ${2n ** 63n - 1n}, got ${text.trim() || "nothing"}`,
  );
}

function countOf(text) {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= MOST) return count;
  throw new UsageError(`expected 1 to ${MOST} images, got ${text.trim() || "nothing"}`);
}
