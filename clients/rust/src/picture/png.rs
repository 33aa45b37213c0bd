//! PNG: decoded by `png`, with every checksum asked. What it leaves to its user is here: animations,
//! the orientation, and the end of the pixels' stream.

use std::io::Cursor;

use png::{
    BitDepth, ColorType, DecodeOptions, Decoder, Encoder, EncodingError, Info, Transformations,
};

use super::{Header, Read, Refusal, Stored, orientation_of, unreadable};
use crate::error::one_line;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Size and orientation, from all the chunks up to IEND. Fails if that is missing, or the file is an
/// animation.
pub(super) fn header(data: &[u8]) -> Read<Header> {
    let (mut exif, mut size) = (None, None);
    for chunk in chunks(data) {
        match chunk? {
            (b"IHDR", content) => size = size.or(size_of(content)),
            (b"acTL", content) => require_one(content)?,
            (b"eXIf", content) => exif = exif.or(Some(content)),
            _ => {}
        }
    }
    let (width, height) = size.ok_or_else(|| unreadable("it has no header"))?;
    Ok(Header { width, height, orientation: orientation_of(exif) })
}

type Chunk<'a> = (&'a [u8; 4], &'a [u8]);

/// Kind and content of every chunk up to IEND; `png` sums them up.
fn chunks(data: &[u8]) -> impl Iterator<Item = Read<Chunk<'_>>> {
    let mut rest = data.strip_prefix(SIGNATURE);
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let chunk = rest.and_then(|rest| {
            let (length, behind) = rest.split_first_chunk::<4>()?;
            let (kind, behind) = behind.split_first_chunk::<4>()?;
            let (content, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            let (_checksum, behind) = behind.split_first_chunk::<4>()?;
            Some(((kind, content), behind))
        });
        rest = chunk.map(|(_, behind)| behind);
        ended = chunk.is_none_or(|((kind, _), _)| kind == b"IEND");
        Some(chunk.map(|(chunk, _)| chunk).ok_or_else(|| unreadable("it is cut")))
    })
}

fn size_of(content: &[u8]) -> Option<(usize, usize)> {
    let (width, behind) = content.split_first_chunk::<4>()?;
    let (height, _) = behind.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*width) as usize, u32::from_be_bytes(*height) as usize))
}

fn require_one(content: &[u8]) -> Read<()> {
    match content.first_chunk::<4>().map(|frames| u32::from_be_bytes(*frames)) {
        Some(frames) if frames > 1 => {
            Err(Refusal::Unwanted(format!(" holds {frames} pictures: expected one")))
        }
        _ => Ok(()),
    }
}

/// The pixels, with palettes and transparent colours expanded, and the high byte of 16 bits.
pub(super) fn decode(data: &[u8]) -> Read<Stored> {
    let mut options = DecodeOptions::default();
    options.set_ignore_adler32(false);
    options.set_skip_ancillary_crc_failures(false);
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(data), options);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let failed = |error| unreadable(one_line(error));
    let mut reader = decoder.read_info().map_err(failed)?;
    let size = reader.output_buffer_size().ok_or_else(|| unreadable("it is too large"))?;
    let mut samples = vec![0; size];
    let frame = reader.next_frame(&mut samples).map_err(failed)?;
    reader.finish().map_err(failed)?; // the checksums behind the pixels
    require_stream_end(data, reader.info())?;
    Ok(Stored { channels: frame.color_type.samples(), samples })
}

/// `png` is content once it has all rows, and asks for the stream's checksum only if it comes.
fn require_stream_end(data: &[u8], info: &Info<'_>) -> Read<()> {
    let mut stream = Vec::new();
    for chunk in chunks(data) {
        if let (b"IDAT", content) = chunk? {
            stream.extend_from_slice(content);
        }
    }
    // Each row has a byte before it; interlaced pictures have up to twice as many rows.
    let row = info.raw_row_length().saturating_add(7);
    let most = row.saturating_mul(info.height as usize).saturating_mul(2);
    fdeflate::decompress_to_vec_bounded(&stream, most)
        .map(|_| ())
        .map_err(|_| unreadable("its stream of pixels does not end where it should"))
}

/// A picture of 1 to 4 channels, row by row.
pub(super) fn encode(
    picture: &[u8],
    wide: usize,
    high: usize,
    channels: usize,
) -> Result<Vec<u8>, EncodingError> {
    let color = match channels {
        1 => ColorType::Grayscale,
        2 => ColorType::GrayscaleAlpha,
        3 => ColorType::Rgb,
        _ => ColorType::Rgba,
    };
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX); // which PNG refuses
    let mut data = Vec::new();
    let mut encoder = Encoder::new(&mut data, side(wide), side(high));
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    encoder.write_header()?.write_image_data(picture)?;
    Ok(data)
}
