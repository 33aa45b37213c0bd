//! Arrays in memory.

use std::ops::Range;

use crate::{DType, Error, Result};

/// The values of an array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Float32(Vec<f32>),
    Uint8(Vec<u8>),
    Int64(Vec<i64>),
    Float64(Vec<f64>),
    Int32(Vec<i32>),
    Bool(Vec<bool>),
}

/// An array: its sizes, rows first, and its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Values,
}

/// The same expression for every type of values.
macro_rules! for_all {
    ($values:expr, $list:ident => $then:expr) => {
        match $values {
            Values::Float32($list) => $then,
            Values::Uint8($list) => $then,
            Values::Int64($list) => $then,
            Values::Float64($list) => $then,
            Values::Int32($list) => $then,
            Values::Bool($list) => $then,
        }
    };
}

/// The same expression for two lists of one type.
macro_rules! for_both {
    ($left:expr, $right:expr, ($a:ident, $b:ident) => $then:expr) => {
        match ($left, $right) {
            (Values::Float32($a), Values::Float32($b)) => $then,
            (Values::Uint8($a), Values::Uint8($b)) => $then,
            (Values::Int64($a), Values::Int64($b)) => $then,
            (Values::Float64($a), Values::Float64($b)) => $then,
            (Values::Int32($a), Values::Int32($b)) => $then,
            (Values::Bool($a), Values::Bool($b)) => $then,
            _ => unreachable!("one tensor has one type"),
        }
    };
}

/// The same for every type, put back into `Values`.
macro_rules! map_all {
    ($values:expr, $list:ident => $then:expr) => {
        match $values {
            Values::Float32($list) => Values::Float32($then),
            Values::Uint8($list) => Values::Uint8($then),
            Values::Int64($list) => Values::Int64($then),
            Values::Float64($list) => Values::Float64($then),
            Values::Int32($list) => Values::Int32($then),
            Values::Bool($list) => Values::Bool($then),
        }
    };
}

impl Values {
    pub fn dtype(&self) -> DType {
        match self {
            Self::Float32(_) => DType::Float32,
            Self::Uint8(_) => DType::Uint8,
            Self::Int64(_) => DType::Int64,
            Self::Float64(_) => DType::Float64,
            Self::Int32(_) => DType::Int32,
            Self::Bool(_) => DType::Bool,
        }
    }

    pub fn len(&self) -> usize {
        for_all!(self, list => list.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Add the bytes of all values, little-endian.
    pub(crate) fn append_to(&self, data: &mut Vec<u8>) {
        match self {
            Self::Float32(list) => data.extend(list.iter().flat_map(|value| value.to_le_bytes())),
            Self::Uint8(list) => data.extend_from_slice(list),
            Self::Int64(list) => data.extend(list.iter().flat_map(|value| value.to_le_bytes())),
            Self::Float64(list) => data.extend(list.iter().flat_map(|value| value.to_le_bytes())),
            Self::Int32(list) => data.extend(list.iter().flat_map(|value| value.to_le_bytes())),
            Self::Bool(list) => data.extend(list.iter().map(|value| u8::from(*value))),
        }
    }

    pub(crate) fn at(&self, index: usize) -> f64 {
        match self {
            Self::Float32(list) => f64::from(list[index]),
            Self::Uint8(list) => f64::from(list[index]),
            Self::Int64(list) => list[index] as f64,
            Self::Float64(list) => list[index],
            Self::Int32(list) => f64::from(list[index]),
            Self::Bool(list) => f64::from(u8::from(list[index])),
        }
    }
}

impl Tensor {
    /// Pixels, seeds and the like; the sizes must make the number of values.
    pub fn new(shape: &[usize], values: Values) -> Result<Self> {
        let expected = shape.iter().try_fold(1_usize, |all, size| all.checked_mul(*size));
        if expected != Some(values.len()) {
            let got = values.len();
            let expected = expected.map_or("too many".to_string(), |number| number.to_string());
            return Err(Error::failed(format!("{shape:?} is {expected} values, got {got}")));
        }
        let shape = shape.to_vec();
        Ok(Self { shape, values })
    }

    /// The array in a file: little-endian, row-major, as many bytes as the sizes say.
    pub(crate) fn stored(dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<Self> {
        let values = match dtype {
            DType::Float32 => Values::Float32(all(bytes, f32::from_le_bytes)),
            DType::Float64 => Values::Float64(all(bytes, f64::from_le_bytes)),
            DType::Int64 => Values::Int64(all(bytes, i64::from_le_bytes)),
            DType::Int32 => Values::Int32(all(bytes, i32::from_le_bytes)),
            DType::Uint8 => Values::Uint8(bytes.to_vec()),
            DType::Bool => Values::Bool(bytes.iter().map(|byte| *byte != 0).collect()),
            DType::Float16 => return Err(Error::failed("float16 arrays are not read here")),
        };
        Self::new(shape, values)
    }

    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Rows from `first` on; behind the last one, that one again.
    pub(crate) fn rows_of(&self, first: usize, rows: usize) -> Self {
        let last = match self.rows() {
            0 => return self.clone(), // there is none to repeat
            all => all - 1,
        };
        let size = self.values.len() / self.rows();
        let starts = (first..first + rows).map(|row| row.min(last) * size);
        let mut shape = self.shape.clone();
        if let Some(all) = shape.first_mut() {
            *all = rows;
        }
        let values = map_all!(&self.values, list => starts
            .flat_map(|start| &list[start..start + size])
            .copied()
            .collect());
        Self { shape, values }
    }

    /// These rows, and others behind them.
    pub(crate) fn followed_by(mut self, other: Self) -> Self {
        self.shape[0] += other.shape[0];
        for_both!(&mut self.values, other.values, (left, right) => left.extend(right));
        self
    }

    /// Lowest and highest value; None if one is infinite or NaN, or there is none. Where values may be
    /// missing, NaN is passed over: where all are, the lowest is above the highest.
    pub(crate) fn extremes(&self, missing: bool) -> Option<(f64, f64)> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in (0..self.values.len()).map(|i| self.values.at(i)) {
            if !(value.is_finite() || missing && value.is_nan()) {
                return None;
            }
            (low, high) = (low.min(value), high.max(value)); // which pass over NaN
        }
        (!self.values.is_empty()).then_some((low, high))
    }

    /// The same array, of values that are column-major so far.
    pub(crate) fn row_major(self) -> Self {
        let shape = &self.shape;
        let places = (0..self.values.len()).map(|place| {
            // A place's row-major index has the last axis fastest, its column-major one the first.
            let (mut left, mut found, mut stride) = (place, 0, self.values.len());
            for size in shape.iter().rev() {
                stride /= size;
                found += left % size * stride;
                left /= size;
            }
            found
        });
        let values = map_all!(&self.values, list => places.map(|place| list[place]).collect());
        Self { shape: self.shape.clone(), values }
    }

    /// The part of an array within these places of each axis.
    pub(crate) fn window(&self, places: &[Range<usize>]) -> Self {
        let (starts, length) = lines(&self.shape, places);
        let values = map_all!(&self.values, list => starts
            .flat_map(|start| &list[start..start + length])
            .copied()
            .collect());
        Self { shape: places.iter().map(ExactSizeIterator::len).collect(), values }
    }

    /// An array of these sizes and of this one's type, all zeros. Fails if there is no memory.
    pub(crate) fn zeros_like(&self, shape: &[usize]) -> Result<Self> {
        let count = shape.iter().try_fold(1_usize, |all, size| all.checked_mul(*size));
        let room = |room: std::result::Result<(), _>| {
            room.map_err(|_| Error::failed(format!("there is no memory for an array {shape:?}")))
        };
        let values = map_all!(&self.values, list => {
            let mut zeros = list[..0].to_vec();
            let count = count.unwrap_or(usize::MAX);
            room(zeros.try_reserve_exact(count))?;
            zeros.resize(count, Default::default());
            zeros
        });
        Ok(Self { shape: shape.to_vec(), values })
    }

    /// Put a part of another array, of the same type, into places of this one that are as many.
    pub(crate) fn put(&mut self, there: &[Range<usize>], other: &Self, here: &[Range<usize>]) {
        let (to, length) = lines(&self.shape, there);
        let (from, _) = lines(&other.shape, here);
        for_both!(&mut self.values, &other.values, (left, right) => {
            for (to, from) in to.zip(from) {
                left[to..to + length].copy_from_slice(&right[from..from + length]);
            }
        });
    }

    /// Largest |self - expected| of each row, which stand for those from `first` on; NaN if one is.
    /// Of int32, int64 and bool the share of the row's values that differ. Both have rows of the same
    /// size.
    pub(crate) fn differences(&self, expected: &Self, first: usize) -> Vec<f64> {
        let size = self.values.len() / self.rows().max(1);
        let apart = |i| (self.values.at(i) - expected.values.at(first * size + i)).abs();
        let values = |row| row * size..(row + 1) * size;
        let largest = |row| values(row).map(apart).fold(0.0, larger);
        let share =
            |row| values(row).filter(|&i| apart(i) > 0.0).count() as f64 / size.max(1) as f64;
        let codes = matches!(self.values.dtype(), DType::Int32 | DType::Int64 | DType::Bool);
        (0..self.rows()).map(|row| if codes { share(row) } else { largest(row) }).collect()
    }
}

/// Where each line along the last axis starts in an array's values, within these places, and how long
/// it is.
fn lines(shape: &[usize], places: &[Range<usize>]) -> (impl Iterator<Item = usize>, usize) {
    let (last, before) = match places.split_last() {
        Some((last, before)) => (last.clone(), before.to_vec()),
        None => (0..1, Vec::new()), // a single value
    };
    let shape = shape.to_vec();
    let starts =
        (0..before.iter().map(ExactSizeIterator::len).product()).map(move |line: usize| {
            let (mut left, mut start, mut size) =
                (line, last.start, shape.last().map_or(1, |n| *n));
            for (places, all) in before.iter().zip(&shape).rev() {
                start += (places.start + left % places.len()) * size;
                left /= places.len();
                size *= all;
            }
            start
        });
    (starts, places.last().map_or(1, ExactSizeIterator::len))
}

/// The larger one; NaN if one is, which `f64::max` would pass over.
pub(crate) fn larger(worst: f64, next: f64) -> f64 {
    if worst.is_nan() || next <= worst { worst } else { next }
}

fn all<const N: usize, T>(bytes: &[u8], value: fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| value(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_taken_and_put_back() {
        let whole = Tensor::new(&[2, 3, 4], Values::Int32((0..24).collect())).unwrap();
        let places = [1..2, 0..2, 1..4];
        let window = whole.window(&places);
        assert_eq!(window.shape, [1, 2, 3]);
        assert_eq!(window.values, Values::Int32(vec![13, 14, 15, 17, 18, 19]));
        let mut made = whole.zeros_like(&[2, 3, 4]).unwrap();
        for rows in [0..1, 1..2] {
            for columns in [0..3, 3..4] {
                let places = [rows.clone(), 0..3, columns];
                let window = whole.window(&places);
                let all: Vec<_> = window.shape.iter().map(|size| 0..*size).collect();
                made.put(&places, &window, &all);
            }
        }
        assert_eq!(made, whole);
    }

    #[test]
    fn more_than_memory_is_an_error() {
        let one = Tensor::new(&[1], Values::Float32(vec![0.0])).unwrap();
        for shape in [vec![usize::MAX, 2], vec![1 << 60], vec![1 << 32, 1 << 32]] {
            let error = one.zeros_like(&shape).unwrap_err().to_string();
            assert_eq!(error, format!("there is no memory for an array {shape:?}"));
        }
    }
}
