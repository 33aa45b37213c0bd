//! A part of a bundle, open: a function of arrays whose every answer is compared with the manifest.

use std::collections::BTreeSet;

use crate::axes::{BATCH, Given, shape_at, shown, solve, values_at};
use crate::bundle::LARGEST_FILE;
use crate::tiles::{inputs_of, is_cut, outputs_of, sizes_of, tiles};
use crate::variant::is_like;
use crate::{
    Axis, DType, Error, Graph, Result, Sizes, Tensor, TensorKind, TensorSpec, Tensors, Variant,
    listed,
};

/// An open graph: arrays by name -> arrays by name.
pub struct Part {
    pub variant: Variant,
    /// With any number of rows, also where the graph is fixed to some.
    inputs: Vec<TensorSpec>,
    name: String,
    graph: Box<dyn Graph>,
}

impl Part {
    /// Fails if its smallest tensors are so large that no memory holds them.
    pub(crate) fn new(name: &str, variant: Variant, graph: Box<dyn Graph>) -> Result<Self> {
        let smallest = |(name, axis): (&String, &Axis)| (name.clone(), axis.min);
        let smallest: Sizes = variant.axes.iter().map(smallest).collect();
        let inputs = variant.inputs_of_any_rows();
        let part = Self { inputs, variant, name: name.to_string(), graph };
        part.require_room(&smallest)?;
        Ok(part)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it takes: the inputs of the graph, with any number of rows.
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    /// Any number of rows above 0, and any sizes that the axes allow: what is too large for one run is
    /// run in turns and in tiles, with the same answer. Fails if an input is missing or has another type
    /// or shape, labels or codes without a range are negative, or the graph gives what the manifest does
    /// not say.
    pub fn run(&mut self, inputs: &Tensors) -> Result<Tensors> {
        let sizes = self.sizes_in(inputs)?;
        self.require_numbers(inputs)?;
        let rows = usize::try_from(sizes[BATCH]).unwrap_or(usize::MAX);
        let at_once = match self.variant.fixed_rows() {
            Some(fixed) => fixed,
            None if is_cut(&self.variant, &sizes) => 1,
            None => return self.run_once(inputs, &sizes),
        };
        if self.variant.fixed_rows().is_some() {
            self.require_room(&sizes)?; // a row alone becomes as many
        }
        let sizes = with_rows(&sizes, at_once);
        let mut answers = Tensors::new();
        for first in (0..rows).step_by(at_once) {
            let found = self.run_tiles(&self.rows_of(inputs, first, at_once), &sizes)?;
            for (name, tensor) in found {
                let kept = tensor.rows_of(0, at_once.min(rows - first));
                let answer = match answers.remove(&name) {
                    Some(before) => before.followed_by(kept),
                    None => kept,
                };
                answers.insert(name, answer);
            }
        }
        Ok(answers)
    }

    /// Rows of the inputs; what is for all of them, such as a seed, stays whole.
    pub fn rows_of(&self, inputs: &Tensors, first: usize, rows: usize) -> Tensors {
        let taken = self.variant.inputs.iter().map(|spec| {
            let tensor = &inputs[&spec.name];
            let has_rows = self.variant.has_rows(spec);
            let taken = if has_rows { tensor.rows_of(first, rows) } else { tensor.clone() };
            (spec.name.clone(), taken)
        });
        taken.collect()
    }

    /// The sizes of all axes, that of rows included. Fails if an input is missing, unknown, or has
    /// another type or shape, or if an axis may not have its size.
    pub(crate) fn sizes_in(&self, inputs: &Tensors) -> Result<Sizes> {
        let part = &self.name;
        let mut given: Vec<Given<'_>> = Vec::with_capacity(self.inputs.len());
        for spec in &self.inputs {
            let tensor = inputs.get(&spec.name).ok_or_else(|| self.other_inputs(inputs))?;
            let (dtype, shape) = (tensor.values.dtype(), &tensor.shape);
            if dtype != spec.dtype || !is_like(&spec.shape, shape) {
                return Err(self.refused(spec, dtype, shape));
            }
            given.push((&spec.name, &spec.shape, shape));
        }
        if inputs.len() != self.inputs.len() {
            return Err(self.other_inputs(inputs));
        }
        let solved = solve(&given, &self.variant.axes);
        solved.map_err(|reason| Error::failed(format!("{part}: {reason}")))
    }

    /// Lowest and highest value of an input. Fails if one is infinite, or is NaN where none may be
    /// missing.
    pub(crate) fn extremes_of(&self, spec: &TensorSpec, tensor: &Tensor) -> Result<(f64, f64)> {
        tensor.extremes(spec.missing).ok_or_else(|| {
            let (part, name) = (&self.name, &spec.name);
            Error::failed(format!("{part}: {name}: expected finite values, got NaN or infinity"))
        })
    }

    /// Fails if labels or codes without a range are negative: a graph would count them from the end.
    fn require_numbers(&self, inputs: &Tensors) -> Result<()> {
        let is_number = |kind| matches!(kind, TensorKind::Label | TensorKind::Codes);
        for spec in self.inputs.iter().filter(|spec| is_number(spec.kind) && spec.range.is_none()) {
            let (low, _) = self.extremes_of(spec, &inputs[&spec.name])?;
            if low < 0.0 {
                let (part, name) = (&self.name, &spec.name);
                return Err(Error::failed(format!(
                    "{part}: {name}: expected values of 0 or more, got {low}"
                )));
            }
        }
        Ok(())
    }

    /// The error of an array that is none of an input.
    pub(crate) fn refused(&self, spec: &TensorSpec, dtype: DType, shape: &[usize]) -> Error {
        let (part, name) = (&self.name, &spec.name);
        let wanted = format!("{} {}", spec.dtype, shown(&spec.shape));
        Error::failed(format!("{part}: {name}: expected {wanted}, got {dtype} {shape:?}"))
    }

    fn other_inputs(&self, inputs: &Tensors) -> Error {
        let (part, wanted) = (&self.name, listed(self.inputs.iter()));
        let got = listed(inputs.keys().collect::<BTreeSet<_>>().iter());
        Error::failed(format!("{part}: expected the inputs {wanted}, got {got}"))
    }

    /// As many rows as the graph takes, tile by tile where they are large.
    fn run_tiles(&mut self, inputs: &Tensors, sizes: &Sizes) -> Result<Tensors> {
        if !is_cut(&self.variant, sizes) {
            return self.run_once(inputs, sizes);
        }
        let mut answers = Tensors::new();
        for tile in tiles(&self.variant, sizes) {
            let taken = self.variant.inputs.iter().map(|spec| {
                let whole = &inputs[&spec.name];
                let window = whole.window(&inputs_of(&tile, &spec.shape, &whole.shape));
                (spec.name.clone(), window)
            });
            let found = self.run_once(&taken.collect(), &sizes_of(&tile, sizes))?;
            for spec in &self.variant.outputs {
                let (name, piece) = (&spec.name, &found[&spec.name]);
                if !answers.contains_key(name) {
                    // Not before the graph gave a piece of it: a manifest could say any size.
                    answers.insert(name.clone(), piece.zeros_like(&self.shape_of(spec, sizes)?)?);
                }
                let (there, here) = outputs_of(&tile, &spec.shape, &piece.shape);
                answers.get_mut(name).expect("it is there").put(&there, piece, &here);
            }
        }
        Ok(answers)
    }

    fn run_once(&mut self, inputs: &Tensors, sizes: &Sizes) -> Result<Tensors> {
        self.require_room(sizes)?;
        let values: Vec<_> = self.variant.inputs.iter().map(|spec| &inputs[&spec.name]).collect();
        let found = self.graph.run(&values)?;
        self.require_outputs(sizes, &found)?;
        let names = self.variant.outputs.iter().map(|spec| spec.name.clone());
        Ok(names.zip(found).collect())
    }

    /// Fails unless these are the outputs that the manifest says, at these sizes.
    fn require_outputs(&self, sizes: &Sizes, found: &[Tensor]) -> Result<()> {
        let (file, specs) = (&self.variant.file, &self.variant.outputs);
        let refuse = |got: String, expected: String| {
            Err(Error::failed(format!(
                "{file} gave {got}, expected {expected}: export the bundle again"
            )))
        };
        if found.len() != specs.len() {
            return refuse(format!("{} outputs", found.len()), specs.len().to_string());
        }
        for (spec, tensor) in specs.iter().zip(found) {
            let (expected, got) = (self.shape_of(spec, sizes)?, tensor.values.dtype());
            if got != spec.dtype || tensor.shape != expected {
                let (dtype, shape) = (spec.dtype, &tensor.shape);
                let got = format!("{} {got} {shape:?}", spec.name);
                return refuse(got, format!("{dtype} {expected:?}"));
            }
        }
        Ok(())
    }

    pub(crate) fn shape_of(&self, spec: &TensorSpec, sizes: &Sizes) -> Result<Vec<usize>> {
        let shape = shape_at(&spec.shape, sizes);
        shape.ok_or_else(|| self.too_large(spec, sizes))
    }

    /// Fails if a row of a tensor, or the rows that the graph is fixed to, have more bytes at these
    /// sizes than a file of one may have.
    pub(crate) fn require_room(&self, sizes: &Sizes) -> Result<()> {
        let one = with_rows(sizes, 1);
        let mut specs = self.variant.inputs.iter().chain(&self.variant.outputs);
        let bytes = |spec: &TensorSpec| {
            values_at(&spec.shape, &one).saturating_mul(spec.dtype.width() as u64)
        };
        match specs.find(|spec| bytes(spec) > LARGEST_FILE) {
            Some(spec) => Err(self.too_large(spec, sizes)),
            None => Ok(()),
        }
    }

    fn too_large(&self, spec: &TensorSpec, sizes: &Sizes) -> Error {
        let part = &self.name;
        let at = sizes.iter().map(|(name, size)| format!(" at {name} {size}")).collect::<String>();
        Error::failed(format!(
            "this bundle's {part} cannot run: expected tensors of at most {LARGEST_FILE} \
             bytes, got \
             {spec}{at}"
        ))
    }
}

pub(crate) fn with_rows(sizes: &Sizes, rows: usize) -> Sizes {
    let mut sizes = sizes.clone();
    sizes.insert(BATCH.to_string(), rows as u64);
    sizes
}
