// The panel with a slider for each number of z, and the decoder's answer.

import { BundleError, oneLine, toPixels } from "./bundle.mjs";
import { inTurn, newest } from "./engine.mjs";
import { classChoice } from "./labels.mjs";
import { greySize, paint, timed } from "./picture.mjs";
import { seedOf } from "./generate.mjs";

const FARTHEST = 4; // deviations of the prior: beyond it is one number in 16,000

/**
 * @param {HTMLElement} panel
 * @param {import("./bundle.mjs").Bundle} bundle of the decoder
 * @param {import("./bundle.mjs").Bundle} [sampler] to draw z from a seed with, if there is one
 */
export async function latentPanel(panel, bundle, sampler) {
  const part = await bundle.ready("decoder");
  const [input] = part.variant.inputs;
  const [output] = part.variant.outputs;
  const [height, width] = greySize(bundle, "decoder");
  const canvas = panel.querySelector("#decoded");
  const seed = /** @type {HTMLInputElement} */ (panel.querySelector("#latent-seed"));
  const z = new Float32Array(Number(input.shape[1]));

  const choice = /** @type {HTMLSelectElement} */ (panel.querySelector("#latent-class"));
  const chosen = await classChoice(choice, bundle, part.variant);

  const decode = timed(panel.querySelector("#decode-ms"), () =>
    part.run({ [input.name]: z, ...labelInput(part.variant, chosen()) }),
  );
  const show = newest(async () => {
    const found = (await decode())[output.name];
    const pixels = output.dtype === "uint8" ? found : toPixels(found, output.range);
    paint(canvas, pixels, width, height);
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
  const load = (values) => {
    z.set(values); // as drawn: a slider shows the nearest of its steps
    sliders.forEach((slider, number) => {
      slider.value = String(z[number]);
      slider.dispatchEvent(new Event("moved"));
    });
    return show();
  };

  choice.addEventListener("change", () => show());
  panel.querySelector("#zero").addEventListener("click", () => load(z.map(() => 0)));
  const fromSeed = newestSeed(panel, seed, sampler, z.length, load);
  seed.addEventListener("input", fromSeed);
  panel.querySelector("#random").addEventListener("click", () => {
    seed.value = String(crypto.getRandomValues(new Uint16Array(1))[0]);
    return fromSeed();
  });
  await (sampler ? fromSeed() : load(z));
}

/** The input of a part that takes a label, for one row. */
function labelInput({ inputs }, label) {
  const input = inputs.find(({ kind }) => kind === "label");
  return input ? { [input.name]: BigInt64Array.of(label) } : {};
}

function newestSeed(panel, field, sampler, length, load) {
  return async () => {
    const text = panel.querySelector("#latent-problem");
    try {
      const seed = BigInt64Array.of(seedOf(field.value));
      const part = await sampler.ready("sampler");
      const label = labelInput(part.variant, 0n); // z is the same for all classes
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
  const range = { min: `${-FARTHEST}`, max: `${FARTHEST}`, step: "0.05", value: "0" };
  const names = { id: `z${number}`, ariaLabel: `Latent ${number + 1}` };
  return Object.assign(slider, { type: "range", ...names, ...range });
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
