// Reading and writing files: only regular ones are read, and what is written is there whole or not
// at all.

import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { lstat, open, readlink, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";

import { BundleError, oneLine } from "./bundle.mjs";

const { O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_NONBLOCK = 0, O_RDONLY, O_WRONLY } = constants;
const MOST_LINKS = 40; // as Linux follows

/**
 * A regular file as a whole; links are followed.
 *
 * @param {string} path
 * @param {number} most bytes that it may have
 * @returns {Promise<Buffer>}
 * @throws {BundleError} it is a folder, a device or the like; or larger, then with `size`
 * @throws {Error} with `code`: it cannot be opened or read
 */
export async function readRegular(path, most) {
  return reading(path, async (file, size) => {
    if (size > most) {
      const error = new BundleError(`${path} is ${size} bytes, expected at most ${most}`);
      throw Object.assign(error, { size });
    }
    return contentOf(file, size);
  });
}

/**
 * As `readRegular`, of a file that a user names.
 *
 * @param {string} path
 * @param {number} most bytes that it may have
 * @returns {Promise<Buffer>}
 * @throws {BundleError} it does not exist, or cannot be read
 */
export async function readNamed(path, most) {
  return named(path, () => readRegular(path, most));
}

/**
 * The first bytes of a file that a user names; fewer where it has not as many.
 *
 * @param {string} path
 * @param {number} count
 * @returns {Promise<Buffer>}
 * @throws {BundleError} it does not exist, or cannot be read
 */
export async function readStart(path, count) {
  return named(path, () => reading(path, (file, size) => contentOf(file, Math.min(size, count))));
}

async function named(path, read) {
  try {
    return await read();
  } catch (error) {
    if (error instanceof BundleError) throw error;
    if (error.code === "ENOENT") throw new BundleError(`${path} does not exist`);
    throw new BundleError(`cannot read ${path}: ${oneLine(error)}`);
  }
}

async function reading(path, read) {
  const file = await openForReading(path);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new BundleError(`${path} is not a regular file`);
    return await read(file, found.size);
  } finally {
    await file.close();
  }
}

// A pipe that nobody writes to would wait for ever otherwise; a socket cannot be opened at all.
async function openForReading(path) {
  try {
    return await open(path, O_RDONLY | O_NONBLOCK);
  } catch (error) {
    if (error.code === "ENXIO") throw new BundleError(`${path} is not a regular file`);
    throw error;
  }
}

// No more than it had when it was opened.
async function contentOf(file, size) {
  const bytes = Buffer.alloc(size);
  let at = 0;
  while (at < size) {
    const { bytesRead } = await file.read(bytes, at, Math.min(size - at, 2 ** 30), at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}

/**
 * Refuse a file that `writeWhole` would refuse, before work is done for it.
 *
 * @param {string} path
 * @param {boolean} force whether to replace a file
 * @throws {BundleError} it exists, is a folder, or cannot be written
 */
export async function requireWritable(path, force) {
  await writing(path, () => targetOf(path, force));
}

/**
 * Write a file whole or not at all: beside it first, then renamed. A file that is replaced keeps its
 * mode; links stay, and what they point to is written; devices and pipes are written through.
 *
 * @param {string} path
 * @param {Uint8Array} bytes
 * @param {boolean} force whether to replace a file
 * @throws {BundleError} it exists, is a folder, or cannot be written
 */
export async function writeWhole(path, bytes, force) {
  await writing(path, async () => {
    const { target, mode } = await targetOf(path, force);
    if (target) await replace(target, bytes, mode);
    else await writeTo(await open(path, O_WRONLY), bytes);
  });
}

async function writing(path, act) {
  try {
    await act();
  } catch (error) {
    if (error instanceof BundleError) throw error;
    throw new BundleError(`cannot write ${path}: ${oneLine(error)}`);
  }
}

/**
 * @returns {Promise<{target?: string, mode?: number}>} the file behind all links, with its mode if
 *   it is there; no target for what is written through
 */
async function targetOf(path, force) {
  const found = await stat(path).catch(unlessMissing);
  if (!found) return { target: await behindLinks(path) };
  if (found.isDirectory()) throw new BundleError(`cannot write ${path}: it is a folder`);
  if (!found.isFile()) return {};
  if (!force) {
    throw new BundleError(`${path} exists already: pass --force to replace it, or name another`);
  }
  return { target: await realpath(path), mode: found.mode & 0o7777 };
}

// Where a file is made: the last of the links may point to nothing.
async function behindLinks(path) {
  let target = path;
  for (let links = 0; links <= MOST_LINKS; links++) {
    target = join(await folderOf(target), basename(target));
    const found = await lstat(target).catch(unlessMissing);
    if (!found?.isSymbolicLink()) return target;
    const link = await readlink(target);
    // Not by `join`: a component before ".." may be a link.
    target = isAbsolute(link) ? link : `${dirname(target)}/${link}`;
  }
  throw new Error("too many links");
}

async function folderOf(path) {
  const folder = await realpath(dirname(path)).catch(unlessMissing);
  if (folder === undefined) throw new Error(`there is no folder ${dirname(path)}`);
  return folder;
}

function unlessMissing(error) {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}

async function replace(target, bytes, mode) {
  const hidden = `.${basename(target)}.${randomBytes(4).toString("hex")}.part`;
  const beside = join(dirname(target), hidden);
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  const file = await open(beside, flags, mode === undefined ? 0o666 : 0o600);
  try {
    await writeTo(file, bytes, async () => {
      if (mode !== undefined) await file.chmod(mode);
      await file.sync();
    });
    await rename(beside, target);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

async function writeTo(file, bytes, finish = async () => {}) {
  try {
    await file.writeFile(bytes);
    await finish();
  } finally {
    await file.close();
  }
}
