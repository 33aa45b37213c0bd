//! BMP: decoded by `image`.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{ImageDecoder, ImageError};

use super::{Header, Read, Refusal, Stored, orientation_of, unreadable};
use crate::error::one_line;

// Where the file's header has what, in bytes.
const PIXELS: usize = 10;
const FILE_HEADER: usize = 14;
const BITS_OF_OLDEST: usize = 24;
const BITS: usize = 28;
const COMPRESSION: usize = 30;
const COLOURS: usize = 46;
const MASKS: usize = 54;
// Kinds of compression.
const RLE8: u32 = 1;
const RLE4: u32 = 2;
const MASKED: u32 = 3;

/// Size. Fails if its channels have other than 8 bits.
pub(super) fn header(data: &[u8]) -> Read<Header> {
    let whole = whole(data);
    let decoder = opened(&whole)?;
    let (width, height) = decoder.dimensions();
    require_depth(data)?;
    Ok(Header { width: width as usize, height: height as usize, orientation: orientation_of(None) })
}

pub(super) fn decode(data: &[u8]) -> Read<Stored> {
    if matches!(compression(data), RLE8 | RLE4) {
        require_pixels(data)?;
    }
    decoded(&whole(data))
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
    let white = Palette::of(data).and_then(|palette| palette.filled(data, 0, 255));
    let white = white.ok_or_else(|| unreadable("it has no palette"))?;
    match decoded(&white)?.samples.contains(&0) {
        true => Err(unreadable("pixels are missing")),
        false => Ok(()),
    }
}

/// The same picture with as many colours as its bits can number: those that it lacks are black. `image`
/// takes the pixels for colours where fewer lie before them than the header says.
fn whole(data: &[u8]) -> Cow<'_, [u8]> {
    let filled = Palette::of(data).and_then(|palette| palette.filled(data, palette.colours, 0));
    filled.map_or(Cow::Borrowed(data), Cow::Owned)
}

/// Colours of pixels that are numbers.
struct Palette {
    start: usize,
    /// Where the pixels begin.
    end: usize,
    /// Bytes of a colour.
    width: usize,
    /// As many as the header says and the file has.
    colours: usize,
    /// As many as the bits of a pixel can number.
    most: usize,
}

impl Palette {
    /// None if the pixels are colours.
    fn of(data: &[u8]) -> Option<Self> {
        let header = number_at(data, FILE_HEADER);
        let (width, bits, said) = match header {
            0..40 => (3, number_at(data, BITS_OF_OLDEST), 0),
            _ => (4, number_at(data, BITS), number_at(data, COLOURS) as usize),
        };
        let most = match bits & 0xffff {
            bits @ (1 | 2 | 4 | 8) => 1 << bits,
            _ => return None,
        };
        let start = FILE_HEADER.saturating_add(header as usize);
        let end = number_at(data, PIXELS) as usize;
        let said = if said == 0 { most } else { said.min(most) };
        let colours = said.min(end.saturating_sub(start) / width);
        Some(Self { start, end, width, colours, most })
    }

    /// The file with all colours: the first ones are its own, the bytes of the others are `byte`.
    fn filled(&self, data: &[u8], own: usize, byte: u8) -> Option<Vec<u8>> {
        let kept = data.get(..self.start.saturating_add(own * self.width))?;
        let colours = vec![byte; (self.most - own) * self.width];
        let mut made = [kept, &colours, data.get(self.end..)?].concat();
        let pixels = u32::try_from(kept.len() + colours.len()).ok()?;
        made.get_mut(PIXELS..PIXELS + 4)?.copy_from_slice(&pixels.to_le_bytes());
        if self.width == 4 {
            made.get_mut(COLOURS..COLOURS + 4)?.fill(0); // all
        }
        Some(made)
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

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: [u8; 3] = [7; 3];
    const BLUE: [u8; 3] = [1, 2, 3];
    const BLACK: [u8; 3] = [0; 3];

    /// 4 pixels in a row, of a palette of grey and blue, of which the header says `colours`.
    fn indexed(bits: u32, colours: u32, compression: u32, pixels: &[u8]) -> Vec<u8> {
        let mut data = b"BM".to_vec();
        let size = pixels.len() as u32;
        for number in
            [62 + size, 0, 62, 40, 4, 1, bits << 16 | 1, compression, size, 0, 0, colours, 0]
        {
            data.extend(number.to_le_bytes());
        }
        data.extend([7, 7, 7, 0, 3, 2, 1, 0]);
        data.extend(pixels);
        data
    }

    fn colours_in(data: &[u8]) -> Vec<[u8; 3]> {
        let found = header(data).and_then(|header| {
            assert_eq!((header.width, header.height), (4, 1));
            decode(data)
        });
        let Ok(stored) = found else { panic!("expected a picture") };
        assert_eq!(stored.channels, 3);
        stored.samples.as_chunks().0.to_vec()
    }

    #[test]
    fn a_number_beyond_the_palette_is_black() {
        let expected = [GREY, BLUE, BLACK, BLACK];
        for colours in [2, 0, 256, 300] {
            assert_eq!(colours_in(&indexed(8, colours, 0, &[0, 1, 2, 255])), expected);
            assert_eq!(colours_in(&indexed(4, colours, 0, &[0x01, 0x2f, 0, 0])), expected);
            let run = [1, 0, 1, 1, 1, 2, 1, 255, 0, 1];
            assert_eq!(colours_in(&indexed(8, colours, RLE8, &run)), expected);
        }
        assert_eq!(colours_in(&indexed(8, 1, 0, &[0, 1, 2, 255])), [GREY, BLACK, BLACK, BLACK]);
        assert_eq!(colours_in(&indexed(1, 2, 0, &[0x50, 0, 0, 0])), [GREY, BLUE, GREY, BLUE]);
    }

    #[test]
    fn the_oldest_header_has_a_palette_too() {
        let mut data = b"BM".to_vec();
        for number in [36_u32, 0, 32, 12, 1 << 16 | 4, 8 << 16 | 1] {
            data.extend(number.to_le_bytes());
        }
        data.extend([7, 7, 7, 3, 2, 1, 0, 1, 2, 255]);
        assert_eq!(colours_in(&data), [GREY, BLUE, BLACK, BLACK]);
    }

    #[test]
    fn run_lengths_must_not_leave_pixels_out() {
        for colours in [2, 0] {
            let data = indexed(8, colours, RLE8, &[2, 0, 0, 1]);
            assert!(header(&data).and_then(|_| decode(&data)).is_err());
        }
    }
}
