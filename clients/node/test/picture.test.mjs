import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { crc32, deflateSync } from "node:zlib";

import { readPicture } from "../node.mjs";

// 16x8 pixels: black on the left, white on the right.
const JPEG = Buffer.from(
  "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/wAALCAAIABABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAACQr/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAA/ACqVUP/Z",
  "base64",
);
const folder = mkdtempSync(join(tmpdir(), "aeonnx-test-"));
after(() => rmSync(folder, { recursive: true }));

let count = 0;
function written(bytes) {
  const path = join(folder, `picture ${count++}`);
  writeFileSync(path, bytes);
  return path;
}

async function read(bytes, shape) {
  return [...(await readPicture(written(bytes), shape)).pixels];
}

async function refused(bytes, shape, reason) {
  const path = written(bytes);
  await assert.rejects(readPicture(path, shape), { message: `${path}${reason}`, exitCode: 1 });
}

const NOT_READABLE = " is not a readable PNG, JPEG or BMP image: ";
const TRANSPARENT = " has transparent pixels, and the model takes none: flatten it first";

function chunk(name, data) {
  const named = Buffer.concat([Buffer.from(name), Buffer.from(data)]);
  return Buffer.concat([u32(data.length), named, u32(crc32(named))]);
}

function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A PNG of rows as they are packed in it, without filters. */
function png(width, depth, colours, rows, { chunks = [], packed = pack(rows) } = {}) {
  const header = Buffer.from([...u32(width), ...u32(rows.length), depth, colours, 0, 0, 0]);
  const start = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  const data = [chunk("IHDR", header), ...chunks, chunk("IDAT", packed), chunk("IEND", [])];
  return Buffer.concat([start, ...data]);
}

function pack(rows) {
  return deflateSync(Buffer.from(rows.flatMap((row) => [0, ...row])));
}

function exif(orientation) {
  const entry = [1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
  return Buffer.from([0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, ...entry, 0, 0, 0, 0]);
}

test("1, 2 and 4 bits of grey are scaled", async () => {
  assert.deepEqual(await read(png(2, 1, 0, [[0b01000000]]), [1, 1, 2]), [0, 255]);
  assert.deepEqual(await read(png(4, 2, 0, [[0b00011011]]), [1, 1, 4]), [0, 85, 170, 255]);
  assert.deepEqual(await read(png(2, 4, 0, [[0x3a]]), [1, 1, 2]), [51, 170]);
});

test("of 16 bits the high byte is taken", async () => {
  assert.deepEqual(await read(png(2, 16, 0, [[1, 0xff, 0x80, 0]]), [1, 1, 2]), [1, 0x80]);
  assert.deepEqual(await read(png(1, 16, 2, [[1, 9, 2, 9, 3, 9]]), [3, 1, 1]), [1, 2, 3]);
  assert.deepEqual(await read(png(1, 16, 6, [[1, 9, 2, 9, 3, 9, 4, 9]]), [4, 1, 1]), [1, 2, 3, 4]);
});

test("colours become grey as they do in pillow, and grey colours", async () => {
  const grey = (19595 * 10 + 38470 * 20 + 7471 * 200 + 32768) >> 16;
  assert.deepEqual(await read(png(1, 8, 2, [[10, 20, 200]]), [1, 1, 1]), [grey]);
  assert.deepEqual(await read(png(1, 8, 2, [[10, 20, 200]]), [2, 1, 1]), [grey, 255]);
  assert.deepEqual(await read(png(1, 8, 0, [[77]]), [4, 1, 1]), [77, 77, 77, 255]);
});

test("alpha is kept where it is wanted, dropped where it says nothing, and refused else", async () => {
  const key = { chunks: [chunk("tRNS", [0, 7])] };
  const palette = [chunk("PLTE", [1, 2, 3, 4, 5, 6]), chunk("tRNS", [255, 9])];
  assert.deepEqual(await read(png(1, 8, 4, [[7, 9]]), [2, 1, 1]), [7, 9]);
  assert.deepEqual(await read(png(1, 8, 4, [[7, 255]]), [1, 1, 1]), [7]);
  assert.deepEqual(await read(png(2, 8, 0, [[7, 8]], key), [2, 1, 2]), [7, 8, 0, 255]);
  assert.deepEqual(await read(png(1, 8, 0, [[8]], key), [1, 1, 1]), [8]);
  assert.deepEqual(await read(png(1, 8, 3, [[1]], { chunks: palette }), [4, 1, 1]), [4, 5, 6, 9]);
  await refused(png(1, 8, 4, [[7, 254]]), [1, 1, 1], TRANSPARENT);
  await refused(png(1, 8, 6, [[1, 2, 3, 0]]), [3, 1, 1], TRANSPARENT);
  await refused(png(1, 8, 0, [[7]], key), [1, 1, 1], TRANSPARENT);
  await refused(png(1, 8, 3, [[1]], { chunks: palette }), [3, 1, 1], TRANSPARENT);
});

const TURNED = [
  ["12", "34", "56"], ["21", "43", "65"], ["65", "43", "21"], ["56", "34", "12"],
  ["135", "246"], ["531", "642"], ["642", "531"], ["246", "135"],
]; // prettier-ignore

for (const [index, rows] of TURNED.entries()) {
  test(`orientation ${index + 1} is applied`, async () => {
    const chunks = [chunk("eXIf", exif(index + 1))];
    const picture = png(2, 8, 0, [[1, 2], [3, 4], [5, 6]], { chunks }); // prettier-ignore
    const expected = [...rows.join("")].map(Number);
    assert.deepEqual(await read(picture, [1, rows.length, rows[0].length]), expected);
  });
}

test("a damaged PNG is refused", async () => {
  const rows = [[1, 2], [3, 4]]; // prettier-ignore
  const [whole, shape] = [png(2, 8, 0, rows), [1, 2, 2]];
  const end = "it is cut: its end, the chunk IEND, is missing";
  await refused(whole.subarray(0, -12), shape, NOT_READABLE + end);
  await refused(whole.subarray(0, 20), shape, `${NOT_READABLE}it is cut in the chunk IHDR`);
  await refused(Buffer.alloc(0), shape, `${NOT_READABLE}it is empty`);
  await refused(Buffer.from("GIF89a"), shape, `${NOT_READABLE}it starts as none of them`);
  const text = png(2, 8, 0, rows, { chunks: [chunk("tEXt", "a\0b")] });
  text[text.indexOf("tEXt") + 4] ^= 1;
  await refused(text, shape, `${NOT_READABLE}the chunk tEXt has a wrong checksum`);
  const data = (packed) => png(2, 8, 0, rows, { packed });
  const adler = pack(rows);
  adler[adler.length - 1] ^= 1;
  await refused(data(adler), shape, `${NOT_READABLE}incorrect data check`);
  await refused(data(pack(rows).subarray(0, -4)), shape, `${NOT_READABLE}unexpected end of file`);
  await refused(data(pack([rows[0]])), shape, `${NOT_READABLE}rows are missing`);
  const more = deflateSync(Buffer.alloc(1e6));
  await refused(data(more), shape, `${NOT_READABLE}it has more data than its size`);
  assert.deepEqual(await read(Buffer.concat([whole, Buffer.from("more")]), shape), [1, 2, 3, 4]);
});

test("a picture of another size or of several is refused", async () => {
  const one = png(2, 8, 0, [[1, 2]]);
  await refused(one, [1, 3, 4], ": expected 4x3 pixels, got 2x1: resize it first");
  const turned = png(2, 8, 0, [[1, 2]], { chunks: [chunk("eXIf", exif(6))] });
  await refused(turned, [1, 1, 2], ": expected 2x1 pixels, got 1x2: resize it first");
  const frames = (number) => ({ chunks: [chunk("acTL", [0, 0, 0, number, 0, 0, 0, 0])] });
  await refused(png(2, 8, 0, [[1, 2]], frames(3)), [1, 1, 2], " holds 3 pictures: expected one");
  assert.deepEqual(await read(png(2, 8, 0, [[1, 2]], frames(1)), [1, 1, 2]), [1, 2]);
});

test("a JPEG is read, turned, and refused where it is cut", async () => {
  const shape = [1, 8, 16];
  const row = await read(JPEG, shape);
  assert.ok(row.slice(0, 8).every((value) => value < 4));
  assert.ok(row.slice(8, 16).every((value) => value > 251));
  const content = Buffer.concat([Buffer.from("Exif\0\0"), exif(6)]);
  const size = [0, content.length + 2];
  const turned = [
    JPEG.subarray(0, 2),
    Buffer.from([0xff, 0xe1, ...size]),
    content,
    JPEG.subarray(2),
  ];
  const column = await read(Buffer.concat(turned), [1, 16, 8]);
  assert.ok(column.slice(0, 64).every((value) => value < 4));
  assert.ok(column.slice(64).every((value) => value > 251));
  assert.deepEqual(await read(Buffer.concat([JPEG, Buffer.from("more")]), shape), row);
  const end = "it is cut: its end, the marker EOI, is missing";
  for (const length of [3, 100, JPEG.length - 1]) {
    await refused(JPEG.subarray(0, length), shape, NOT_READABLE + end);
  }
});

function withFrame(place, value) {
  const bytes = Buffer.from(JPEG);
  bytes[bytes.indexOf(Buffer.from([0xff, 0xc0])) + place] = value;
  return bytes;
}

test("a JPEG in CMYK or of 12 bits is refused", async () => {
  const cmyk = " is in CMYK, whose colours depend on its profile: convert it to RGB first";
  await refused(withFrame(9, 4), [1, 8, 16], cmyk);
  const depth = `${NOT_READABLE}expected 8 or 16 bits per channel, got 12`;
  await refused(withFrame(4, 12), [1, 8, 16], depth);
});

test("damaged JPEGs do not break those after them", async () => {
  const damaged = withFrame(9, 255); // channels
  const reason = `${NOT_READABLE}its data are damaged, or of a kind that is not read`;
  for (let round = 0; round < 400; round++) await refused(damaged, [1, 8, 16], reason);
  assert.equal((await read(JPEG, [1, 8, 16])).length, 128);
});

/** A BMP of rows from the last to the first. */
function bmp(width, bits, rows, { table = [], compression = 0, height = rows.length } = {}) {
  const header = Buffer.alloc(54);
  header.write("BM");
  const fields = [54 + table.length, 40, width];
  fields.forEach((value, index) => header.writeUInt32LE(value, 10 + 4 * index));
  header.writeInt32LE(height, 22);
  header.writeUInt16LE(bits, 28);
  header.writeUInt32LE(compression, 30);
  return Buffer.concat([header, Buffer.from(table), ...rows.map((row) => Buffer.from(row))]);
}

test("a BMP is read, from below or from above", async () => {
  const rows = [[3, 2, 1, 0], [6, 5, 4, 0]]; // prettier-ignore
  assert.deepEqual(await read(bmp(1, 24, rows), [3, 2, 1]), [4, 1, 5, 2, 6, 3]);
  assert.deepEqual(await read(bmp(1, 24, rows, { height: -2 }), [3, 2, 1]), [1, 4, 2, 5, 3, 6]);
  assert.deepEqual(await read(bmp(1, 32, [[3, 2, 1, 9]]), [4, 1, 1]), [1, 2, 3, 255]);
  const table = [0, 0, 0, 0, 30, 20, 10, 0];
  assert.deepEqual(
    await read(bmp(2, 1, [[0x40, 0, 0, 0]], { table }), [3, 1, 2]),
    [0, 10, 0, 20, 0, 30],
  );
  const cut = bmp(1, 24, rows).subarray(0, -1);
  await refused(cut, [3, 2, 1], `${NOT_READABLE}rows are missing`);
  const packed = bmp(1, 8, rows, { compression: 1 });
  await refused(packed, [3, 2, 1], `${NOT_READABLE}it is compressed, expected a plain one`);
  await refused(cut.subarray(0, 30), [3, 2, 1], `${NOT_READABLE}it is cut in its header`);
});

for (const [bits, first, second] of [
  [1, 0x40, 0],
  [4, 0x01, 0],
  [8, 0, 255],
]) {
  test(`a pixel of ${bits} bits beyond the colours of a BMP is black`, async () => {
    const picture = bmp(2, bits, [[first, second, 0, 0]], { table: [3, 2, 1, 0] });
    assert.deepEqual(await read(picture, [4, 1, 2]), [1, 0, 2, 0, 3, 0, 255, 255]);
    assert.deepEqual(await read(picture, [3, 1, 2]), [1, 0, 2, 0, 3, 0]);
  });
}
