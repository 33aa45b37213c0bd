// Drawing pixels by pointer, touch, or keyboard.

const RADIUS = 1.2 / 28; // of the pen, as a share of the image's smaller side
const EDGE = 1; // pixel over which its ink fades, as in the digits that models learn from
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Makes a canvas a drawing area of `width` x `height` pixels.
 *
 * @param {HTMLCanvasElement} canvas focusable
 * @param {HTMLElement} pen shown where the keyboard's pen is, in a box of the canvas's size
 * @param {(pixels: Uint8Array) => void} onChange called with the pixels, [H, W], not to be changed
 * @returns {{load: (pixels: Uint8Array) => void, clear: () => void}}
 */
export function drawingArea(canvas, pen, width, height, onChange) {
  const radius = RADIUS * Math.min(width, height);
  let pixels = new Uint8Array(width * height);
  let at = [(width - 1) / 2, (height - 1) / 2];
  let down = false;

  const load = (next) => {
    pixels = next;
    onChange(pixels);
  };
  const draw = (from, to) => load(withStroke(pixels, width, radius, from, to));
  const place = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    const x = ((clientX - box.left) / box.width) * width - 0.5;
    return [x, ((clientY - box.top) / box.height) * height - 0.5];
  };
  const move = (to) => {
    at = to;
    pen.style.left = `${((at[0] + 0.5) / width) * 100}%`;
    pen.style.top = `${((at[1] + 0.5) / height) * 100}%`;
  };
  const hold = (held) => {
    down = held;
    pen.classList.toggle("down", down);
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    hold(false);
    move(place(event));
    draw(at, at);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const steps = event.getCoalescedEvents();
    for (const step of steps.length ? steps : [event]) {
      const from = at;
      move(place(step));
      draw(from, at);
    }
  });
  canvas.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (step) {
      const from = at;
      const to = [within(at[0] + step[0], width - 1), within(at[1] + step[1], height - 1)];
      move(to);
      if (down) draw(from, to);
    } else if (event.key === " ") {
      hold(!down);
      if (down) draw(at, at);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      hold(false);
      load(new Uint8Array(width * height));
    } else return;
    event.preventDefault();
  });
  canvas.addEventListener("blur", () => hold(false));
  move(at);
  return { load, clear: () => load(new Uint8Array(width * height)) };
}

/** The pixels with ink along a line, as dark as the darker of both. */
function withStroke(pixels, width, radius, from, to) {
  return pixels.map((value, pixel) => {
    const away = distance([pixel % width, Math.floor(pixel / width)], from, to);
    const ink = within((radius + EDGE / 2 - away) / EDGE, 1) * 255;
    return Math.max(value, Math.round(ink));
  });
}

/** From a point to the nearest of a line between two. */
function distance([x, y], [fromX, fromY], [toX, toY]) {
  const [alongX, alongY] = [toX - fromX, toY - fromY];
  const length = alongX ** 2 + alongY ** 2;
  const share = length && within(((x - fromX) * alongX + (y - fromY) * alongY) / length, 1);
  return Math.hypot(x - fromX - share * alongX, y - fromY - share * alongY);
}

function within(value, highest) {
  return Math.min(Math.max(value, 0), highest);
}
