// The panel with a slider for each number of z, and the decoder's answer.

import { BundleError, oneLine, toPixels } from "./bundle.mjs";
import { inTurn, newest } from "./engine.mjs";
import { classChoice } from "./labels.mjs";
import { paintTile, sizedImage, timed } from "./picture.mjs";
import { seedOf } from "./generate.mjs";

const FARTHEST = 4; // deviations of a standard normal: beyond it is one number in 16,000
const STEPS = 160; // of a slider

/**
 * @param {HTMLElement} panel
 * @param {import("./proof.mjs").Proof} proof of the decoder
 * @param {Record<string, import("./proof.mjs").Proof>} proofs of all panels: a sampler of the same
 *   bundle draws z from a seed
 */
export async function latentPanel(panel, { bundle, where }, proofs) {
  const part = await bundle.ready("decoder");
  const [input] = part.variant.inputs;
  const [output] = part.variant.outputs;
  const [channels, height, width] = sizedImage(bundle, "decoder", [1, 3]);
  const canvas = /** @type {HTMLCanvasElement} */ (panel.querySelector("#decoded"));
  Object.assign(canvas, { width, height });
  const seed = /** @type {HTMLInputElement} */ (panel.querySelector("#latent-seed"));
  const z = new Float32Array(Number(input.shape[1]));
  const sampler = samplerIn(where, proofs);

  const choice = /** @type {HTMLSelectElement} */ (panel.querySelector("#latent-class"));
  const chosen = await classChoice(choice, bundle, part.variant);

  const decode = timed(panel.querySelector("#decode-ms"), () =>
    part.run({ [input.name]: z, ...labelInput(part.variant, chosen()) }),
  );
  const show = newest(async () => {
    const found = (await decode())[output.name];
    const pixels = output.dtype === "uint8" ? found : toPixels(found, output.range);
    paintTile(canvas, { top: 0, left: 0, height, width, pixels }, channels);
  });
  const sliders = Array.from(z, (_, number) => {
    const slider = sliderFor(number);
    slider.addEventListener("input", () => {
      z[number] = Number(slider.value);
      return show();
    });
    panel.querySelector("#sliders").append(labelled(slider, number));
    return slider;
  });
  let farthest = FARTHEST;
  const load = (values) => {
    z.set(values); // as drawn: a slider shows the nearest of its steps
    farthest = Math.max(farthest, Math.ceil(Math.max(...values.map(Math.abs))));
    // Codes number entries of a table, from 0 on.
    const [low, high] = input.range ?? [input.kind === "codes" ? 0 : -farthest, farthest];
    sliders.forEach((slider, number) => {
      const span = { min: String(low), max: String(high), step: String((high - low) / STEPS) };
      Object.assign(slider, span, { value: String(z[number]) });
      slider.dispatchEvent(new Event("moved"));
    });
    return show();
  };

  choice.addEventListener("change", () => show());
  const [lowest, highest] = input.range ?? [0, 0];
  const zero = Math.min(Math.max(0, lowest), highest); // or the nearest that it takes
  panel.querySelector("#zero").addEventListener("click", () => load(z.map(() => zero)));
  const fromSeed = newestSeed(panel, seed, sampler, chosen, z.length, load);
  seed.addEventListener("input", fromSeed);
  const random = /** @type {HTMLElement} */ (panel.querySelector("#random"));
  seed.parentElement.hidden = random.hidden = !sampler;
  random.addEventListener("click", () => {
    seed.value = String(crypto.getRandomValues(new Uint16Array(1))[0]);
    return fromSeed();
  });
  await (sampler ? fromSeed() : load(await storedLatent(bundle, input.name, z.length)));
}

/** The bundle of the sampler that is in a bundle too, if the page has it. */
function samplerIn(where, proofs) {
  const same = (proof) => proof.part === "sampler" && proof.where === where && !proof.error;
  return Object.values(proofs).find(same)?.bundle;
}

/** The first of the latents that the golden vectors decode: of a real image, if there were some. */
async function storedLatent(bundle, name, length) {
  const { inputs } = await bundle.golden("decoder");
  return inputs[name].data.subarray(0, length);
}

/** The input of a part that takes a label, for one row. */
function labelInput({ inputs }, label) {
  const input = inputs.find(({ kind }) => kind === "label");
  return input ? { [input.name]: BigInt64Array.of(label) } : {};
}

function newestSeed(panel, field, sampler, chosen, length, load) {
  return async () => {
    const text = panel.querySelector("#latent-problem");
    try {
      const seed = BigInt64Array.of(seedOf(field.value));
      const part = await sampler.ready("sampler");
      const label = labelInput(part.variant, chosen()); // z is the same for all classes
      const { z } = await inTurn(() => part.run({ seed, index: BigInt64Array.of(0n), ...label }));
      if (z?.length !== length) {
        throw new BundleError(
          `the sampler gives no z of ${length} numbers: export the bundle again`,
        );
      }
      text.textContent = "";
      await load(z);
    } catch (error) {
      text.textContent = oneLine(error);
    }
  };
}

function sliderFor(number) {
  const slider = document.createElement("input");
  const names = { id: `z${number}`, ariaLabel: `Latent ${number + 1}` };
  return Object.assign(slider, { type: "range", ...names });
}

function labelled(slider, number) {
  const label = document.createElement("label");
  const value = document.createElement("output");
  const show = () => (value.textContent = Number(slider.value).toFixed(2));
  label.htmlFor = slider.id;
  label.append(`z${number + 1}`, slider, value);
  slider.addEventListener("input", show);
  slider.addEventListener("moved", show);
  show();
  return label;
}
