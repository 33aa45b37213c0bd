// Which build of onnxruntime-web runs here, and what reads a bundle over HTTP.

import { EnvironmentError, openBundle } from "./bundle.mjs";

const FOLDER = new URL("engine/", import.meta.url).href;

/**
 * The engine, in one build or two. The one with WebGPU is loaded only where there is a GPU for it,
 * and beside the other: on WebAssembly it lacks what the sampler needs.
 *
 * @returns {Promise<{builds: {wasm: any, webgpu?: any}, version: string, why: string}>} `why`: what
 *   speaks against WebGPU here, if anything does
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
  const wasm = await load("ort.wasm.min.mjs");
  const version = wasm.env.versions.web;
  const why = await againstGpu();
  if (why) return { builds: { wasm }, version, why };
  try {
    return { builds: { wasm, webgpu: await load("ort.jspi.min.mjs") }, version, why };
  } catch (error) {
    return { builds: { wasm }, version, why: error.message };
  }
}

async function load(build) {
  let ort;
  try {
    ort = await import(`./engine/${build}`);
  } catch (error) {
    const reason = `${build} did not load from ${FOLDER}: copy onnxruntime-web's files there`;
    throw new EnvironmentError(reason, { cause: error });
  }
  ort.env.wasm.wasmPaths = FOLDER;
  ort.env.wasm.numThreads = 1; // more would need headers that plain web servers do not send
  return ort;
}

/** A text if WebGPU cannot be used. */
async function againstGpu() {
  if (!navigator.gpu) return "this browser does not have it";
  // The engine waits for the GPU by JavaScript Promise Integration.
  if (!("Suspending" in WebAssembly)) return "this browser's WebAssembly cannot wait for it";
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter ? "" : "it finds no GPU here";
}

/**
 * Opens bundles by address, each once for a provider.
 *
 * @returns {(where: string, provider: "webgpu" | "wasm") => Promise<import("./bundle.mjs").Bundle>}
 */
export function opener({ builds, version }) {
  const opened = new Map();
  return (where, provider) => {
    const key = `${where} ${provider}`;
    if (!opened.has(key)) {
      const read = (name, most) => readFile(`${where}/${name}`, most);
      const ort = builds[provider];
      opened.set(key, openBundle({ ort, read, where, version, providers: [provider] }));
    }
    return opened.get(key);
  };
}

/**
 * The bytes at an address, as many as `most`; the error has `missing` set where there are none, and
 * `size`, as far as it was read, where there are more.
 */
export async function readFile(address, most) {
  const answer = await fetch(address.split("/").map(encodeURIComponent).join("/"));
  if (!answer.ok) {
    const said = `${address}: the server answered ${answer.status} ${answer.statusText}`;
    const missing = answer.status === 404 || answer.status === 410;
    throw Object.assign(new Error(said), { missing });
  }
  const pieces = [];
  let size = 0;
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(pieces).arrayBuffer());
    pieces.push(value);
    size += value.length;
    if (size > most) {
      await reader.cancel();
      throw Object.assign(new Error(`${address} is larger than ${most} bytes`), { size });
    }
  }
}

/** @type {Promise<unknown>} */
let turn = Promise.resolve();

/**
 * Waits until the engine is free, which takes one call at a time.
 *
 * @returns {Promise<() => void>} what lets the next one go
 */
export function takeTurn() {
  const before = turn;
  /** @type {() => void} */
  let release;
  turn = new Promise((done) => (release = () => done(undefined)));
  return before.then(() => release);
}

/**
 * Runs one call after another.
 *
 * @template T
 * @param {() => T | Promise<T>} run
 * @returns {Promise<T>}
 */
export async function inTurn(run) {
  const release = await takeTurn();
  try {
    return await run();
  } finally {
    release();
  }
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
