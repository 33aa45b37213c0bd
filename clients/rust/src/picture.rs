//! Pictures <-> pixels.

mod bmp;
mod jpeg;
mod png;

use std::path::Path;

use image::metadata::Orientation;

use crate::error::caught;
use crate::{Error, Picture, Result, Size, files};

const GREY: u8 = 128;
const LARGEST_FILE: u64 = 1 << 30;
const MOST_PIXELS: usize = 178_956_970; // as Python's reader

/// A picture as its file has it, 8 bits per sample.
struct Stored {
    /// Grey, grey and alpha, RGB, or RGB and alpha: 1 to 4 samples of each pixel, row by row.
    channels: usize,
    samples: Vec<u8>,
}

/// What a file says of its picture before the picture is decoded.
struct Header {
    width: usize,
    height: usize,
    orientation: Orientation,
}

/// Why a picture is not taken.
enum Refusal {
    /// It is damaged, or of another kind than programs read.
    Unreadable(String),
    /// It is whole, and yet: the rest of the sentence that begins with its name.
    Unwanted(String),
}

type Read<T> = std::result::Result<T, Refusal>;
type Decode = fn(&[u8]) -> Read<Stored>;

fn unreadable(reason: impl ToString) -> Refusal {
    Refusal::Unreadable(reason.to_string())
}

/// A picture as an image of this shape: [C, H, W], of which H and W may be axes, for any size. Its
/// colours are made C channels, 1 to 4. Takes PNG, JPEG and BMP, with the orientation that it names
/// applied. Fails if it is missing, damaged or of another size, holds several pictures, is in CMYK, or
/// has transparent pixels where C has no alpha.
pub fn read(path: &Path, shape: &[Size]) -> Result<Picture> {
    let place = path.display();
    let [Size::Fixed(channels @ 1..=4), height, width] = shape else {
        let got = crate::axes::shown(shape);
        return Err(Error::failed(format!(
            "a picture has 1 to 4 channels and two sizes, not {got}"
        )));
    };
    if !path.exists() {
        return Err(Error::failed(format!("{place} does not exist")));
    }
    let data = files::read(path, files::at_most(path, LARGEST_FILE))?;
    let found = caught(|| picture_of(&data, *channels as usize, height, width));
    found.unwrap_or_else(|panic| Err(Refusal::Unreadable(panic))).map_err(|refusal| {
        Error::failed(match refusal {
            Refusal::Unwanted(sentence) => format!("{place}{sentence}"),
            Refusal::Unreadable(reason) => {
                format!("{place} is not a readable PNG, JPEG or BMP image: {reason}")
            }
        })
    })
}

fn picture_of(data: &[u8], channels: usize, height: &Size, width: &Size) -> Read<Picture> {
    let (header, decode): (_, Decode) = match data {
        [0x89, b'P', b'N', b'G', ..] => (png::header(data)?, png::decode),
        [0xff, 0xd8, ..] => (jpeg::header(data)?, jpeg::decode),
        [b'B', b'M', ..] => (bmp::header(data)?, bmp::decode),
        _ => return Err(unreadable("it is of another kind")),
    };
    let (wide, high) = header.size();
    if wide == 0 || high == 0 {
        return Err(unreadable("it has no pixels"));
    }
    let other = |size: &Size, found: usize| size.axis().is_none() && size.at(0) != found as u64;
    if other(width, wide) || other(height, high) {
        return Err(Refusal::Unwanted(format!(
            ": expected {width}x{height} pixels, got {wide}x{high}: resize it first"
        )));
    }
    if wide.saturating_mul(high) > MOST_PIXELS {
        return Err(Refusal::Unwanted(format!(
            " has {wide}x{high} pixels: expected at most {MOST_PIXELS}, resize it first"
        )));
    }
    let stored = decode(data)?;
    let size = wide * high;
    let mut pixels = vec![0; channels * size];
    for i in 0..size {
        let at = header.stored_at(i % wide, i / wide) * stored.channels;
        let pixel = stored.samples.get(at..at + stored.channels);
        let pixel = pixel.ok_or_else(|| unreadable("rows are missing"))?;
        for (channel, value) in channels_of(pixel, channels)?.into_iter().take(channels).enumerate()
        {
            pixels[channel * size + i] = value;
        }
    }
    Ok(Picture { shape: [channels, high, wide], pixels })
}

impl Header {
    /// Width and height as the picture is meant to be seen.
    fn size(&self) -> (usize, usize) {
        match self.orientation.to_exif() {
            1..=4 => (self.width, self.height),
            _ => (self.height, self.width),
        }
    }

    /// Which pixel of the file is seen at (x, y).
    fn stored_at(&self, x: usize, y: usize) -> usize {
        let (right, bottom) = (self.width - 1, self.height - 1);
        let (column, row) = match self.orientation.to_exif() {
            2 => (right - x, y),
            3 => (right - x, bottom - y),
            4 => (x, bottom - y),
            5 => (y, x),
            6 => (y, bottom - x),
            7 => (right - y, bottom - x),
            8 => (right - y, x),
            _ => (x, y),
        };
        row * self.width + column
    }
}

fn orientation_of(exif: Option<&[u8]>) -> Orientation {
    exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// The first so many are the pixel's.
fn channels_of(pixel: &[u8], channels: usize) -> Read<[u8; 4]> {
    let [red, green, blue, alpha] = match *pixel {
        [grey] => [grey, grey, grey, 255],
        [grey, alpha] => [grey, grey, grey, alpha],
        [red, green, blue] => [red, green, blue, 255],
        [red, green, blue, alpha] => [red, green, blue, alpha],
        _ => return Err(unreadable("its pixels have more than 4 channels")),
    };
    if alpha < 255 && channels % 2 == 1 {
        let text = " has transparent pixels, and the model takes none: flatten it first";
        return Err(Refusal::Unwanted(text.to_string()));
    }
    let weighted = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue);
    let grey = ((weighted + 32768) >> 16) as u8; // exactly red where all three are the same
    Ok(match channels {
        1 => [grey, 0, 0, 0],
        2 => [grey, alpha, 0, 0],
        _ => [red, green, blue, alpha],
    })
}

/// Fails if a picture cannot be written under this name: a folder, or, without `force`, a file that
/// is there already.
pub fn require_writable(path: &Path, force: bool) -> Result<()> {
    files::require_writable(path, force)
}

/// Write a picture as a PNG, whole or not at all; a file that is there is replaced with `force` only.
pub fn write(path: &Path, picture: &Picture, force: bool) -> Result<()> {
    write_grid(path, &picture.pixels, picture.shape, force)
}

/// Write images, uint8 [count, C, H, W], as one PNG, see [`grid`]. The file is written whole or not
/// at all; one that is there is replaced with `force` only.
pub fn write_grid(path: &Path, images: &[u8], shape: [usize; 3], force: bool) -> Result<()> {
    files::write(path, &grid(images, shape)?, force)
}

/// Images, uint8 [count, C, H, W] with 1 to 4 channels, as one PNG: rows of ceil(sqrt(count)) on a
/// grey ground. Fails if there is none, or a part of one.
pub fn grid(images: &[u8], [channels, height, width]: [usize; 3]) -> Result<Vec<u8>> {
    let size = channels * height * width;
    if size == 0 || images.is_empty() || !images.len().is_multiple_of(size) || channels > 4 {
        let got = images.len();
        return Err(Error::failed(format!(
            "expected images of {channels}x{height}x{width} pixels, got {got} values"
        )));
    }
    let count = images.len() / size;
    let columns = (count as f64).sqrt().ceil() as usize;
    let rows = count.div_ceil(columns);
    let gap = if count == 1 { 0 } else { 2 }; // pixels between images and around them
    let (wide, high) = (columns * (width + gap) + gap, rows * (height + gap) + gap);
    let (mut picture, bytes) = (Vec::new(), wide * high * channels);
    let room = picture.try_reserve_exact(bytes);
    room.map_err(|_| Error::failed(format!("there is no memory for a grid of {count} images")))?;
    picture.resize(bytes, GREY);
    for (i, value) in images.iter().enumerate() {
        let (x, y) = (i % width, i / width % height);
        let channel = i / (width * height) % channels;
        let image = i / size;
        let left = gap + image % columns * (width + gap) + x;
        let top = gap + image / columns * (height + gap) + y;
        picture[(top * wide + left) * channels + channel] = *value;
    }
    let failed = |error| Error::failed(format!("{count} images make no PNG: {error}"));
    png::encode(&picture, wide, high, channels).map_err(failed)
}
