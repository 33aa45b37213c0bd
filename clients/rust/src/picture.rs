//! PNG files <-> pixels.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use png::{BitDepth, ColorType, Decoder, Encoder, Transformations};

use crate::{Error, Result};

const GREY: u8 = 128;

/// A picture as uint8 [C, H, W]; its colours are made C channels. Fails if it is missing, not an
/// 8-bit PNG, or of another size.
pub fn read(path: &Path, [channels, height, width]: [usize; 3]) -> Result<Vec<u8>> {
    let place = path.display();
    if !path.exists() {
        return Err(Error::failed(format!("{place} does not exist")));
    }
    let refuse =
        |reason: String| Error::failed(format!("{place} is not a readable PNG image: {reason}"));
    let data = fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let mut decoder = Decoder::new(Cursor::new(data));
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(|error| refuse(error.to_string()))?;
    let (wide, high) = (reader.info().width, reader.info().height);
    if (wide as usize, high as usize) != (width, height) {
        return Err(Error::failed(format!(
            "{place}: expected {width}x{height} pixels, got {wide}x{high}: resize it first"
        )));
    }
    if reader.info().bit_depth == BitDepth::Sixteen {
        return Err(refuse("it has 16 bits, expected 8".into()));
    }
    let size = reader.output_buffer_size().ok_or_else(|| refuse("it is too large".into()))?;
    let mut stored = vec![0; size];
    let frame = reader.next_frame(&mut stored).map_err(|error| refuse(error.to_string()))?;
    let mut pixels = vec![0; channels * height * width];
    for (i, pixel) in stored.chunks(frame.color_type.samples()).take(height * width).enumerate() {
        for (channel, value) in channels_of(pixel, channels).into_iter().enumerate() {
            pixels[channel * height * width + i] = value;
        }
    }
    Ok(pixels)
}

/// Write images, uint8 [count, C, H, W], as one PNG: rows of ceil(sqrt(count)) on a grey ground. The
/// file is written whole or not at all.
pub fn write_grid(path: &Path, images: &[u8], [channels, height, width]: [usize; 3]) -> Result<()> {
    let count = images.len() / (channels * height * width);
    let columns = (count as f64).sqrt().ceil() as usize;
    let rows = count.div_ceil(columns);
    let gap = if count == 1 { 0 } else { 2 }; // pixels between images and around them
    let (wide, high) = (columns * (width + gap) + gap, rows * (height + gap) + gap);
    let mut picture = vec![GREY; wide * high * channels];
    for (i, value) in images.iter().enumerate() {
        let (x, y) = (i % width, i / width % height);
        let channel = i / (width * height) % channels;
        let image = i / (width * height * channels);
        let left = gap + image % columns * (width + gap) + x;
        let top = gap + image / columns * (height + gap) + y;
        picture[(top * wide + left) * channels + channel] = *value;
    }
    let failed =
        |reason: String| Error::failed(format!("cannot write {}: {reason}", path.display()));
    let data =
        encoded(&picture, wide, high, channels).map_err(|error| failed(error.to_string()))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let written = fs::write(&beside, data).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&beside); // it may not even be there
        failed(error.to_string())
    })
}

fn encoded(
    picture: &[u8],
    wide: usize,
    high: usize,
    channels: usize,
) -> std::result::Result<Vec<u8>, png::EncodingError> {
    let color = match channels {
        1 => ColorType::Grayscale,
        2 => ColorType::GrayscaleAlpha,
        3 => ColorType::Rgb,
        _ => ColorType::Rgba,
    };
    let mut data = Vec::new();
    let mut encoder = Encoder::new(&mut data, wide as u32, high as u32);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    encoder.write_header()?.write_image_data(picture)?;
    Ok(data)
}

fn channels_of(pixel: &[u8], channels: usize) -> Vec<u8> {
    let [red, green, blue, alpha] = match *pixel {
        [grey] => [grey, grey, grey, 255],
        [grey, alpha] => [grey, grey, grey, alpha],
        [red, green, blue] => [red, green, blue, 255],
        _ => [pixel[0], pixel[1], pixel[2], pixel[3]],
    };
    let weighted = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue);
    let grey = ((weighted + 32768) >> 16) as u8;
    match channels {
        1 => vec![grey],
        2 => vec![grey, alpha],
        3 => vec![red, green, blue],
        _ => vec![red, green, blue, alpha],
    }
}
