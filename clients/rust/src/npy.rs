//! .npy files: arrays of numpy, versions 1.0 to 3.0, little-endian, in C or Fortran order.
//!
//! The header is the text of a Python dictionary. It is parsed strictly, and never evaluated.

use std::path::Path;

use crate::{DType, Error, Result, Tensor, Values, files};

/// A file's first bytes.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";
/// numpy begins the values at a multiple of this.
const ALIGNED: usize = 64;
/// numpy's own limit.
const MOST_AXES: usize = 64;

/// Bytes of a value, as numpy names its type; "|" is the order of what has one byte.
const DTYPES: [(&str, DType); 8] = [
    ("<f4", DType::Float32),
    ("<f8", DType::Float64),
    ("<f2", DType::Float16),
    ("|u1", DType::Uint8),
    ("<i4", DType::Int32),
    ("<i8", DType::Int64),
    ("|b1", DType::Bool),
    ("<u1", DType::Uint8),
];

#[derive(Debug, PartialEq)]
struct Header {
    dtype: DType,
    fortran: bool,
    shape: Vec<usize>,
}

/// The array in a file; where `wanted` is float32, floats of 16 and 64 bits are rounded to it.
pub(crate) fn read(path: &Path, wanted: DType) -> Result<Tensor> {
    if !path.exists() {
        return Err(Error::failed(format!("{} does not exist", path.display())));
    }
    let data = files::read(path, |_| Ok(()))?; // it is the caller's own: no size is too large
    parsed(&data, wanted).map_err(|reason| {
        Error::failed(format!("{} is not a readable .npy file: {reason}", path.display()))
    })
}

/// An array as the content of a file, version 1.0 and in C order.
pub(crate) fn written(tensor: &Tensor) -> Vec<u8> {
    let dtype = tensor.values.dtype();
    let named = DTYPES.iter().find(|(_, known)| *known == dtype);
    let (descr, _) = named.expect("every type of values has a name");
    let sizes = tensor.shape.iter().map(|size| format!("{size}, ")).collect::<String>();
    let shape =
        if tensor.shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let before = MAGIC.len() + 4;
    let whole = (before + header.len() + 1).next_multiple_of(ALIGNED);
    header += &" ".repeat(whole - before - header.len() - 1);
    header.push('\n');
    let mut data = Vec::with_capacity(whole + tensor.values.len() * dtype.width());
    data.extend_from_slice(MAGIC);
    data.extend_from_slice(&[1, 0]);
    data.extend_from_slice(&(header.len() as u16).to_le_bytes());
    data.extend_from_slice(header.as_bytes());
    tensor.values.append_to(&mut data);
    data
}

type Parsed<T> = std::result::Result<T, String>;

fn parsed(data: &[u8], wanted: DType) -> Parsed<Tensor> {
    let rest = data.strip_prefix(MAGIC).ok_or("it does not begin as one")?;
    let cut = || "its header is cut".to_string();
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (length, rest) = match version {
        [1, 0] => rest.split_first_chunk().map(|(it, rest)| (u16::from_le_bytes(*it).into(), rest)),
        [2 | 3, 0] => rest.split_first_chunk().map(|(it, rest)| (u32::from_le_bytes(*it), rest)),
        [major, minor] => {
            return Err(format!("it has version {major}.{minor}, expected 1.0 to 3.0"));
        }
    }
    .ok_or_else(cut)?;
    let (header, values) = rest.split_at_checked(length as usize).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text")?;
    let Header { dtype, fortran, shape } = header_of(header)?;
    let count = shape.iter().try_fold(1_usize, |all, size| all.checked_mul(*size));
    let bytes = count.and_then(|count| count.checked_mul(dtype.width()));
    if bytes != Some(values.len()) {
        let got = values.len();
        return Err(format!("{dtype} {shape:?} is another number of bytes than the {got} it has"));
    }
    let tensor = match (dtype, wanted) {
        (DType::Float16, DType::Float32) => Tensor::new(&shape, Values::Float32(halves(values))),
        (DType::Float64, DType::Float32) => Tensor::stored(dtype, &shape, values).map(rounded),
        _ => Tensor::stored(dtype, &shape, values),
    };
    let tensor = tensor.map_err(|error| error.to_string())?;
    Ok(if fortran { tensor.row_major() } else { tensor })
}

fn rounded(tensor: Tensor) -> Tensor {
    match tensor.values {
        Values::Float64(list) => {
            let values = list.into_iter().map(|value| value as f32).collect();
            Tensor { shape: tensor.shape, values: Values::Float32(values) }
        }
        _ => tensor,
    }
}

fn halves(bytes: &[u8]) -> Vec<f32> {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| half(u16::from_le_bytes(*pair))).collect()
}

/// A float of 16 bits: every one is a float32 too.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    }
}

fn header_of(text: &str) -> Parsed<Header> {
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    let mut rest = after(text, '{')?;
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(end) = rest.strip_prefix('}') {
            let ended = end.trim_end_matches('\n').trim_matches(' ').is_empty();
            let all = descr.zip(fortran).zip(shape).filter(|_| ended);
            let ((dtype, fortran), shape) = all.ok_or("its header is not numpy's")?;
            return Ok(Header { dtype, fortran, shape });
        }
        let (key, behind) = quoted(rest)?;
        let value = after(behind, ':')?.trim_start_matches(' ');
        rest = match key {
            "descr" if descr.is_none() => {
                let (name, behind) = quoted(value)?;
                descr = Some(dtype_of(name)?);
                behind
            }
            "fortran_order" if fortran.is_none() => {
                let (value, behind) = boolean(value)?;
                fortran = Some(value);
                behind
            }
            "shape" if shape.is_none() => {
                let (sizes, behind) = sizes(value)?;
                shape = Some(sizes);
                behind
            }
            _ => return Err("its header is not numpy's".to_string()),
        };
        rest = rest.trim_start_matches(' ');
        rest = match rest.starts_with('}') {
            true => rest,
            false => after(rest, ',')?,
        };
    }
}

fn dtype_of(name: &str) -> Parsed<DType> {
    let known = DTYPES.iter().find(|(known, _)| *known == name);
    known.map(|(_, dtype)| *dtype).ok_or_else(|| {
        let names: Vec<_> = DTYPES[..7].iter().map(|(_, dtype)| dtype.to_string()).collect();
        format!("it has values of {name:?}, expected little-endian {}", names.join(", "))
    })
}

fn after(text: &str, mark: char) -> Parsed<&str> {
    let rest = text.trim_start_matches(' ').strip_prefix(mark);
    rest.ok_or_else(|| "its header is not numpy's".to_string())
}

fn quoted(text: &str) -> Parsed<(&str, &str)> {
    let mark = if text.starts_with('"') { '"' } else { '\'' };
    let found = text.strip_prefix(mark).and_then(|rest| rest.split_once(mark));
    let found = found.filter(|(inside, _)| !inside.contains('\\'));
    found.ok_or_else(|| "its values are not numbers of one type".to_string())
}

fn boolean(text: &str) -> Parsed<(bool, &str)> {
    let is = |word, value| text.strip_prefix(word).map(|rest| (value, rest));
    let found = is("True", true).or_else(|| is("False", false));
    found.ok_or_else(|| "its header is not numpy's".to_string())
}

/// "()", "(3,)" or "(3, 4)".
fn sizes(text: &str) -> Parsed<(Vec<usize>, &str)> {
    let found = text.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (inside, behind) = found.ok_or("its header is not numpy's")?;
    let mut items: Vec<_> = inside.split(',').map(|item| item.trim_matches(' ')).collect();
    if items.last() == Some(&"") {
        items.pop(); // "(3,)" and "()"
    }
    if items.len() > MOST_AXES {
        return Err(format!("it has more than {MOST_AXES} axes"));
    }
    let number = |item: &&str| {
        let digits = !item.is_empty() && item.bytes().all(|digit| digit.is_ascii_digit());
        let size = if digits { item.parse().ok() } else { None };
        size.ok_or_else(|| "its sizes are not whole numbers".to_string())
    };
    Ok((items.iter().map(number).collect::<Parsed<_>>()?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 1.0 with this header.
    fn file(header: &str, values: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), values].concat()
    }

    fn named(descr: &str, fortran: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
    }

    fn all() -> [Tensor; 6] {
        [
            Tensor::new(&[2, 3], Values::Float32(vec![0.0, -1.5, 2.0, 3.0, f32::MAX, 1e-40])),
            Tensor::new(&[2], Values::Float64(vec![0.1, -0.2])),
            Tensor::new(&[1, 1, 2], Values::Int32(vec![i32::MIN, 7])),
            Tensor::new(&[], Values::Int64(vec![i64::MAX])),
            Tensor::new(&[4], Values::Uint8(vec![0, 1, 254, 255])),
            Tensor::new(&[0, 3], Values::Bool(vec![])),
        ]
        .map(|tensor| tensor.unwrap())
    }

    #[test]
    fn what_is_written_is_read_again() {
        for tensor in all() {
            let data = written(&tensor);
            assert_eq!(parsed(&data, tensor.values.dtype()), Ok(tensor));
            assert!(data.windows(2).any(|pair| pair == b"}\n" || pair == b" \n"));
        }
        let data = written(&all()[1]);
        let header = named("<f8", "False", "(2,)");
        assert_eq!(data.len(), 128 + 16);
        assert!(
            data.starts_with(
                &[b"\x93NUMPY\x01\x00\x76\x00", header.trim_end().as_bytes()].concat()
            )
        );
    }

    #[test]
    fn fortran_order_is_turned() {
        let values: Vec<u8> = (0..6).collect();
        let found = parsed(&file(&named("|u1", "True", "(2, 3)"), &values), DType::Uint8).unwrap();
        assert_eq!(found.shape, [2, 3]);
        assert_eq!(found.values, Values::Uint8(vec![0, 2, 4, 1, 3, 5]));
    }

    #[test]
    fn other_versions_and_floats_are_read() {
        let header = named("<f2", "False", "(4,)");
        let values = [0x00, 0x3c, 0x01, 0x00, 0xff, 0xfb, 0x00, 0x7c]; // 1, 2^-24, -65504, infinity
        let length = (header.len() as u32).to_le_bytes();
        for version in [[2, 0], [3, 0]] {
            let data = [MAGIC, &version, &length, header.as_bytes(), &values].concat();
            let found = parsed(&data, DType::Float32).unwrap().values;
            let expected = vec![1.0, 2_f32.powi(-24), -65504.0, f32::INFINITY];
            assert_eq!(found, Values::Float32(expected));
        }
        let data = file(&named("<f8", "False", "(1,)"), &0.1_f64.to_le_bytes());
        assert_eq!(parsed(&data, DType::Float32).unwrap().values, Values::Float32(vec![0.1]));
        assert_eq!(parsed(&data, DType::Float64).unwrap().values, Values::Float64(vec![0.1]));
    }

    #[test]
    fn damaged_files_are_refused() {
        let good = file(&named("<f4", "False", "(2,)"), &[0; 8]);
        for end in 0..good.len() {
            assert!(parsed(&good[..end], DType::Float32).is_err(), "{end} bytes");
        }
        let text = |header: &str| parsed(&file(header, &[0; 8]), DType::Float32).unwrap_err();
        for header in ["", "{", "{}", "{'descr': '<f4'}", "[]", "{'descr': '<f4', 'descr': '<f4'}"]
        {
            text(header);
        }
        for (descr, shape, said) in [
            (">f4", "(2,)", "it has values of \">f4\", expected little-endian float32"),
            ("|O", "(2,)", "it has values of \"|O\""),
            ("<f4", "(3,)", "float32 [3] is another number of bytes than the 8 it has"),
            ("<f4", "(4294967296, 4294967296, 4294967296)", "float32 [4294967296, "),
            ("<f4", "(99999999999999999999,)", "its sizes are not whole numbers"),
            ("<f4", "(-2,)", "its sizes are not whole numbers"),
            ("<f4", "(2,,)", "its sizes are not whole numbers"),
            ("<f4", "2", "its header is not numpy's"),
        ] {
            let found = text(&named(descr, "False", shape));
            assert!(found.starts_with(said), "{found}");
        }
        let other = [MAGIC, &[4, 0], &[0; 4]].concat();
        let version = "it has version 4.0, expected 1.0 to 3.0";
        assert_eq!(parsed(&other, DType::Float32).unwrap_err(), version);
    }
}
