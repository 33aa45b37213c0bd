//! JPEG: decoded by `zune-jpeg`, which takes files that were cut; so the end is looked for here.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Header, Read, Refusal, Stored, orientation_of, unreadable};
use crate::error::one_line;

/// The largest that the format can say.
const LARGEST_SIDE: usize = 65_535;

/// Size and orientation. Fails if the file has no end, or is in CMYK.
pub(super) fn header(data: &[u8]) -> Read<Header> {
    let decoder = opened(data)?;
    let (width, height) = decoder.dimensions().ok_or_else(|| unreadable("it has no size"))?;
    match decoder.input_colorspace() {
        Some(ColorSpace::CMYK | ColorSpace::YCCK) => {
            return Err(Refusal::Unwanted(
                " is in CMYK, whose colours depend on its profile: convert it to RGB first".into(),
            ));
        }
        Some(ColorSpace::Luma | ColorSpace::YCbCr | ColorSpace::RGB) => {}
        _ => return Err(unreadable("it has unknown channels")),
    }
    require_end(data)?;
    let orientation = orientation_of(decoder.exif().map(Vec::as_slice));
    Ok(Header { width, height, orientation })
}

pub(super) fn decode(data: &[u8]) -> Read<Stored> {
    let samples = opened(data)?.decode().map_err(failed)?;
    Ok(Stored { channels: 3, samples }) // grey thrice where it is grey
}

fn opened(data: &[u8]) -> Read<JpegDecoder<ZCursor<&[u8]>>> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(LARGEST_SIDE)
        .set_max_height(LARGEST_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
    decoder.decode_headers().map_err(failed)?;
    Ok(decoder)
}

fn failed(error: DecodeErrors) -> Refusal {
    unreadable(one_line(error))
}

/// Walk the segments up to the end marker.
fn require_end(data: &[u8]) -> Read<()> {
    let cut = || unreadable("it is cut: there is no end marker");
    let mut at = 2; // behind the start marker
    loop {
        let marker = data.get(at..).and_then(next_marker).ok_or_else(cut)?;
        at += marker + 2;
        match data[at - 1] {
            0xd9 => return Ok(()),
            0x01 | 0xd0..=0xd8 => {} // these have no content
            _ => {
                let length = data.get(at..at + 2).ok_or_else(cut)?;
                at += usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
}

/// Where the next marker is; in the pixels' data, 0xff is followed by 0.
fn next_marker(data: &[u8]) -> Option<usize> {
    data.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))
}
