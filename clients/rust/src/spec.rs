//! What a manifest says of a graph: its tensors, its axes, and its golden vectors.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use crate::axes::shown;
use crate::{Axis, NormalScores, Size};

/// What the values of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    Float32,
    Uint8,
    Int64,
    Float16,
    Float64,
    Int32,
    Bool,
}

/// What a tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorKind {
    /// [rows, channels, height, width].
    Image,
    Latent,
    /// Whole numbers.
    Codes,
    /// [rows, columns].
    Vector,
    /// [rows, channels, time].
    Signal,
    /// [rows, channels, depth, height, width].
    Volume,
    /// A whole number that names a class.
    Label,
    /// [rows].
    Score,
    /// [1]: one value for all rows.
    Seed,
    /// [rows].
    Index,
    /// [rows, height, width]: its size is that of a sampler's images.
    Canvas,
    Mask,
    Other,
}

/// An input or output of a graph; printed as "z float32 [batch, 20]".
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    pub name: String,
    pub kind: TensorKind,
    pub dtype: DType,
    /// At least one size.
    pub shape: Vec<Size>,
    /// Lowest and highest value; None if unbounded.
    pub range: Option<[f64; 2]>,
    /// Whether NaN stands for a missing value; else values are finite.
    pub missing: bool,
}

/// An array in a file: raw, little-endian, row-major.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Path inside the bundle.
    pub file: String,
    pub sha256: String,
    pub dtype: DType,
    pub shape: Vec<usize>,
    /// Of an output, for each row: the largest |difference| that counts as equal. Of an input: none.
    pub tolerances: Vec<f64>,
}

/// Stored inputs, and the outputs of torch for them, by the names of tensors.
#[derive(Clone, Debug)]
pub struct Golden {
    pub inputs: BTreeMap<String, Stored>,
    pub outputs: BTreeMap<String, Stored>,
}

/// One graph: a part in one precision.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Path inside the bundle.
    pub file: String,
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    pub opset: usize,
    pub min_onnxruntime: String,
    pub inputs: Vec<TensorSpec>,
    pub outputs: Vec<TensorSpec>,
    /// All axes of these, by name.
    pub axes: BTreeMap<String, Axis>,
    /// A set for each of some sizes of the axes; at least one.
    pub golden: Vec<Golden>,
    /// Thresholds of outputs, by output and by a name such as "p99".
    pub percentiles: BTreeMap<String, BTreeMap<String, f64>>,
    /// What normal rows score, by output: of some that have percentiles.
    pub normal: BTreeMap<String, NormalScores>,
}

impl DType {
    pub(crate) const ALL: [(Self, &'static str, usize); 7] = [
        (Self::Float32, "float32", 4),
        (Self::Uint8, "uint8", 1),
        (Self::Int64, "int64", 8),
        (Self::Float16, "float16", 2),
        (Self::Float64, "float64", 8),
        (Self::Int32, "int32", 4),
        (Self::Bool, "bool", 1),
    ];

    fn entry(self) -> (Self, &'static str, usize) {
        Self::ALL[self as usize]
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float16 | Self::Float64)
    }

    /// Bytes of one value.
    pub fn width(self) -> usize {
        self.entry().2
    }
}

impl TensorKind {
    /// Each with its name, and how many sizes a tensor of it has, if that is always the same.
    pub(crate) const ALL: [(Self, &'static str, Option<usize>); 13] = [
        (Self::Image, "image", Some(4)),
        (Self::Latent, "latent", None),
        (Self::Codes, "codes", None),
        (Self::Vector, "vector", Some(2)),
        (Self::Signal, "signal", Some(3)),
        (Self::Volume, "volume", Some(5)),
        (Self::Label, "label", None),
        (Self::Score, "score", Some(1)),
        (Self::Seed, "seed", Some(1)),
        (Self::Index, "index", Some(1)),
        (Self::Canvas, "canvas", Some(3)),
        (Self::Mask, "mask", None),
        (Self::Other, "other", None),
    ];

    /// How many sizes a tensor of this kind has; None if that differs.
    pub(crate) fn rank(self) -> Option<usize> {
        Self::ALL[self as usize].2
    }
}

impl TensorSpec {
    /// As it is for any number of rows, also where the graph is fixed to some.
    pub(crate) fn with_any_rows(&self) -> Self {
        let mut spec = self.clone();
        spec.shape[0] = Size::batch();
        spec
    }
}

impl Variant {
    /// The rows that the graph is fixed to; None if it takes any number.
    pub fn fixed_rows(&self) -> Option<usize> {
        match self.outputs[0].shape[0] {
            Size::Fixed(rows) => usize::try_from(rows).ok(),
            Size::Axis { .. } => None,
        }
    }

    /// Whether an input has a value for each row of the outputs, and not one for all of them.
    pub fn has_rows(&self, input: &TensorSpec) -> bool {
        input.kind != TensorKind::Seed && input.shape[0] == self.outputs[0].shape[0]
    }

    /// The inputs as a part takes them: with any number of rows.
    pub(crate) fn inputs_of_any_rows(&self) -> Vec<TensorSpec> {
        let any = |spec: &TensorSpec| match self.has_rows(spec) {
            true => spec.with_any_rows(),
            false => spec.clone(),
        };
        self.inputs.iter().map(any).collect()
    }
}

impl Display for DType {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.entry().1)
    }
}

impl Display for TensorKind {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(Self::ALL[*self as usize].1)
    }
}

impl Display for TensorSpec {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.name, self.dtype, shown(&self.shape))
    }
}
