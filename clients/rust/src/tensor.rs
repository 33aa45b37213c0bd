//! Arrays in memory.

use crate::{DType, Error, Result};

/// The values of an array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Float32(Vec<f32>),
    Uint8(Vec<u8>),
    Int64(Vec<i64>),
    Float64(Vec<f64>),
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
        }
    }

    pub fn len(&self) -> usize {
        for_all!(self, list => list.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn at(&self, index: usize) -> f64 {
        match self {
            Self::Float32(list) => f64::from(list[index]),
            Self::Uint8(list) => f64::from(list[index]),
            Self::Int64(list) => list[index] as f64,
            Self::Float64(list) => list[index],
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
            DType::Uint8 => Values::Uint8(bytes.to_vec()),
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
        match (&mut self.values, other.values) {
            (Values::Float32(left), Values::Float32(right)) => left.extend(right),
            (Values::Uint8(left), Values::Uint8(right)) => left.extend(right),
            (Values::Int64(left), Values::Int64(right)) => left.extend(right),
            (Values::Float64(left), Values::Float64(right)) => left.extend(right),
            _ => unreachable!("one output has one type"),
        }
        self
    }

    /// Largest |self - expected| of each row, which stand for those from `first` on; NaN if one is.
    /// Both have rows of the same size.
    pub(crate) fn differences(&self, expected: &Self, first: usize) -> Vec<f64> {
        let size = self.values.len() / self.rows().max(1);
        let apart = |i| (self.values.at(i) - expected.values.at(first * size + i)).abs();
        let row = |row| (row * size..(row + 1) * size).map(apart).fold(0.0, larger);
        (0..self.rows()).map(row).collect()
    }
}

/// The larger one; NaN if one is, which `f64::max` would pass over.
pub(crate) fn larger(worst: f64, next: f64) -> f64 {
    if worst.is_nan() || next <= worst { worst } else { next }
}

fn all<const N: usize, T>(bytes: &[u8], value: fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| value(*chunk)).collect()
}
