//! What a bundle's manifest.json says, checked.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Display, Formatter};

use serde_json::Value;

use crate::error::one_line;
use crate::fields::{Fields, digest, dtype, expect, file, list, map, require_name, shape, size};
use crate::fields::{string, tolerances, wrong};
use crate::{Error, Result, listed};

const FORMAT: &str = "aeonnx-bundle";
const VERSION: u64 = 1;

/// What the values of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    Float32,
    Uint8,
    Int64,
    Float16,
    Float64,
}

/// One size of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Any number of rows.
    Batch,
    Fixed(usize),
}

/// An input or output of a graph; printed as "z float32 [batch, 20]".
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<Size>,
    /// Lowest and highest value; None if unbounded. Engines do not know it.
    pub range: Option<[f64; 2]>,
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
    pub golden_inputs: BTreeMap<String, Stored>,
    pub golden_outputs: BTreeMap<String, Stored>,
}

/// What is read of a manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub model: String,
    /// [C, H, W] of an image.
    pub input_shape: [usize; 3],
    /// By part, then by variant.
    pub parts: BTreeMap<String, BTreeMap<String, Variant>>,
}

impl DType {
    pub(crate) const ALL: [(Self, &'static str, usize); 5] = [
        (Self::Float32, "float32", 4),
        (Self::Uint8, "uint8", 1),
        (Self::Int64, "int64", 8),
        (Self::Float16, "float16", 2),
        (Self::Float64, "float64", 8),
    ];

    fn entry(self) -> (Self, &'static str, usize) {
        Self::ALL[self as usize]
    }

    /// Bytes of one value.
    pub fn width(self) -> usize {
        self.entry().2
    }
}

impl Display for DType {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.entry().1)
    }
}

impl Display for TensorSpec {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.name, self.dtype, sizes_of(&self.shape))
    }
}

impl Display for Size {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch => out.write_str("batch"),
            Self::Fixed(size) => size.fmt(out),
        }
    }
}

/// A shape as errors print it: "[batch, 20]".
pub(crate) fn sizes_of(shape: &[Size]) -> String {
    let sizes: Vec<_> = shape.iter().map(Size::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

impl Manifest {
    /// Read a manifest: what is used is checked, the rest is skipped. An error names the field, what
    /// was expected and what came; `place` is the file's name in it.
    pub fn parse(text: &[u8], place: &str) -> Result<Self> {
        let document: Value = serde_json::from_slice(text)
            .map_err(|error| Error::failed(format!("{place}: {}", one_line(error))))?;
        manifest(&document).map_err(|error| Error::failed(format!("{place}: {error}")))
    }
}

fn manifest(document: &Value) -> Result<Manifest> {
    let fields = Fields::of(document, "")?;
    let format = fields.get("format");
    expect(format == FORMAT, "format", "\"aeonnx-bundle\"", format)?;
    let version = size(fields.get("version"), "version")? as u64;
    if version > VERSION {
        return Err(Error::failed(format!(
            "version {version} is newer than this program, which reads {VERSION}: take a newer one"
        )));
    }
    let image = shape(fields.get("input_shape"), "input_shape", DType::Uint8)?;
    let input_shape = <[usize; 3]>::try_from(image)
        .map_err(|_| wrong("input_shape", "[C, H, W]", fields.get("input_shape")))?;
    let model = string(fields.get("model"), "model")?;
    let parts = map(fields.get("parts"), "parts", '_', part)?;
    if parts.is_empty() {
        return Err(Error::failed("parts: expected at least one part"));
    }
    Ok(Manifest { model, input_shape, parts })
}

fn part(value: &Value, path: &str) -> Result<BTreeMap<String, Variant>> {
    let variants = map(value, path, '-', variant)?;
    if variants.contains_key("fp32") {
        return Ok(variants);
    }
    Err(Error::failed(format!("{path}: expected a variant fp32, got {}", listed(variants.keys()))))
}

fn variant(value: &Value, path: &str) -> Result<Variant> {
    let fields = Fields::of(value, path)?;
    let inputs = tensors(fields.get("inputs"), &fields.path("inputs"))?;
    let outputs = tensors(fields.get("outputs"), &fields.path("outputs"))?;
    let golden = Fields::of(fields.get("golden"), &fields.path("golden"))?;
    let arrays = |name: &str, specs: &[TensorSpec], compared: bool| {
        let (value, path) = (golden.get(name), golden.path(name));
        let arrays = map(value, &path, '_', |value, path| stored(value, path, compared))?;
        let named = specs.iter().map(|spec| &spec.name).collect::<HashSet<_>>();
        let same = named == arrays.keys().collect();
        expect(same, &path, "an array for each tensor", value)?;
        Ok(arrays)
    };
    Ok(Variant {
        file: file(fields.get("file"), &fields.path("file"))?,
        sha256: digest(fields.get("sha256"), &fields.path("sha256"))?,
        bytes: size(fields.get("bytes"), &fields.path("bytes"))? as u64,
        opset: size(fields.get("opset"), &fields.path("opset"))?,
        min_onnxruntime: string(fields.get("min_onnxruntime"), &fields.path("min_onnxruntime"))?,
        golden_inputs: arrays("inputs", &inputs, false)?,
        golden_outputs: arrays("outputs", &outputs, true)?,
        inputs,
        outputs,
    })
}

fn tensors(value: &Value, path: &str) -> Result<Vec<TensorSpec>> {
    let items = list(value, path)?;
    expect(!items.is_empty(), path, "a tensor", value)?;
    let tensor = |(index, item): (usize, &Value)| {
        let fields = Fields::of(item, &format!("{path}[{index}]"))?;
        let at = fields.path("shape");
        let sizes = list(fields.get("shape"), &at)?;
        let fixed = sizes.iter().filter(|item| *item != "batch").cloned();
        let dtype = dtype(fields.get("dtype"), &fields.path("dtype"))?;
        shape(&Value::Array(fixed.collect()), &at, dtype)?; // so many fit
        let size_of = |item: &Value| match item {
            item if item == "batch" => Ok(Size::Batch),
            item => Ok(Size::Fixed(size(item, &at)?)),
        };
        let name = string(fields.get("name"), &fields.path("name"))?;
        require_name(&name, &fields.path("name"), '_')?;
        let shape = sizes.iter().map(size_of).collect::<Result<_>>()?;
        let range = range(fields.get("range"), &fields.path("range"))?;
        Ok(TensorSpec { name, dtype, shape, range })
    };
    items.iter().enumerate().map(tensor).collect()
}

fn range(value: &Value, path: &str) -> Result<Option<[f64; 2]>> {
    if value.is_null() {
        return Ok(None);
    }
    let finite = |end: &Value| end.as_f64().filter(|end| end.is_finite());
    let ends = value.as_array().map(|ends| ends.iter().map(finite).collect::<Option<Vec<_>>>());
    let ends = ends.flatten();
    let ends = ends.and_then(|ends| <[f64; 2]>::try_from(ends).ok());
    ends.map(Some).ok_or_else(|| wrong(path, "null or two numbers", value))
}

fn stored(value: &Value, path: &str, compared: bool) -> Result<Stored> {
    let fields = Fields::of(value, path)?;
    let dtype = dtype(fields.get("dtype"), &fields.path("dtype"))?;
    let at = fields.path("shape");
    let shape = shape(fields.get("shape"), &at, dtype)?;
    let tolerances = match shape.first() {
        _ if !compared => Vec::new(),
        Some(rows) => tolerances(fields.get("tolerance"), &fields.path("tolerance"), *rows)?,
        None => return Err(wrong(&at, "at least one size", fields.get("shape"))),
    };
    Ok(Stored {
        file: file(fields.get("file"), &fields.path("file"))?,
        sha256: digest(fields.get("sha256"), &fields.path("sha256"))?,
        dtype,
        shape,
        tolerances,
    })
}
