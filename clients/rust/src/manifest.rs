//! What is read of a bundle's manifest.json, checked.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::bundle::LARGEST_FILE;
use crate::error::one_line;
use crate::fields::{Fields, digest, dtype, expect, file, finite, kind, list, map, numbers};
use crate::fields::{optional, require_name, shape, size, sizes, string, tolerances, wrong};
use crate::variant::require_consistent;
use crate::{Axis, Error, Golden, NormalScores, Result, Stored, TensorSpec, Variant, listed};

const FORMAT: &str = "aeonnx-bundle";
const VERSION: u64 = 2;

/// The parts of one trained model, as its manifest describes them.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub model: String,
    /// By part, then by variant.
    pub parts: BTreeMap<String, BTreeMap<String, Variant>>,
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
    require_version(size(fields.get("version"), "version")?)?;
    let model = string(fields.get("model"), "model")?;
    let parts = map(fields.get("parts"), "parts", '_', part)?;
    if parts.is_empty() {
        return Err(Error::failed("parts: expected at least one part"));
    }
    Ok(Manifest { model, parts })
}

fn require_version(version: u64) -> Result<()> {
    let (than, remedy) = match version {
        VERSION => return Ok(()),
        newer if newer > VERSION => ("newer", "take a newer one"),
        _ => ("older", "export the bundle again"),
    };
    Err(Error::failed(format!(
        "version {version} is {than} than this program, which reads {VERSION}: {remedy}"
    )))
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
    let at = fields.path("normal");
    let normal = |value: &Value| map(value, &at, '_', NormalScores::of);
    let variant = Variant {
        file: file(fields.get("file"), &fields.path("file"))?,
        sha256: digest(fields.get("sha256"), &fields.path("sha256"))?,
        bytes: size(fields.get("bytes"), &fields.path("bytes"))?,
        opset: size(fields.get("opset"), &fields.path("opset"))? as usize,
        min_onnxruntime: string(fields.get("min_onnxruntime"), &fields.path("min_onnxruntime"))?,
        inputs: several(fields.get("inputs"), &fields.path("inputs"), "tensor", tensor)?,
        outputs: several(fields.get("outputs"), &fields.path("outputs"), "tensor", tensor)?,
        axes: map(fields.get("axes"), &fields.path("axes"), '_', axis)?,
        golden: several(fields.get("golden"), &fields.path("golden"), "set of vectors", golden)?,
        percentiles: map(fields.get("percentiles"), &fields.path("percentiles"), '_', numbers)?,
        normal: fields.find("normal").map_or(Ok(BTreeMap::new()), normal)?,
    };
    require_consistent(&variant, path)?;
    Ok(variant)
}

/// A list of at least one.
fn several<T>(
    value: &Value,
    path: &str,
    what: &str,
    read: impl Fn(&Value, &str) -> Result<T>,
) -> Result<Vec<T>> {
    let items = list(value, path)?;
    if items.is_empty() {
        return Err(Error::failed(format!("{path}: expected at least one {what}, got none")));
    }
    let item = |(index, item): (usize, &Value)| read(item, &format!("{path}[{index}]"));
    items.iter().enumerate().map(item).collect()
}

fn tensor(value: &Value, path: &str) -> Result<TensorSpec> {
    let fields = Fields::of(value, path)?;
    let name = string(fields.get("name"), &fields.path("name"))?;
    require_name(&name, &fields.path("name"), '_')?;
    let kind = kind(fields.get("kind"), &fields.path("kind"))?;
    let dtype = dtype(fields.get("dtype"), &fields.path("dtype"))?;
    let shape = sizes(fields.get("shape"), &fields.path("shape"))?;
    let range = range(fields.get("range"), &fields.path("range"))?;
    let missing = fields.flag("missing")?;
    if missing && !dtype.is_float() {
        let place = fields.path("missing");
        let said = format!("{place}: expected floats, which have NaN, got {dtype}");
        return Err(Error::failed(said));
    }
    let spec = TensorSpec { name, kind, dtype, shape, range, missing };
    match kind.rank() {
        Some(rank) if rank != spec.shape.len() => {
            let place = fields.path("shape");
            let expected = format!("{rank} sizes of a tensor of the kind {kind}");
            Err(Error::failed(format!("{place}: expected {expected}, got {spec}")))
        }
        _ => Ok(spec),
    }
}

fn axis(value: &Value, path: &str) -> Result<Axis> {
    let fields = Fields::of(value, path)?;
    let multiple = size(fields.get("multiple"), &fields.path("multiple"))?;
    let min = size(fields.get("min"), &fields.path("min"))?;
    let max = optional(fields.get("max"), &fields.path("max"), 1)?;
    let margin = optional(fields.get("margin"), &fields.path("margin"), 0)?;
    for (name, size) in [("min", Some(min)), ("max", max)] {
        let good = size.is_none_or(|size| size.is_multiple_of(multiple));
        let expected = format!("a multiple of {multiple}");
        expect(good, &fields.path(name), &expected, fields.get(name))?;
    }
    let good = max.is_none_or(|max| min <= max);
    expect(good, &fields.path("max"), &format!("at least min, {min}"), fields.get("max"))?;
    Ok(Axis { multiple, min, max, margin })
}

fn range(value: &Value, path: &str) -> Result<Option<[f64; 2]>> {
    if value.is_null() {
        return Ok(None);
    }
    let finite = |end: &Value| finite(end, path).ok();
    let ends = value.as_array().map(|ends| ends.iter().map(finite).collect::<Option<Vec<_>>>());
    let ends = ends.flatten();
    let ends = ends.and_then(|ends| <[f64; 2]>::try_from(ends).ok());
    ends.map(Some).ok_or_else(|| wrong(path, "null or two numbers", value))
}

fn golden(value: &Value, path: &str) -> Result<Golden> {
    let fields = Fields::of(value, path)?;
    let arrays = |name: &str, compared: bool| {
        let read = |value: &Value, path: &str| stored(value, path, compared);
        map(fields.get(name), &fields.path(name), '_', read)
    };
    Ok(Golden { inputs: arrays("inputs", false)?, outputs: arrays("outputs", true)? })
}

fn stored(value: &Value, path: &str, compared: bool) -> Result<Stored> {
    let fields = Fields::of(value, path)?;
    let dtype = dtype(fields.get("dtype"), &fields.path("dtype"))?;
    let at = fields.path("shape");
    let shape = shape(fields.get("shape"), &at)?;
    let bytes = shape.iter().fold(dtype.width(), |bytes, size| bytes.saturating_mul(*size));
    let expected = format!("at most {LARGEST_FILE} bytes");
    expect(bytes as u64 <= LARGEST_FILE, &at, &expected, fields.get("shape"))?;
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
