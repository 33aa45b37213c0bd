//! BMP: decoded by `image`.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{ImageDecoder, ImageError};

use super::{Header, Read, Refusal, Stored, orientation_of, unreadable};
use crate::error::one_line;

// Where the file's header has what, in bytes.
const PIXELS: usize = 10;
const FILE_HEADER: usize = 14;
const BITS: usize = 28;
const COMPRESSION: usize = 30;
const MASKS: usize = 54;
// Kinds of compression.
const RLE8: u32 = 1;
const RLE4: u32 = 2;
const MASKED: u32 = 3;

/// Size. Fails if its channels have other than 8 bits.
pub(super) fn header(data: &[u8]) -> Read<Header> {
    let decoder = opened(data)?;
    let (width, height) = decoder.dimensions();
    require_depth(data)?;
    Ok(Header { width: width as usize, height: height as usize, orientation: orientation_of(None) })
}

pub(super) fn decode(data: &[u8]) -> Read<Stored> {
    if matches!(compression(data), RLE8 | RLE4) {
        require_pixels(data)?;
    }
    decoded(data)
}

fn decoded(data: &[u8]) -> Read<Stored> {
    let decoder = opened(data)?;
    let size = usize::try_from(decoder.total_bytes()).map_err(unreadable)?;
    let channels = usize::from(decoder.color_type().channel_count());
    let mut samples = vec![0; size];
    decoder.read_image(&mut samples).map_err(failed)?;
    Ok(Stored { channels, samples })
}

/// Run lengths can leave pixels out, and `image` makes these black: with a palette of white alone, what
/// is black was left out.
fn require_pixels(data: &[u8]) -> Read<()> {
    let mut white = data.to_vec();
    let pixels = usize::try_from(number_at(data, PIXELS)).map_err(unreadable)?;
    let palette =
        FILE_HEADER + usize::try_from(number_at(data, FILE_HEADER)).map_err(unreadable)?;
    white.get_mut(palette..pixels).ok_or_else(|| unreadable("it has no palette"))?.fill(255);
    match decoded(&white)?.samples.contains(&0) {
        true => Err(unreadable("pixels are missing")),
        false => Ok(()),
    }
}

fn opened(data: &[u8]) -> Read<BmpDecoder<Cursor<&[u8]>>> {
    BmpDecoder::new(Cursor::new(data)).map_err(failed)
}

fn failed(error: ImageError) -> Refusal {
    unreadable(one_line(error))
}

/// 16 bits per pixel are 5 or 6 per channel, and masks can say any number: programs scale these in
/// different ways.
fn require_depth(data: &[u8]) -> Read<()> {
    let header = number_at(data, FILE_HEADER);
    if header < 40 {
        return Ok(()); // the oldest header, which has palettes and 24 bits only
    }
    let bits = number_at(data, BITS) & 0xffff;
    // Without alpha in the header, what follows the colours' masks is no mask.
    let masks = if header < 56 { 3 } else { 4 };
    let mut masks = (0..masks).map(|mask| number_at(data, MASKS + 4 * mask));
    let odd = masks.any(|mask| !matches!(mask.count_ones(), 0 | 8));
    if bits == 16 || compression(data) == MASKED && odd {
        return Err(unreadable("expected 8 or 16 bits per channel"));
    }
    Ok(())
}

fn compression(data: &[u8]) -> u32 {
    match number_at(data, FILE_HEADER) {
        0..40 => 0,
        _ => number_at(data, COMPRESSION),
    }
}

/// A number of the header; 0 where the file is shorter.
fn number_at(data: &[u8], at: usize) -> u32 {
    let bytes = data.get(at..).and_then(|rest| rest.first_chunk::<4>());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
