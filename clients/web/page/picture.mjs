// Grey pixels <-> canvases, and how long a frame takes.

/** Show uint8 pixels, [H, W] or [H, W, 3], on a canvas, which takes their size. */
export function paint(canvas, pixels, width, height, channels = 1) {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let colour = 0; colour < 3; colour++) {
      data[pixel * 4 + colour] = pixels[pixel * channels + (channels < 3 ? 0 : colour)];
    }
  }
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d", { willReadFrequently: true }).putImageData(new ImageData(data, width, height), 0, 0);
}

/** The grey images in a picture that has them one below the other: uint8, each [H, W]. */
export async function readStrip(address, width, height) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return Array.from({ length: Math.floor(image.naturalHeight / height) }, (_, number) => {
    const { data } = context.getImageData(0, number * height, width, height);
    return Uint8Array.from({ length: width * height }, (_, pixel) => data[pixel * 4]);
  });
}

/** A function that runs `frame` and shows the median time of the last ones, in milliseconds. */
export function timed(output, frame) {
  const times = [];
  return async (...values) => {
    const start = performance.now();
    const result = await frame(...values);
    times.push(performance.now() - start);
    if (times.length > 31) times.shift();
    const median = times.toSorted((a, b) => a - b)[times.length >> 1];
    output.textContent = `${median.toFixed(median < 10 ? 1 : 0)} ms per frame`;
    return result;
  };
}

/** Say in a panel why it does not work, in place of what would be there. */
export function refuse(panel, text) {
  panel.classList.add("broken");
  const line = panel.querySelector(".problem");
  line.textContent = text;
  line.hidden = false;
}
