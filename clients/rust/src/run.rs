//! run: a part on arrays of .npy files.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{Bundle, Engine, Error, Part, Result, Tensor, TensorSpec, Tensors, Values};
use crate::{files, listed, npy};

/// Which files a part's inputs are read from, and its outputs written to, by name.
struct Names {
    inputs: Vec<(TensorSpec, PathBuf)>,
    outputs: Vec<(String, PathBuf)>,
}

/// Run the fp32 graph of a part; each word is NAME=FILE.
pub(crate) fn run<E: Engine>(
    bundle: &Bundle<E>,
    part: &str,
    words: &[OsString],
    force: bool,
) -> Result<()> {
    let mut part = bundle.part(part, "fp32")?;
    let names = names_of(&part, words)?;
    for (_, path) in &names.outputs {
        files::require_writable(path, force)?;
    }
    let mut inputs = Tensors::new();
    for (spec, path) in &names.inputs {
        let tensor = npy::read(path, spec.dtype)?;
        inputs.insert(spec.name.clone(), tensor);
    }
    part.sizes_in(&inputs)?;
    for (spec, _) in &names.inputs {
        require_values(&part, spec, &inputs[&spec.name])?;
    }
    let found = part.run(&inputs)?;
    for (name, path) in &names.outputs {
        files::write(path, &npy::written(&found[name]), force)?;
    }
    Ok(())
}

fn names_of(part: &Part, words: &[OsString]) -> Result<Names> {
    let mut names = Names { inputs: Vec::new(), outputs: Vec::new() };
    let (inputs, outputs) = (part.inputs(), &part.variant.outputs);
    let of = part.name();
    for word in words {
        let pair = word.to_str().and_then(|word| word.split_once('='));
        let (name, path) = pair.filter(|(_, path)| !path.is_empty()).ok_or_else(|| {
            Error::usage(format!("expected NAME=FILE, got {}", word.to_string_lossy()))
        })?;
        let known = names.inputs.iter().map(|(spec, _)| spec.name.as_str());
        if known.chain(names.outputs.iter().map(|(name, _)| name.as_str())).any(|it| it == name) {
            return Err(Error::usage(format!("{name} is given twice")));
        }
        if let Some(spec) = inputs.iter().find(|spec| spec.name == name) {
            names.inputs.push((spec.clone(), path.into()));
        } else if outputs.iter().any(|spec| spec.name == name) {
            names.outputs.push((name.to_string(), path.into()));
        } else {
            let has = listed(inputs.iter().chain(outputs).map(|spec| &spec.name));
            return Err(Error::usage(format!("{of} has no input or output {name}, it has: {has}")));
        }
    }
    let given = |spec: &TensorSpec| names.inputs.iter().any(|(known, _)| known.name == spec.name);
    if let Some(missing) = inputs.iter().find(|spec| !given(spec)) {
        return Err(Error::usage(format!("{of} needs {}=FILE", missing.name)));
    }
    match names.outputs.is_empty() {
        true => Err(Error::usage(format!("name an output, such as {0}={0}.npy", outputs[0].name))),
        false => Ok(names),
    }
}

/// Fail unless all values are finite, and in the range of the input. NaN may stand for missing values,
/// where the input may have them.
fn require_values(part: &Part, spec: &TensorSpec, tensor: &Tensor) -> Result<()> {
    let (low, high) = part.extremes_of(spec, tensor)?;
    // The range as values of this type: 0.1 in float32 is in [0.1, 1].
    let end = |end: f64| match tensor.values {
        Values::Float32(_) => f64::from(end as f32),
        _ => end,
    };
    match spec.range {
        Some([least, most]) if low < end(least) || high > end(most) => Err(Error::failed(format!(
            "{}: {}: expected values in [{least}, {most}], got {} to {}",
            part.name(),
            spec.name,
            shortest(tensor, low),
            shortest(tensor, high)
        ))),
        _ => Ok(()),
    }
}

/// The shortest text that is this value of the tensor's type and no other.
fn shortest(tensor: &Tensor, value: f64) -> String {
    match tensor.values {
        Values::Float32(_) => (value as f32).to_string(),
        _ => value.to_string(),
    }
}
