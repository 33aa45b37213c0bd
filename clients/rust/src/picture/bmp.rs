//! BMP: decoded by `image`.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{ImageDecoder, ImageError};

use super::{Header, Read, Refusal, Stored, orientation_of, unreadable};
use crate::error::one_line;

/// Size. Fails if its channels have other than 8 bits.
pub(super) fn header(data: &[u8]) -> Read<Header> {
    let decoder = opened(data)?;
    let (width, height) = decoder.dimensions();
    require_depth(data)?;
    Ok(Header { width: width as usize, height: height as usize, orientation: orientation_of(None) })
}

pub(super) fn decode(data: &[u8]) -> Read<Stored> {
    let decoder = opened(data)?;
    let size = usize::try_from(decoder.total_bytes()).map_err(unreadable)?;
    let channels = usize::from(decoder.color_type().channel_count());
    let mut samples = vec![0; size];
    decoder.read_image(&mut samples).map_err(failed)?;
    Ok(Stored { channels, samples })
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
    const BITS: usize = 28;
    const COMPRESSION: usize = 30;
    const MASKS: std::ops::Range<usize> = 54..70;
    let header = data.get(14).copied().unwrap_or(0);
    if header < 40 {
        return Ok(()); // the oldest header, which has palettes and 24 bits only
    }
    let byte = |at: usize| data.get(at).copied().unwrap_or(0);
    let masked = byte(COMPRESSION) == 3 && byte(BITS) == 32;
    let masks = data.get(MASKS).unwrap_or_default().chunks_exact(4);
    // Without alpha in the header, what follows the colours' masks is no mask.
    let masks = masks.take(if header < 56 { 3 } else { 4 });
    let odd = masks.into_iter().any(|mask| {
        let mask = u32::from_le_bytes([mask[0], mask[1], mask[2], mask[3]]);
        !matches!(mask.count_ones(), 0 | 8)
    });
    if byte(BITS) == 16 || masked && odd {
        return Err(unreadable("expected 8 or 16 bits per channel"));
    }
    Ok(())
}
