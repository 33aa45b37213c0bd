//! What a bundle's manifest.json says, checked.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Display, Formatter};

use serde_json::{Map, Value};

use crate::{Error, Result};

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

/// A tensor that a graph takes or gives; in words "z float32 [batch, 20]".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<Size>,
}

/// An array in a file: raw, little-endian, row-major.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Path inside the bundle.
    pub file: String,
    pub sha256: String,
    pub dtype: DType,
    pub shape: Vec<usize>,
    /// Of an output: the largest |difference| that counts as equal.
    pub tolerance: f64,
}

/// One graph: a part in one precision.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Path inside the bundle.
    pub file: String,
    pub sha256: String,
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
    const ALL: [(Self, &'static str, usize); 5] = [
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
        let sizes = self.shape.iter().map(|size| match size {
            Size::Batch => "batch".to_string(),
            Size::Fixed(size) => size.to_string(),
        });
        let sizes = sizes.collect::<Vec<_>>().join(", ");
        write!(out, "{} {} [{sizes}]", self.name, self.dtype)
    }
}

impl Manifest {
    /// Read a manifest: what is used is checked, the rest is skipped. An error names the field, what
    /// was expected and what came; `place` is the file's name in it.
    pub fn parse(text: &[u8], place: &str) -> Result<Self> {
        let document: Value = serde_json::from_slice(text)
            .map_err(|error| Error::failed(format!("{place}: {error}")))?;
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
    let parts =
        map(fields.get("parts"), "parts", '_', |value, path| map(value, path, '-', variant))?;
    Ok(Manifest { model, input_shape, parts })
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
        Ok(TensorSpec { name, dtype, shape })
    };
    items.iter().enumerate().map(tensor).collect()
}

fn stored(value: &Value, path: &str, compared: bool) -> Result<Stored> {
    let fields = Fields::of(value, path)?;
    let dtype = dtype(fields.get("dtype"), &fields.path("dtype"))?;
    let found = fields.get("tolerance");
    let tolerance = found.as_f64().filter(|number| *number >= 0.0 && number.is_finite());
    let good = tolerance.is_some() || !compared;
    expect(good, &fields.path("tolerance"), "a number of 0 or more", found)?;
    Ok(Stored {
        file: file(fields.get("file"), &fields.path("file"))?,
        sha256: digest(fields.get("sha256"), &fields.path("sha256"))?,
        dtype,
        shape: shape(fields.get("shape"), &fields.path("shape"), dtype)?,
        tolerance: tolerance.unwrap_or(0.0),
    })
}

/// An object, and where it is in the manifest.
struct Fields<'a>(&'a Map<String, Value>, String);

impl<'a> Fields<'a> {
    fn of(value: &'a Value, path: &str) -> Result<Self> {
        let place = if path.is_empty() { "the manifest" } else { path };
        let fields = value.as_object();
        let fields = fields.ok_or_else(|| wrong(place, "an object", value))?;
        Ok(Self(fields, path.to_string()))
    }

    fn get(&self, name: &str) -> &'a Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.1)
    }
}

// Below: one kind of value each. They return it, or say what was expected.

fn map<T>(
    value: &Value,
    path: &str,
    joint: char,
    read: impl Fn(&Value, &str) -> Result<T>,
) -> Result<BTreeMap<String, T>> {
    let fields = value.as_object().ok_or_else(|| wrong(path, "an object", value))?;
    let entry = |(name, item): (&String, &Value)| {
        require_name(name, path, joint)?;
        Ok((name.clone(), read(item, &format!("{path}.{name}"))?))
    };
    fields.iter().map(entry).collect()
}

fn list<'a>(value: &'a Value, path: &str) -> Result<&'a Vec<Value>> {
    value.as_array().ok_or_else(|| wrong(path, "a list", value))
}

fn shape(value: &Value, path: &str, dtype: DType) -> Result<Vec<usize>> {
    let sizes = list(value, path)?.iter().map(|item| size(item, path));
    let sizes = sizes.collect::<Result<Vec<_>>>()?;
    let bytes =
        sizes.iter().try_fold(dtype.width() as i64, |bytes, size| bytes.checked_mul(*size as i64));
    expect(bytes.is_some(), path, "a size in bytes of at most 63 bits", value)?;
    Ok(sizes)
}

fn size(value: &Value, path: &str) -> Result<usize> {
    let size = value.as_u64().filter(|size| (1..=i64::MAX as u64).contains(size));
    let size = size.and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| wrong(path, "a whole number above 0", value))
}

fn string(value: &Value, path: &str) -> Result<String> {
    let text = value.as_str().ok_or_else(|| wrong(path, "a string", value))?;
    Ok(text.to_string())
}

fn require_name(name: &str, path: &str, joint: char) -> Result<()> {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint;
    let good = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(known);
    expect(good, path, "a lower-case name", &Value::from(name))
}

fn digest(value: &Value, path: &str) -> Result<String> {
    let digest = string(value, path)?;
    let known = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let good = digest.len() == 64 && digest.chars().all(known);
    expect(good, path, "64 hex digits", value)?;
    Ok(digest)
}

fn file(value: &Value, path: &str) -> Result<String> {
    let file = string(value, path)?;
    let good = !file.is_empty()
        && !file.starts_with('/')
        && !file.contains(|c: char| c == '\\' || c.is_control())
        && file.split('/').all(|step| step != "..");
    expect(good, path, "a path inside the bundle", value)?;
    Ok(file)
}

fn dtype(value: &Value, path: &str) -> Result<DType> {
    let found = DType::ALL.iter().find(|(_, name, _)| value == *name);
    found
        .map(|(dtype, _, _)| *dtype)
        .ok_or_else(|| wrong(path, "float32, uint8, int64, float16 or float64", value))
}

fn expect(good: bool, path: &str, expected: &str, got: &Value) -> Result<()> {
    if good { Ok(()) } else { Err(wrong(path, expected, got)) }
}

fn wrong(path: &str, expected: &str, got: &Value) -> Error {
    // Lists and objects are not quoted: they can be as long as the file.
    let got = match got {
        Value::Null => "nothing".to_string(),
        Value::Array(_) => "a list".to_string(),
        Value::Object(_) => "an object".to_string(),
        other => other.to_string().chars().take(80).collect(),
    };
    Error::failed(format!("{path}: expected {expected}, got {got}"))
}
