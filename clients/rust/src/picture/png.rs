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
    let length = stream_length(info);
    // With room for a byte more, so that the end is looked for behind the last row.
    match fdeflate::decompress_to_vec_bounded(&stream, length.saturating_add(1)) {
        Ok(rows) if rows.len() == length => Ok(()),
        _ => Err(unreadable("its stream of pixels does not end where it should")),
    }
}

/// Where the columns and the rows of each pass of an interlaced picture begin, and how far they are
/// apart.
const ADAM7: [[u32; 4]; 7] = [
    [0, 0, 8, 8],
    [4, 0, 8, 8],
    [0, 4, 4, 8],
    [2, 0, 4, 4],
    [0, 2, 2, 4],
    [1, 0, 2, 2],
    [0, 1, 1, 2],
];

/// The bytes of all rows, each with the one before it.
fn stream_length(info: &Info<'_>) -> usize {
    let bytes = |width: u32, height: u32| match width {
        0 => 0, // a pass without columns has no rows
        _ => info.raw_row_length_from_width(width).saturating_mul(height as usize),
    };
    if !info.interlaced {
        return bytes(info.width, info.height);
    }
    let places = |size: u32, first: u32, step: u32| size.saturating_sub(first).div_ceil(step);
    let pass = |[left, top, across, down]: [u32; 4]| {
        bytes(places(info.width, left, across), places(info.height, top, down))
    };
    ADAM7.map(pass).iter().fold(0, |all, pass| all.saturating_add(*pass))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32.
    fn checksum(data: &[u8]) -> u32 {
        let bit = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        !data.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| bit(sum)))
    }

    /// A black picture whose stream has so many bytes.
    fn black([wide, high]: [u32; 2], [depth, color, interlaced]: [u8; 3], bytes: usize) -> Vec<u8> {
        let mut header = [wide.to_be_bytes(), high.to_be_bytes()].concat();
        header.extend([depth, color, 0, 0, interlaced]);
        let palette = if color == 3 { &[0; 3][..] } else { &[] };
        let stream = fdeflate::compress_to_vec(&vec![0; bytes]);
        let mut data = SIGNATURE.to_vec();
        for (kind, content) in
            [(b"IHDR", &header[..]), (b"PLTE", palette), (b"IDAT", &stream), (b"IEND", &[])]
        {
            if kind == b"PLTE" && content.is_empty() {
                continue;
            }
            let chunk = [kind, content].concat();
            data.extend((content.len() as u32).to_be_bytes());
            data.extend(&chunk);
            data.extend(checksum(&chunk).to_be_bytes());
        }
        data
    }

    #[test]
    fn a_stream_has_the_bytes_of_its_rows() {
        let cases = [
            ([5, 3], [1, 0, 0], 3 * 2),
            ([9, 2], [4, 3, 0], 2 * 6),
            ([3, 2], [8, 6, 0], 2 * 13),
            ([5, 3], [16, 0, 1], 3 + 3 + 3 + 7 + 2 * 5 + 11), // the third pass has no rows
            ([1, 9], [8, 2, 1], 2 * 4 + 4 + 2 * 4 + 4 * 4),   // three have no columns
            ([1, 1], [1, 0, 1], 2),
            ([40, 40], [8, 2, 0], 40 * 121),
        ];
        for (size, kind, bytes) in cases {
            let said = |bytes| match decode(&black(size, kind, bytes)) {
                Ok(_) => "read".to_string(),
                Err(Refusal::Unreadable(reason)) => reason,
                Err(Refusal::Unwanted(_)) => unreachable!("it is one picture"),
            };
            assert_eq!(said(bytes), "read", "{size:?} {kind:?}");
            let longer = "its stream of pixels does not end where it should";
            for more in [1, 2, bytes] {
                assert_eq!(said(bytes + more), longer, "{size:?} {kind:?}");
            }
            assert!(decode(&black(size, kind, bytes - 1)).is_err());
        }
    }
}
