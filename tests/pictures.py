"""A corpus of picture files, made from a seed, with what a reader must make of each.

`make(folder)` writes the files and says of each what is expected for a wanted number of channels:
the pixels, or words of the refusal. The pixels are computed here with plain numpy, and PNG and BMP
written byte by byte, so that no reader judges itself. Those named PNG, JPEG and BMP are for every
language; the others for Python alone.

    python -m tests.pictures FOLDER    # the files, and expected.json beside them
"""

from __future__ import annotations

import json
import sys
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests import pictures_png as png
from tests.pictures_bmp import bmp

__all__ = ["ORIENTED", "Picture", "from_rgba", "make"]

Array = npt.NDArray[Any]

TRANSPARENT = "has transparent pixels, and the model takes none: flatten it first"
UNREADABLE = "is not a readable PNG, JPEG"
CMYK = "is in CMYK, whose colours depend on its profile: convert it to RGB first"
DEPTH = "expected 8 or 16 bits per channel"
SIZE = "resize it first"

ORIENTED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
"""What each EXIF orientation makes of stored rows [H, W, ...], in numpy."""


@dataclass(frozen=True)
class Picture:
    """One file.

    Args:
        name: of the file.
        format: PNG, JPEG, BMP (for all languages), TIFF, WebP, GIF (for Python), or "" for none.
        wanted: for a number of channels C, uint8 [C, H, W], or words of the refusal.
        levels: how far another decoder may be off; 0 where the format leaves no choice.
    """

    name: str
    format: str
    wanted: dict[int, Array | str] = field(repr=False)
    levels: int = 0

    @property
    def everywhere(self) -> bool:
        """Whether the programs in other languages are to read or refuse it, too."""
        return self.format in ("PNG", "JPEG", "BMP", "")


def from_rgba(rgba: Array, *, grey: bool = False) -> dict[int, Array | str]:
    """What is expected of a picture whose pixels are `rgba`, uint8 [H, W, 4], for each C."""
    rgb, alpha = rgba[..., :3].astype(np.int64), rgba[..., 3]
    luma = (rgb @ np.array([19595, 38470, 7471]) + 32768) >> 16
    if grey:
        assert (luma == rgb[..., 0]).all()
    one, three = luma[None].astype(np.uint8), rgb.transpose(2, 0, 1).astype(np.uint8)
    found: dict[int, Array | str] = {1: one, 3: three}
    if (alpha != 255).any():
        found = {1: TRANSPARENT, 3: TRANSPARENT}
    return found | {2: np.stack([one[0], alpha]), 4: np.concatenate([three, alpha[None]])}


def _refused(text: str) -> dict[int, Array | str]:
    return dict.fromkeys((1, 2, 3, 4), text)


def _rgba(samples: Array, depth: int = 8) -> Array:
    """[H, W, n] samples of n = 1 to 4 channels -> uint8 [H, W, 4]."""
    eight = samples >> 8 if depth == 16 else samples * (255 // (2**depth - 1))
    n = samples.shape[2]
    opaque = np.full((*samples.shape[:2], 1), 255)
    colours = eight[..., : 3 if n > 2 else 1].repeat(1 if n > 2 else 3, axis=2)
    alpha = eight[..., -1:] if n in (2, 4) else opaque
    return np.concatenate([colours, alpha], axis=2).astype(np.uint8)


class _Corpus:
    def __init__(self, folder: Path, height: int, width: int) -> None:
        self.folder, self.height, self.width = folder, height, width
        self.rng = np.random.default_rng(13)
        self.found: list[Picture] = []

    def add(
        self, name: str, data: bytes, wanted: dict[int, Array | str] | str, levels: int = 0
    ) -> None:
        if isinstance(wanted, str):
            wanted = _refused(wanted)
        kind = {"jpg": "JPEG", "tif": "TIFF", "webp": "WebP", "txt": ""}
        stem = name.split("-")[0]
        (self.folder / name).write_bytes(data)
        self.found.append(Picture(name, kind.get(stem, stem.upper()), wanted, levels))

    def samples(self, channels: int, depth: int = 8) -> Array:
        return self.rng.integers(0, 2**depth, (self.height, self.width, channels))

    def smooth(self, channels: int) -> Array:
        """Uint8 [H, W, channels] that JPEG keeps well."""
        rows, columns = np.mgrid[: self.height, : self.width]
        planes = [rows * 5 + columns * 3, 200 - rows * 4, columns * 6, 250 - columns * 5]
        return np.stack(planes[:channels], axis=2).clip(0, 255).astype(np.uint8)


def make(folder: Path, height: int = 28, width: int = 28) -> dict[str, Picture]:
    """Write the corpus into `folder`, which exists: every picture `height` x `width` once upright.

    Returns:
        What is expected, by file name.
    """
    corpus = _Corpus(folder, height, width)
    _plain_pngs(corpus)
    _transparent_pngs(corpus)
    _other_pngs(corpus)
    _bad_pngs(corpus)
    _jpegs(corpus)
    _bmps(corpus)
    _tiffs(corpus)
    _webps_and_gifs(corpus)
    _nothing(corpus)
    return {picture.name: picture for picture in corpus.found}


def _plain_pngs(c: _Corpus) -> None:
    for depth in (1, 2, 4, 8, 16):
        grey = c.samples(1, depth)
        c.add(f"png-grey-{depth}.png", png.png(grey, depth), from_rgba(_rgba(grey, depth)))
    for depth in (8, 16):
        for channels, name in ((3, "rgb"), (2, "grey-alpha"), (4, "rgba")):
            values = c.samples(channels, depth)
            rgba = _rgba(values, depth)
            c.add(f"png-{name}-{depth}.png", png.png(values, depth), from_rgba(rgba))
            if channels != 3:
                values[..., -1] = 2**depth - 1
                rgba = _rgba(values, depth)
                c.add(f"png-{name}-{depth}-opaque.png", png.png(values, depth), from_rgba(rgba))
    for depth in (1, 2, 4, 8):
        index, colours = c.samples(1, depth), c.rng.integers(0, 256, (2**depth, 3))
        rgba = np.dstack([colours[index[..., 0]], np.full(index.shape[:2], 255)]).astype(np.uint8)
        data = png.png(index, depth, palette=colours)
        c.add(f"png-palette-{depth}.png", data, from_rgba(rgba))
    for name, values, depth in (
        ("grey-1", c.samples(1, 1), 1),
        ("grey-16", c.samples(1, 16), 16),
        ("rgb-8", c.samples(3), 8),
    ):
        data = png.png(values, depth, interlaced=True)
        c.add(f"png-interlaced-{name}.png", data, from_rgba(_rgba(values, depth)))


def _transparent_pngs(c: _Corpus) -> None:
    """With a tRNS chunk: of a palette, of a grey, of a colour."""
    index, colours = c.samples(1, 4), c.rng.integers(0, 256, (16, 3))
    for name, alphas in (("used", [0, 100, 255, 7]), ("unused", [255, 255])):
        table = np.full(16, 255)
        table[: len(alphas)] = alphas
        rgba = np.dstack([colours[index[..., 0]], table[index[..., 0]]]).astype(np.uint8)
        data = png.png(index, 4, palette=colours, trns=bytes(alphas))
        c.add(f"png-palette-trns-{name}.png", data, from_rgba(rgba))
    for depth, channels in ((2, 1), (8, 1), (16, 1), (8, 3), (16, 3)):
        values = c.samples(channels, depth)
        colour = values[1, 2].copy()
        rgba = _rgba(values, depth)
        rgba[(values == colour).all(2), 3] = 0
        name = f"{'grey' if channels == 1 else 'rgb'}-{depth}"
        data = png.png(values, depth, trns=colour.astype(">u2").tobytes())
        c.add(f"png-{name}-trns.png", data, from_rgba(rgba))
        if depth == 16:  # the same high byte is not the same colour
            values[(values == colour).all(2)] ^= 1
            rgba[..., 3] = 255
            data = png.png(values, depth, trns=colour.astype(">u2").tobytes())
            c.add(f"png-{name}-trns-unused.png", data, from_rgba(rgba))


def _other_pngs(c: _Corpus) -> None:
    values = c.samples(3)
    expected = from_rgba(_rgba(values))
    c.add("png-filters.png", png.png(values, 8, filters=(0, 1, 2, 3, 4)), expected)
    c.add("png-many-idat.png", png.png(values, 8, pieces=7), expected)
    c.add("png-after-the-end.png", png.png(values, 8) + b"more" * 9, expected)
    c.add("png-called-jpg.jpg", png.png(values, 8), expected)
    more = png.chunk(b"gAMA", (10000).to_bytes(4, "big")) + png.chunk(
        b"pHYs", b"\0\0\1\0" * 2 + b"\1"
    )
    more += png.chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(128))) + png.chunk(
        b"tEXt", b"Title\0x"
    )
    c.add("png-gamma-and-profile.png", png.png(values, 8, before=more), expected)
    one = png.chunk(b"acTL", (1).to_bytes(4, "big") + bytes(4))
    c.add("png-animated-one.png", png.png(values, 8, before=one), expected)
    c.add("png-animated.png", png.animated(values, c.samples(3)), "holds 2 pictures: expected one")
    for orientation in range(1, 9):
        grey = c.samples(1)
        if orientation > 4:
            grey = grey.swapaxes(0, 1)
        upright = ORIENTED[orientation](_rgba(grey))
        data = png.png(grey, 8, before=png.chunk(b"eXIf", png.exif(orientation)))
        c.add(f"png-orientation-{orientation}.png", data, from_rgba(upright))


def _bad_pngs(c: _Corpus) -> None:
    values = c.samples(3)
    whole = png.png(values, 8, before=png.chunk(b"tEXt", b"Title\0x"))
    idat = whole.index(b"IDAT")
    c.add("png-truncated.png", whole[: (idat + len(whole)) // 2], UNREADABLE)
    c.add("png-crc.png", png.flipped(whole, len(whole) - 20), UNREADABLE)
    c.add("png-crc-of-text.png", png.flipped(whole, whole.index(b"Title")), UNREADABLE)
    c.add("png-crc-of-the-head.png", png.flipped(whole, 29), UNREADABLE)
    c.add("png-no-end.png", whole[:-12], UNREADABLE)
    c.add("png-adler.png", png.png(values, 8, spoil="adler"), UNREADABLE)
    c.add("png-missing-rows.png", png.png(values, 8, spoil="rows"), UNREADABLE)
    c.add("png-further-rows.png", png.png(values, 8, spoil="further rows"), UNREADABLE)
    c.add("png-no-pixels.png", png.png(values, 8, spoil="idat"), UNREADABLE)
    c.add("png-filter-5.png", png.png(values, 8, filters=(0, 5)), UNREADABLE)
    c.add("png-depth-3.png", png.png(values, 8, head=(c.width, c.height, 3, 2)), UNREADABLE)
    c.add("png-no-width.png", png.png(values, 8, head=(0, c.height, 8, 2)), UNREADABLE)
    c.add("png-palette-missing.png", png.png(c.samples(1), 8, colour_type=3), UNREADABLE)
    c.add("png-wider.png", png.png(np.hstack([values, values]), 8), SIZE)
    huge = png.png(values, 8, head=(20000, 20000, 8, 2))
    c.add("png-huge.png", huge, "20000x20000")


def _jpeg(image: Array, **options: Any) -> bytes:
    stream = BytesIO()
    mode = "CMYK" if image.shape[2] == 4 else None
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image, mode).save(
        stream, "JPEG", **{"quality": 98, "subsampling": 0, **options}
    )
    return stream.getvalue()


def _decoded(data: bytes) -> Array:
    """What pillow, without any reader around it, makes of a JPEG: the measure for others."""
    pixels = np.asarray(Image.open(BytesIO(data)))
    return _rgba(pixels.reshape(*pixels.shape[:2], -1).astype(np.int64))


def _jpegs(c: _Corpus) -> None:
    grey, colours = c.smooth(1), c.smooth(3)
    for name, image, options in (
        ("grey", grey, {}),
        ("rgb", colours, {}),
        ("progressive", colours, {"progressive": True}),
        ("restarts", colours, {"restart_marker_blocks": 1}),
    ):
        data = _jpeg(image, **options)
        assert np.abs(_decoded(data)[..., 0].astype(int) - image[..., 0]).max() <= 4
        c.add(f"jpg-{name}.jpg", data, from_rgba(_decoded(data)), levels=3)
    data = _jpeg(colours, subsampling=2, quality=90)
    c.add("jpg-420.jpg", data, from_rgba(_decoded(data)), levels=16)
    for orientation in range(1, 9):
        stored = grey.swapaxes(0, 1) if orientation > 4 else grey
        data = _jpeg(stored, exif=b"Exif\0\0" + png.exif(orientation))
        upright = ORIENTED[orientation](_decoded(data))
        c.add(f"jpg-orientation-{orientation}.jpg", data, from_rgba(upright), levels=3)
    whole = _jpeg(grey)
    expected = from_rgba(_decoded(whole))
    c.add("jpg-after-the-end.jpg", whole + b"more" * 9, expected, levels=3)
    c.add("jpg-called-png.png", whole, expected, levels=3)
    c.add("jpg-cmyk.jpg", _jpeg(c.smooth(4)), CMYK)
    c.add("jpg-truncated.jpg", whole[: len(whole) - 30], UNREADABLE)
    c.add("jpg-no-end.jpg", whole[:-2], UNREADABLE)
    c.add("jpg-head-alone.jpg", whole[:20], UNREADABLE)


def _bmps(c: _Corpus) -> None:
    for depth in (1, 4, 8):
        index, colours = c.samples(1, depth), c.rng.integers(0, 256, (2**depth, 3))
        rgba = np.dstack([colours[index[..., 0]], np.full(index.shape[:2], 255)]).astype(np.uint8)
        data = bmp(index, depth, palette=colours)
        c.add(f"bmp-palette-{depth}.bmp", data, from_rgba(rgba))
    index, colours = c.samples(1) % 8, c.rng.integers(0, 256, (5, 3))
    seen = np.vstack([colours, np.zeros((3, 3), int)])[index[..., 0]]  # beyond the table is black
    rgba = np.dstack([seen, np.full(index.shape[:2], 255)]).astype(np.uint8)
    c.add("bmp-palette-short.bmp", bmp(index, 8, palette=colours), from_rgba(rgba))
    ramp = np.arange(256)[:, None].repeat(3, axis=1)
    grey = c.samples(1)
    c.add("bmp-grey.bmp", bmp(grey, 8, palette=ramp), from_rgba(_rgba(grey), grey=True))
    values = c.samples(3)
    expected = from_rgba(_rgba(values))
    c.add("bmp-24.bmp", bmp(values, 24), expected)
    c.add("bmp-24-from-the-top.bmp", bmp(values, 24, from_top=True), expected)
    four = np.dstack([values, c.samples(1)])
    c.add("bmp-32-unused-byte.bmp", bmp(four, 32), expected)
    c.add("bmp-32-alpha.bmp", bmp(four, 32, alpha=True), from_rgba(_rgba(four)))
    four[..., 3] = 255
    c.add("bmp-32-opaque.bmp", bmp(four, 32, alpha=True), from_rgba(_rgba(four)))
    whole = bmp(values, 24)
    c.add("bmp-truncated.bmp", whole[: len(whole) // 2], UNREADABLE)
    c.add("bmp-head-alone.bmp", whole[:30], UNREADABLE)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _tiffs(c: _Corpus) -> None:
    grey, colours = c.samples(1).astype(np.uint8), c.samples(3).astype(np.uint8)
    one, three = Image.fromarray(grey[..., 0]), Image.fromarray(colours)
    for pack in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        data = _saved(three, "TIFF", compression=pack)
        c.add(f"tif-rgb-{pack}.tif", data, from_rgba(_rgba(colours.astype(int))))
    wide = c.samples(1, 16)
    data = _saved(Image.fromarray(wide[..., 0].astype(np.uint16)), "TIFF")
    c.add("tif-grey-16.tif", data, from_rgba(_rgba(wide, 16)))
    four = np.dstack([colours, grey])
    c.add("tif-rgba.tif", _saved(Image.fromarray(four), "TIFF"), from_rgba(four))
    turned = ORIENTED[6](_rgba(grey.swapaxes(0, 1).astype(int)))
    data = _saved(Image.fromarray(grey[..., 0].T.copy()), "TIFF", tiffinfo={274: 6})
    c.add("tif-orientation-6.tif", data, from_rgba(turned))
    c.add("tif-float.tif", _saved(Image.new("F", (c.width, c.height), 0.5), "TIFF"), DEPTH)
    c.add("tif-32.tif", _saved(Image.new("I", (c.width, c.height), 70000), "TIFF"), DEPTH)
    c.add("tif-cmyk.tif", _saved(Image.new("CMYK", (c.width, c.height)), "TIFF"), CMYK)
    pages = _saved(one, "TIFF", save_all=True, append_images=[one, one])
    c.add("tif-pages.tif", pages, "holds 3 pictures: expected one")
    whole = _saved(one, "TIFF", compression="tiff_lzw")
    c.add("tif-truncated.tif", whole[: len(whole) // 2], UNREADABLE)


def _webps_and_gifs(c: _Corpus) -> None:
    colours = c.samples(3).astype(np.uint8)
    four = np.dstack([colours, c.samples(1).astype(np.uint8)])
    three = Image.fromarray(colours)
    whole = _saved(three, "WEBP", lossless=True)
    c.add("webp-rgb.webp", whole, from_rgba(_rgba(colours.astype(int))))
    data = _saved(Image.fromarray(four), "WEBP", lossless=True, exact=True)
    c.add("webp-rgba.webp", data, from_rgba(four))
    turned = np.ascontiguousarray(colours.swapaxes(0, 1))
    data = _saved(Image.fromarray(turned), "WEBP", lossless=True, exif=png.exif(8))
    upright = ORIENTED[8](_rgba(turned.astype(int)))
    c.add("webp-orientation-8.webp", data, from_rgba(upright))
    frames = {"save_all": True, "append_images": [Image.fromarray(colours[::-1].copy())]}
    animated = _saved(three, "WEBP", lossless=True, **frames)
    c.add("webp-animated.webp", animated, "holds 2 pictures: expected one")
    c.add("webp-truncated.webp", whole[: len(whole) // 2], UNREADABLE)
    index, table = c.samples(1, 5), c.rng.integers(0, 256, (32, 3))
    rgba = np.dstack([table[index[..., 0]], np.full(index.shape[:2], 255)]).astype(np.uint8)
    image = Image.fromarray(index[..., 0].astype(np.uint8))
    image.putpalette(table.astype(np.uint8).tobytes())
    whole = _saved(image, "GIF")
    c.add("gif-palette.gif", whole, from_rgba(rgba))
    rgba[index[..., 0] == 3, 3] = 0
    wanted = {1: TRANSPARENT, 3: TRANSPARENT, 4: from_rgba(rgba)[4]}
    c.add("gif-transparent.gif", _saved(image, "GIF", transparency=3), wanted)
    frames = {"save_all": True, "append_images": [image.rotate(180)]}
    c.add("gif-animated.gif", _saved(image, "GIF", **frames), "holds 2 pictures: expected one")
    c.add("gif-truncated.gif", whole[: len(whole) // 2], UNREADABLE)


def _nothing(c: _Corpus) -> None:
    c.add("txt-empty.png", b"", UNREADABLE)
    c.add("txt-words.png", b"hello, this is no picture", UNREADABLE)
    c.add("txt-signature-alone.png", b"\x89PNG\r\n\x1a\n", UNREADABLE)


def _main(folder: Path) -> None:
    """Write the corpus, and for programs `expected.json`: per file format, levels and wanted."""
    folder.mkdir(parents=True, exist_ok=True)
    table = {
        name: {
            "format": picture.format,
            "levels": picture.levels,
            "wanted": {
                str(channels): value if isinstance(value, str) else value.tolist()
                for channels, value in picture.wanted.items()
            },
        }
        for name, picture in make(folder).items()
    }
    (folder / "expected.json").write_text(json.dumps(table))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
