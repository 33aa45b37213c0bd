// The panel that takes a photograph of any size, and shows it before and after the denoiser.

import { BundleError, oneLine, printable } from "./bundle.mjs";
import { takeTurn } from "./engine.mjs";
import { offer, paintTile, readPhoto, shownChannels } from "./picture.mjs";

const MOST_PIXELS = 2 ** 26; // more are a matter for the command line
const TILED_FROM = 2 ** 18; // values: smaller than the library's, so that the page stays alive

/**
 * @param {HTMLElement} panel
 * @param {import("./proof.mjs").Proof} proof of the denoiser
 */
export async function photoPanel(panel, { bundle }) {
  await bundle.ready("denoiser");
  const channels = channelsOf(bundle);
  const [shown, problem, said, stop, link] = [
    ...["#photo-shown", "#photo-problem", "#photo-said", "#photo-stop", "#photo-save"],
  ].map((name) => /** @type {HTMLElement} */ (panel.querySelector(name)));
  const file = /** @type {HTMLInputElement} */ (panel.querySelector("#photo-file"));
  const [before, after] = ["#before", "#after"].map(
    (name) => /** @type {HTMLCanvasElement} */ (panel.querySelector(name)),
  );
  const bar = /** @type {HTMLProgressElement} */ (panel.querySelector("#photo-progress"));
  let running = new AbortController();

  const show = (size, progress) => {
    const { done, total } = progress;
    said.textContent = `${size}, ${done} of ${total} tiles, ${progress.spent()}`;
    Object.assign(bar, { max: total, value: done });
  };
  const denoise = async (photo, name, { signal }) => {
    const { pixels, height, width } = await readPhoto(photo, name, channels, MOST_PIXELS);
    if (signal.aborted) return;
    const size = `${width} × ${height} pixels`;
    shown.hidden = false;
    link.hidden = true;
    shown.style.setProperty("--wide", String(width / height));
    for (const canvas of [before, after]) Object.assign(canvas, { width, height }); // and empty
    paintTile(before, { top: 0, left: 0, height, width, pixels }, channels);
    said.textContent = `${size}, waiting for the engine …`;
    let release = await takeTurn();
    const start = performance.now();
    const spent = () => inWords(performance.now() - start);
    try {
      signal.throwIfAborted();
      const onTile = async (tile) => {
        if (!signal.aborted) {
          paintTile(after, tile, channels);
          show(size, { ...tile, spent });
        }
        // The page is painted, and what else waits for the engine goes first.
        release();
        await new Promise((next) => setTimeout(next));
        release = await takeTurn();
      };
      await bundle.denoise(pixels, [height, width], { whole: TILED_FROM, onTile, signal });
      said.textContent = `${size}, denoised in ${spent()}`;
    } finally {
      release();
    }
    await offer(link, after, `${name.replace(/\.[^.]*$/, "")}-denoised.png`);
    if (!signal.aborted) link.hidden = false;
  };
  const take = async (photo) => {
    if (!photo) return;
    running.abort();
    const mine = new AbortController();
    running = mine;
    problem.textContent = "";
    bar.hidden = stop.hidden = false;
    bar.removeAttribute("value");
    panel.dataset.state = "busy";
    try {
      await denoise(photo, printable(photo.name), mine);
    } catch (error) {
      if (running === mine && !mine.signal.aborted) problem.textContent = oneLine(error);
    }
    if (running !== mine) return; // a later photograph is shown
    bar.hidden = stop.hidden = true;
    panel.dataset.state = "done";
  };

  file.addEventListener("change", () => take(file.files[0]));
  stop.addEventListener("click", () => {
    running.abort();
    said.textContent += ", stopped";
  });
  onDrop(panel, take);
  compare(panel);
}

function channelsOf(bundle) {
  const [, ...sizes] = bundle.imageShape("denoiser");
  if (sizes.every((size) => typeof size === "string")) {
    return shownChannels(bundle, "denoiser", [1, 3]);
  }
  throw new BundleError(
    `expected a denoiser of pictures of any size, ${bundle.where} takes ${sizes.join(" x ")}`,
  );
}

function inWords(milliseconds) {
  if (milliseconds < 1000) return `${milliseconds.toFixed(0)} ms`;
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** A file may be dropped anywhere: beside the panel, a browser would leave the page for it. */
function onDrop(panel, take) {
  const hasFile = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    panel.classList.add("dropping");
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) panel.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    panel.classList.remove("dropping");
    if (!hasFile(event)) return;
    event.preventDefault();
    return take(event.dataTransfer.files[0]);
  });
}

/** The slider between before, on the left, and after. */
function compare(panel) {
  const slider = /** @type {HTMLInputElement} */ (panel.querySelector("#split"));
  const move = () => {
    panel.querySelector(".compare").style.setProperty("--split", `${slider.value}%`);
    slider.ariaValueText = `${slider.value} % before, ${100 - Number(slider.value)} % after`;
  };
  slider.addEventListener("input", move);
  move();
}
