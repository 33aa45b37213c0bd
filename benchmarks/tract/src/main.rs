//! Runs every fp32 part of a bundle in tract on its golden inputs, whole and row by row.
//!
//!     golden BUNDLE
//!
//! One JSON line per output, `{"part", "output", "error", "tolerance"}` with the largest
//! |output - golden| of the row with the largest error / tolerance and that row's tolerance, or
//! `{"part", "failed"}` with the reason.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tract_onnx::prelude::*;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("usage: golden BUNDLE")?;
    let folder = Path::new(&folder);
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join("manifest.json"))?)?;
    for (part, variants) in manifest["parts"]
        .as_object()
        .context("manifest: no parts")?
    {
        match replay(folder, &variants["fp32"]) {
            Ok(outputs) => {
                for (output, error, tolerance) in outputs {
                    let line = json!({"part": part, "output": output, "error": error, "tolerance": tolerance});
                    println!("{line}");
                }
            }
            Err(error) => println!("{}", json!({"part": part, "failed": format!("{error:#}")})),
        }
    }
    Ok(())
}

/// Name of every output, with error and tolerance of its worst row, at every size that is stored.
fn replay(folder: &Path, variant: &Value) -> Result<Vec<(String, f64, f64)>> {
    let file = variant["file"].as_str().context("manifest: no file")?;
    // `batch` stays a symbol: one plan for every batch size.
    let plan = tract_onnx::onnx()
        .model_for_path(folder.join(file))?
        .into_optimized()?
        .into_runnable()?;
    let stored = variant["golden"]
        .as_array()
        .context("manifest: no golden")?;
    let mut found = Vec::new();
    for each in stored {
        let inputs = golden(folder, &variant["inputs"], &each["inputs"])?;
        let expected = golden(folder, &variant["outputs"], &each["outputs"])?;
        found.extend(compared(&plan, &inputs, expected, &each["outputs"])?);
    }
    Ok(found)
}

/// The same for one set of golden vectors.
fn compared(
    plan: &std::sync::Arc<TypedRunnableModel>,
    inputs: &[(String, Tensor)],
    expected: Vec<(String, Tensor)>,
    tolerances: &Value,
) -> Result<Vec<(String, f64, f64)>> {
    let rows = inputs.last().context("manifest: no inputs")?.1.shape()[0];
    let mut errors = vec![vec![0f64; rows]; expected.len()];
    for batch in std::iter::once(0..rows).chain((0..rows).map(|row| row..row + 1)) {
        let feeds: TVec<TValue> = inputs
            .iter()
            .map(|(_, value)| match value.shape()[0] {
                // A seed is for all rows.
                1 if rows > 1 => Ok(value.clone().into()),
                _ => Ok(value.slice(0, batch.start, batch.end)?.into()),
            })
            .collect::<Result<_>>()?;
        let outputs = plan.run(feeds)?;
        ensure!(
            outputs.len() == errors.len(),
            "got {} outputs",
            outputs.len()
        );
        for ((errors, output), (_, value)) in errors.iter_mut().zip(&outputs).zip(&expected) {
            let got = output.shape().first();
            ensure!(
                got == Some(&batch.len()),
                "expected {} rows, got {got:?}",
                batch.len()
            );
            for row in batch.clone() {
                let actual = output.slice(0, row - batch.start, row - batch.start + 1)?;
                let difference = max_difference(&actual, &value.slice(0, row, row + 1)?)?;
                errors[row] = errors[row].max(difference);
            }
        }
    }
    expected
        .into_iter()
        .zip(errors)
        .map(|((name, _), errors)| {
            let found = tolerances[&name]["tolerance"].clone();
            let found: Vec<f64> = serde_json::from_value(found).context("manifest: tolerance")?;
            ensure!(
                found.len() == rows,
                "manifest: {} tolerances of {rows} rows",
                found.len()
            );
            let worst = errors.into_iter().zip(found);
            let worst = worst.max_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
            let (error, tolerance) = worst.context("manifest: no rows")?;
            Ok((name, error, tolerance))
        })
        .collect()
}

/// Golden arrays by name, in the graph's order: raw little-endian, row-major.
fn golden(folder: &Path, specs: &Value, files: &Value) -> Result<Vec<(String, Tensor)>> {
    let specs = specs.as_array().context("manifest: no tensors")?;
    specs
        .iter()
        .map(|spec| {
            let name = spec["name"].as_str().context("manifest: no name")?;
            let record = &files[name];
            let file = record["file"].as_str().context("manifest: no file")?;
            let bytes = std::fs::read(folder.join(file)).context(file.to_string())?;
            let shape: Vec<usize> = serde_json::from_value(record["shape"].clone())?;
            let (kind, size) = match record["dtype"].as_str() {
                Some("float32") => (f32::datum_type(), 4),
                Some("int64") => (i64::datum_type(), 8),
                Some("uint8") => (u8::datum_type(), 1),
                other => bail!("{name}: unknown dtype {other:?}"),
            };
            ensure!(
                bytes.len() == size * shape.iter().product::<usize>(),
                "{name}: {} bytes are not {shape:?}",
                bytes.len()
            );
            // The files are little-endian, as the machines are that this runs on.
            let value = unsafe { Tensor::from_raw_dt(kind, &shape, &bytes)? };
            Ok((name.to_string(), value))
        })
        .collect()
}

fn max_difference(actual: &Tensor, expected: &Tensor) -> Result<f64> {
    let (got, want) = (actual.shape(), expected.shape());
    ensure!(got == want, "expected shape {want:?}, got {got:?}");
    let (actual, expected) = (actual.cast_to::<f64>()?, expected.cast_to::<f64>()?);
    let pairs = actual.to_plain_array_view::<f64>()?;
    let pairs = pairs.iter().zip(expected.to_plain_array_view::<f64>()?);
    let largest = pairs
        .map(|(&a, &b)| (a - b).abs())
        .fold(0.0, |worst, next| {
            // `max` would pass over a NaN.
            if next > worst || next.is_nan() {
                next
            } else {
                worst
            }
        });
    ensure!(largest.is_finite(), "NaN or infinite values");
    Ok(largest)
}
