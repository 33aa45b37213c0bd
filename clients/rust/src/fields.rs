//! Values of a manifest: each is returned, or an error says where it is, what was expected and what
//! came.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde_json::{Map, Value};

use crate::axes::{LARGEST, is_name};
use crate::{DType, Error, Result, Size, TensorKind, listed};

/// An array has fewer values than this, so that its size in bytes is exact in every language.
const MOST_VALUES: u64 = 1 << 50;

/// An object, and where it is in the manifest.
pub(crate) struct Fields<'a>(&'a Map<String, Value>, String);

impl<'a> Fields<'a> {
    pub(crate) fn of(value: &'a Value, path: &str) -> Result<Self> {
        let place = if path.is_empty() { "the manifest" } else { path };
        let fields = value.as_object();
        let fields = fields.ok_or_else(|| wrong(place, "an object", value))?;
        Ok(Self(fields, path.to_string()))
    }

    pub(crate) fn get(&self, name: &str) -> &'a Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    /// None where there is no such field.
    pub(crate) fn find(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    /// true or false; false where there is no such field.
    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        let read = |value: &Value| {
            value.as_bool().ok_or_else(|| wrong(&self.path(name), "true or false", value))
        };
        self.find(name).map_or(Ok(false), read)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.1)
    }
}

pub(crate) fn map<T>(
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

/// Finite numbers, by names of any letters.
pub(crate) fn numbers(value: &Value, path: &str) -> Result<BTreeMap<String, f64>> {
    let fields = value.as_object().ok_or_else(|| wrong(path, "an object", value))?;
    let entry = |(name, item): (&String, &Value)| {
        let name = string(&Value::from(name.as_str()), path)?;
        let number = finite(item, &format!("{path}.{name}"))?;
        Ok((name, number))
    };
    fields.iter().map(entry).collect()
}

pub(crate) fn finite(value: &Value, path: &str) -> Result<f64> {
    let number = value.as_f64().filter(|number| number.is_finite());
    number.ok_or_else(|| wrong(path, "a finite number", value))
}

pub(crate) fn list<'a>(value: &'a Value, path: &str) -> Result<&'a Vec<Value>> {
    value.as_array().ok_or_else(|| wrong(path, "a list", value))
}

/// Sizes of an array.
pub(crate) fn shape(value: &Value, path: &str) -> Result<Vec<usize>> {
    let sizes = list(value, path)?.iter().map(|item| size(item, path));
    let sizes = sizes.collect::<Result<Vec<_>>>()?;
    require_values(sizes.iter().copied(), path, value)?;
    let sizes = sizes.into_iter().map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    Ok(sizes.collect())
}

/// Sizes of a tensor: numbers, or axes.
pub(crate) fn sizes(value: &Value, path: &str) -> Result<Vec<Size>> {
    let items = list(value, path)?;
    expect(!items.is_empty(), path, "at least one size", value)?;
    let read = |(place, item): (usize, &Value)| {
        let found = match item.as_str() {
            Some(text) => Size::of(text).filter(|size| stands_at(size, place)),
            None => size(item, path).ok().map(Size::Fixed),
        };
        found.ok_or_else(|| {
            let expected = "numbers above 0 of at most 53 bits, \"batch\" for the first, or axes \
                            such as \"height\" and \"height/8\"";
            wrong(path, expected, item)
        })
    };
    let sizes = items.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
    let numbers = sizes.iter().map(|size| match size {
        Size::Fixed(size) => *size,
        Size::Axis { .. } => 1,
    });
    require_values(numbers, path, value)?;
    Ok(sizes)
}

/// The axis of rows stands first, and alone.
fn stands_at(size: &Size, place: usize) -> bool {
    let batch = Size::batch();
    size.axis() != batch.axis() || (*size == batch && place == 0)
}

fn require_values(sizes: impl Iterator<Item = u64>, path: &str, value: &Value) -> Result<()> {
    let values = sizes.fold(1, u64::saturating_mul);
    expect(values < MOST_VALUES, path, "sizes of fewer than 2^50 values", value)
}

/// A whole number above 0.
pub(crate) fn size(value: &Value, path: &str) -> Result<u64> {
    let size = value.as_u64().filter(|size| (1..=LARGEST).contains(size));
    size.ok_or_else(|| wrong(path, "a whole number above 0, of at most 53 bits", value))
}

/// null, or a whole number from `lowest` on.
pub(crate) fn optional(value: &Value, path: &str, lowest: u64) -> Result<Option<u64>> {
    let number = value.as_u64().filter(|size| (lowest..=LARGEST).contains(size));
    let expected = format!("null or a whole number from {lowest} on, of at most 53 bits");
    expect(value.is_null() || number.is_some(), path, &expected, value)?;
    Ok(number)
}

/// A number above 0 for each row.
pub(crate) fn tolerances(value: &Value, path: &str, rows: usize) -> Result<Vec<f64>> {
    let expected = format!("{rows} numbers above 0");
    let items = value.as_array().ok_or_else(|| wrong(path, &expected, value))?;
    if items.len() != rows {
        let got = items.len();
        return Err(Error::failed(format!("{path}: expected {expected}, got a list of {got}")));
    }
    let number = |(row, item): (usize, &Value)| {
        let number = item.as_f64().filter(|number| *number > 0.0 && number.is_finite());
        number.ok_or_else(|| wrong(&format!("{path}[{row}]"), "a number above 0", item))
    };
    items.iter().enumerate().map(number).collect()
}

pub(crate) fn string(value: &Value, path: &str) -> Result<String> {
    let text = value.as_str().ok_or_else(|| wrong(path, "a string", value))?;
    expect(!text.contains(char::is_control), path, "a string without control characters", value)?;
    Ok(text.to_string())
}

/// A lower-case name, in which `joint` stands for _.
pub(crate) fn require_name(name: &str, path: &str, joint: char) -> Result<()> {
    let good = match joint {
        '_' => is_name(name),
        joint => !name.contains('_') && is_name(&name.replace(joint, "_")),
    };
    expect(good, path, "a lower-case name", &Value::from(name))
}

pub(crate) fn digest(value: &Value, path: &str) -> Result<String> {
    let digest = string(value, path)?;
    let known = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let good = digest.len() == 64 && digest.chars().all(known);
    expect(good, path, "64 hex digits", value)?;
    Ok(digest)
}

pub(crate) fn file(value: &Value, path: &str) -> Result<String> {
    let file = value.as_str().filter(|text| !text.contains(char::is_control));
    let file = file.ok_or_else(|| wrong(path, "a path inside the bundle", value))?;
    let steps = |step: &str| !matches!(step, "" | "." | "..");
    let good = !file.contains('\\')
        && file.split('/').all(steps)
        // On Windows "C:x" is a file of another folder.
        && Path::new(file).components().all(|step| matches!(step, Component::Normal(_)));
    expect(good, path, "a path inside the bundle", value)?;
    Ok(file.to_string())
}

pub(crate) fn dtype(value: &Value, path: &str) -> Result<DType> {
    let found = DType::ALL.iter().find(|(_, name, _)| value == *name);
    let names = || listed(DType::ALL.iter().map(|(_, name, _)| name));
    found
        .map(|(dtype, ..)| *dtype)
        .ok_or_else(|| wrong(path, &format!("one of {}", names()), value))
}

pub(crate) fn kind(value: &Value, path: &str) -> Result<TensorKind> {
    let found = TensorKind::ALL.iter().find(|(_, name, _)| value == *name);
    let names = || listed(TensorKind::ALL.iter().map(|(_, name, _)| name));
    found.map(|(kind, ..)| *kind).ok_or_else(|| wrong(path, &format!("one of {}", names()), value))
}

pub(crate) fn expect(good: bool, path: &str, expected: &str, got: &Value) -> Result<()> {
    if good { Ok(()) } else { Err(wrong(path, expected, got)) }
}

pub(crate) fn wrong(path: &str, expected: &str, got: &Value) -> Error {
    // Lists and objects are not quoted: they can be as long as the file.
    let got = match got {
        Value::Null => "nothing".to_string(),
        Value::Array(_) => "a list".to_string(),
        Value::Object(_) => "an object".to_string(),
        other => other.to_string().chars().take(80).collect(),
    };
    Error::failed(format!("{path}: expected {expected}, got {got}"))
}
