// Which build of onnxruntime-web runs here, and what reads a bundle over HTTP.

import { BundleError, EnvironmentError, openBundle } from "./bundle.mjs";

const FOLDER = new URL("engine/", import.meta.url).href;

/**
 * The engine. Its build with WebGPU, which runs WebAssembly too, is loaded only where there is a GPU
 * for it; it waits for the GPU by JavaScript Promise Integration, which not every browser has.
 *
 * @returns {Promise<{ort: any, version: string, gpu: boolean, why: string}>} `why`: what speaks
 *   against WebGPU here, if anything does
 * @throws {EnvironmentError} the browser cannot run it
 */
export async function startEngine() {
  if (typeof WebAssembly !== "object") {
    throw new EnvironmentError(
      "This browser has no WebAssembly, or it is switched off: take another browser, " +
        "or allow WebAssembly for this page.",
    );
  }
  if (!globalThis.crypto?.subtle) {
    throw new EnvironmentError(
      "Browsers check files only on https and on localhost: open this page by such an address.",
    );
  }
  const why = await againstGpu();
  const gpu = !why;
  let ort;
  try {
    ort = await import(gpu ? "./engine/ort.jspi.min.mjs" : "./engine/ort.wasm.min.mjs");
  } catch (error) {
    throw new EnvironmentError(
      `The engine did not load from ${FOLDER}: copy onnxruntime-web's files there. ${error.message}`,
    );
  }
  ort.env.wasm.wasmPaths = FOLDER;
  ort.env.wasm.numThreads = 1; // more would need headers that plain web servers do not send
  ort.env.logLevel = "error";
  return { ort, version: ort.env.versions.web, gpu, why };
}

/** A text if WebGPU cannot be used. */
async function againstGpu() {
  if (!navigator.gpu) return "this browser has no WebGPU";
  if (!WebAssembly.Suspending) return "this browser's WebAssembly cannot wait for WebGPU";
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter ? "" : "WebGPU finds no GPU here";
}

/**
 * Opens bundles by address, each once for a provider.
 *
 * @returns {(where: string, provider: "webgpu" | "wasm") => Promise<import("./bundle.mjs").Bundle>}
 */
export function opener({ ort, version }) {
  const opened = new Map();
  return (where, provider) => {
    const key = `${where} ${provider}`;
    if (!opened.has(key)) {
      const read = (name) => readFile(`${where}/${name}`);
      opened.set(key, openBundle({ ort, read, where, version, providers: [provider] }));
    }
    return opened.get(key);
  };
}

/** The bytes at an address; the error has `missing` set where there are none. */
export async function readFile(address) {
  const answer = await fetch(address.split("/").map(encodeURIComponent).join("/"));
  if (answer.ok) return new Uint8Array(await answer.arrayBuffer());
  const error = new BundleError(`the server answered ${answer.status} ${answer.statusText}`);
  throw Object.assign(error, { missing: answer.status === 404 || answer.status === 410 });
}

let turn = Promise.resolve();

/** Runs one thing after another: the engine takes one call at a time. */
export function inTurn(run) {
  const done = turn.then(run);
  turn = done.catch(() => {});
  return done;
}

/** A function that runs the newest of what it is asked for, and skips what came in between. */
export function newest(run) {
  let next;
  let busy = false;
  return async (...wanted) => {
    next = wanted;
    if (busy) return;
    busy = true;
    try {
      while (next) {
        const now = next;
        next = undefined;
        await inTurn(() => run(...now));
      }
    } finally {
      busy = false;
    }
  };
}
