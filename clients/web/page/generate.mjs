// The panel that makes the grid of `aeonnx generate`.

import { UsageError, grid, gridSize, oneLine, requirePicture } from "./bundle.mjs";
import { inTurn } from "./engine.mjs";
import { classChoice } from "./labels.mjs";
import { offer, paint } from "./picture.mjs";
import { sizeChoice } from "./sizes.mjs";

const MOST = 1000; // images: more are a matter for the command line
const MOST_PIXELS = 2 ** 26; // of the grid
const MOST_SIDE = 2 ** 14; // of the grid: browsers have no larger canvas
const COLUMN = 340; // CSS pixels beside the form: a larger grid is shown below it
const FIRST = { images: 8, pixels: 512 }; // the most of a side of the first grid

/**
 * @param {HTMLElement} panel
 * @param {import("./proof.mjs").Proof} proof of the sampler
 */
export async function generatePanel(panel, { bundle }) {
  const part = await bundle.ready("sampler");
  requirePicture("sampler", "generate", bundle.imageShape("sampler"));
  const [form, canvas, link, problem, split] = [
    ...["form", "#grid", "#download", "#generate-problem", ".split"],
  ].map((name) => /** @type {HTMLElement} */ (panel.querySelector(name)));
  const [seed, count] = ["#seed", "#count"].map(
    (name) => /** @type {HTMLInputElement} */ (panel.querySelector(name)),
  );

  const sizes = bundle.generatedShape().slice(1);
  const fit = Math.floor(FIRST.pixels / Math.max(...sizes));
  count.value = String(Math.min(Math.max(fit, 1), FIRST.images) ** 2);
  const choice = /** @type {HTMLSelectElement} */ (panel.querySelector("#class"));
  const chosen = await classChoice(choice, bundle, part.variant);
  const size = sizeChoice(panel, bundle, part.variant);
  panel.querySelector("#of-class").toggleAttribute("hidden", choice.options.length === 0);
  panel.querySelector("#of-size").toggleAttribute("hidden", !size());

  const generate = async () => {
    problem.textContent = "";
    try {
      const [wanted, images] = [seedOf(seed.value), countOf(count.value)];
      const options = { label: chosen(), size: size() };
      const shape = bundle.generatedShape(options.size);
      requireShown(gridSize(images, shape));
      const start = performance.now();
      const pixels = await inTurn(() => bundle.generate(wanted, images, 0, options));
      const spent = performance.now() - start;
      const { width, height, channels, data } = grid(pixels, images, shape);
      paint(canvas, data, width, height, channels);
      canvas.style.setProperty("--wide", String(width / height));
      split.classList.toggle("large", Math.max(width, height) > COLUMN);
      canvas.ariaLabel = `${images} generated images of seed ${wanted}`;
      const kind = options.label === undefined ? "" : `${choice.selectedOptions[0].text}-`;
      const sized = options.size ? `-${shape.slice(1).join("x")}` : "";
      await offer(link, canvas, `${kind}seed-${wanted}-${images}${sized}.png`);
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

function requireShown({ width, height }) {
  if (width * height <= MOST_PIXELS && Math.max(width, height) <= MOST_SIDE) return;
  throw new UsageError(
    `expected a picture of at most ${MOST_PIXELS} pixels, and ${MOST_SIDE} a side, got ` +
      `${width}x${height}: take the command line, aeonnx generate`,
  );
}
