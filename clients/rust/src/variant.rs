//! That the axes, the rows, the percentiles and the golden vectors of a graph belong together.

use std::collections::{BTreeMap, BTreeSet};

use crate::axes::{BATCH, Given, shape_at, shown, solve};
use crate::{Error, Golden, Result, Size, Stored, TensorSpec, Variant, listed};

/// Fail unless they do; `path` is where the variant is in the manifest.
pub(crate) fn require_consistent(variant: &Variant, path: &str) -> Result<()> {
    require_names(&variant.inputs, &format!("{path}.inputs"))?;
    require_names(&variant.outputs, &format!("{path}.outputs"))?;
    require_axes(variant, path)?;
    require_rows(variant, path)?;
    require_percentiles(variant, path)?;
    let mut sets = variant.golden.iter().enumerate();
    sets.try_for_each(|(i, golden)| require_golden(variant, golden, &format!("{path}.golden[{i}]")))
}

fn refused<T>(place: &str, expected: impl ToString, got: impl ToString) -> Result<T> {
    let (expected, got) = (expected.to_string(), got.to_string());
    Err(Error::failed(format!("{place}: expected {expected}, got {got}")))
}

fn require_names(specs: &[TensorSpec], place: &str) -> Result<()> {
    let names: BTreeSet<_> = specs.iter().map(|spec| &spec.name).collect();
    match names.len() == specs.len() {
        true => Ok(()),
        false => refused(place, "distinct names", listed(specs.iter().map(|spec| &spec.name))),
    }
}

fn axes_of(specs: &[TensorSpec]) -> BTreeSet<&str> {
    specs.iter().flat_map(|spec| &spec.shape).filter_map(Size::axis).collect()
}

/// The axes are those of the tensors, and the inputs decide the sizes of the outputs.
fn require_axes(variant: &Variant, path: &str) -> Result<()> {
    let (known, given) = (axes_of(&variant.inputs), axes_of(&variant.outputs));
    let seen: BTreeSet<_> = known.union(&given).copied().collect();
    let named: BTreeSet<_> = variant.axes.keys().map(String::as_str).collect();
    if named != seen {
        let expected = format!("those of the tensors, {}", listed(seen.iter()));
        return refused(&format!("{path}.axes"), expected, listed(named.iter()));
    }
    if let Some(unknown) = given.difference(&known).next() {
        let expected = "sizes that follow axes of the inputs";
        return refused(&format!("{path}.outputs"), expected, unknown);
    }
    for size in variant.inputs.iter().chain(&variant.outputs).flat_map(|spec| &spec.shape) {
        let Size::Axis { axis, divisor, .. } = size else { continue };
        let multiple = variant.axes[axis].multiple;
        if !multiple.is_multiple_of(*divisor) {
            let expected = format!("a multiple of {divisor}, by which a size divides it");
            return refused(&format!("{path}.axes.{axis}.multiple"), expected, multiple);
        }
    }
    Ok(())
}

/// All tensors agree in their number of rows.
fn require_rows(variant: &Variant, path: &str) -> Result<()> {
    let first = &variant.outputs[0].shape[0];
    if first.axis().is_some_and(|axis| axis != BATCH) {
        let expected = "\"batch\" or a number for the first size";
        return refused(&format!("{path}.outputs"), expected, first);
    }
    if let Some(other) = variant.outputs.iter().find(|spec| spec.shape[0] != *first) {
        let got = format!("{first} and {}", other.shape[0]);
        return refused(&format!("{path}.outputs"), "the same first size in all", got);
    }
    match variant.inputs.iter().any(|spec| variant.has_rows(spec)) {
        true => Ok(()),
        false => {
            let expected = format!("one with a first size of {first}, as the outputs have");
            refused(&format!("{path}.inputs"), expected, "none")
        }
    }
}

/// Percentiles are of outputs, and what normal rows score is told of outputs that have some.
fn require_percentiles(variant: &Variant, path: &str) -> Result<()> {
    let outputs: BTreeSet<_> = variant.outputs.iter().map(|spec| &spec.name).collect();
    let known: BTreeSet<_> = variant.percentiles.keys().collect();
    let normal: BTreeSet<_> = variant.normal.keys().collect();
    for (field, names, allowed, expected) in [
        ("percentiles", &known, &outputs, "outputs of the graph"),
        ("normal", &normal, &known, "outputs with percentiles"),
    ] {
        if !names.is_subset(allowed) {
            let got = listed(names.difference(allowed));
            return refused(&format!("{path}.{field}"), expected, got);
        }
    }
    Ok(())
}

/// Stored arrays have the shapes of the tensors, at one size of each axis that it may have.
fn require_golden(variant: &Variant, golden: &Golden, path: &str) -> Result<()> {
    let inputs = variant.inputs_of_any_rows();
    let outputs: Vec<_> = variant.outputs.iter().map(TensorSpec::with_any_rows).collect();
    let sets = [("inputs", &inputs, &golden.inputs), ("outputs", &outputs, &golden.outputs)];
    for (kind, specs, stored) in sets {
        let names: BTreeSet<_> = specs.iter().map(|spec| &spec.name).collect();
        if names != stored.keys().collect() {
            let (place, got) = (format!("{path}.{kind}"), listed(stored.keys()));
            return refused(
                &place,
                format!("an array for each tensor, {}", listed(names.iter())),
                got,
            );
        }
    }
    for spec in &inputs {
        require_like(spec, &golden.inputs[&spec.name], &format!("{path}.inputs.{}", spec.name))?;
    }
    let given = |spec| -> Given<'_> { given(spec, &golden.inputs) };
    let given: Vec<_> = inputs.iter().map(given).collect();
    let sizes = solve(&given, &variant.axes)
        .map_err(|reason| Error::failed(format!("{path}.inputs.{reason}")))?;
    let (rows, batch) = (sizes[BATCH], variant.fixed_rows().unwrap_or(1) as u64);
    if !rows.is_multiple_of(batch) {
        let got = format!("{rows} rows");
        return refused(&format!("{path}.inputs"), format!("batches of {batch} rows"), got);
    }
    for (kind, specs, stored) in sets {
        for spec in specs {
            let (stored, expected) = (&stored[&spec.name], shape_at(&spec.shape, &sizes));
            if stored.dtype != spec.dtype || Some(&stored.shape) != expected.as_ref() {
                let sizes = expected.map_or("more than memory".into(), |it| format!("{it:?}"));
                let got = format!("{} {:?}", stored.dtype, stored.shape);
                let place = format!("{path}.{kind}.{}", spec.name);
                return refused(&place, format!("{} {sizes}", spec.dtype), got);
            }
        }
    }
    Ok(())
}

fn given<'a>(spec: &'a TensorSpec, stored: &'a BTreeMap<String, Stored>) -> Given<'a> {
    (&spec.name, &spec.shape, &stored[&spec.name].shape)
}

fn require_like(spec: &TensorSpec, stored: &Stored, place: &str) -> Result<()> {
    match is_like(&spec.shape, &stored.shape) {
        true => Ok(()),
        false => refused(place, shown(&spec.shape), format!("{:?}", stored.shape)),
    }
}

/// Whether an array has as many sizes as declared, and the same where these are numbers.
pub(crate) fn is_like(declared: &[Size], real: &[usize]) -> bool {
    let same = |(size, real): (&Size, &usize)| match size {
        Size::Fixed(size) => *size == *real as u64,
        Size::Axis { .. } => true,
    };
    declared.len() == real.len() && declared.iter().zip(real).all(same)
}
