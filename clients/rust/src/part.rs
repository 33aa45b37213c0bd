//! A part of a bundle, open: a function of arrays whose every answer is compared with the manifest.

use crate::bundle::LARGEST_FILE;
use crate::{Error, Graph, Result, Size, Tensor, TensorSpec, Tensors, Variant, listed};

/// The one input that is for all rows.
const SEED: &str = "seed";

/// An open graph: arrays by name -> arrays by name.
pub struct Part {
    pub variant: Variant,
    name: String,
    graph: Box<dyn Graph>,
}

impl Part {
    /// Fails if its tensors do not have the same number of rows, or so many that no memory holds them.
    pub(crate) fn new(name: &str, variant: Variant, graph: Box<dyn Graph>) -> Result<Self> {
        let tensors = variant.inputs.iter().filter(|spec| spec.name != SEED);
        let mut tensors = tensors.chain(&variant.outputs);
        let one = tensors.next().expect("a graph has an output");
        let different = |spec: &&TensorSpec| spec.shape.is_empty() || spec.shape[0] != one.shape[0];
        let other = if one.shape.is_empty() { Some(one) } else { tensors.find(different) };
        if let Some(other) = other {
            return Err(Error::failed(format!(
                "this bundle's {name} cannot run: expected as many rows in every tensor, \
                 got {one} and {other}"
            )));
        }
        for spec in variant.inputs.iter().chain(&variant.outputs) {
            let sizes = spec.shape.iter().map(|size| match size {
                Size::Fixed(size) => *size,
                Size::Batch => 1,
            });
            let bytes = sizes.fold(spec.dtype.width(), usize::saturating_mul);
            if bytes as u64 > LARGEST_FILE {
                return Err(Error::failed(format!(
                    "this bundle's {name} cannot run: expected tensors of at most {LARGEST_FILE} \
                     bytes, got {spec}"
                )));
            }
        }
        Ok(Self { variant, name: name.to_string(), graph })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Any number of rows above 0; a graph that is fixed to so many at once gets them in turns. Fails
    /// if an input is missing or has another type or shape, or the graph gives what the manifest
    /// does not say.
    pub fn run(&mut self, inputs: &Tensors) -> Result<Tensors> {
        let rows = self.rows_in(inputs)?;
        let Some(fixed) = self.fixed_rows() else {
            return self.run_once(inputs, rows);
        };
        let mut answers = Tensors::new();
        for first in (0..rows).step_by(fixed) {
            let found = self.run_once(&self.rows_of(inputs, first, fixed), fixed)?;
            for (name, tensor) in found {
                let kept = tensor.rows_of(0, fixed.min(rows - first));
                let answer = match answers.remove(&name) {
                    Some(before) => before.followed_by(kept),
                    None => kept,
                };
                answers.insert(name, answer);
            }
        }
        Ok(answers)
    }

    /// The rows that the graph is fixed to; None if it takes any number.
    pub fn fixed_rows(&self) -> Option<usize> {
        match self.variant.outputs[0].shape.first() {
            Some(Size::Fixed(rows)) => Some(*rows),
            _ => None,
        }
    }

    /// Rows of the inputs; a seed is for all of them and stays whole.
    pub fn rows_of(&self, inputs: &Tensors, first: usize, rows: usize) -> Tensors {
        let taken = inputs.iter().map(|(name, tensor)| match name.as_str() {
            SEED => (name.clone(), tensor.clone()),
            _ => (name.clone(), tensor.rows_of(first, rows)),
        });
        taken.collect()
    }

    /// The outputs among arrays, in the order of the manifest; one that is missing is left out.
    pub(crate) fn outputs_in<'a>(&self, arrays: &'a Tensors) -> Vec<&'a Tensor> {
        self.variant.outputs.iter().filter_map(|spec| arrays.get(&spec.name)).collect()
    }

    /// Fails unless these are the outputs that the manifest says, for so many rows.
    pub(crate) fn require_outputs(
        &self,
        said: &str,
        rows: usize,
        found: Vec<&Tensor>,
    ) -> Result<()> {
        let (file, specs) = (&self.variant.file, &self.variant.outputs);
        let refuse = |got: String, expected: String| {
            Err(Error::failed(format!(
                "{file} {said} {got}, expected {expected}: export the bundle again"
            )))
        };
        if found.len() != specs.len() {
            return refuse(format!("{} outputs", found.len()), specs.len().to_string());
        }
        for (spec, tensor) in specs.iter().zip(found) {
            let sizes = spec.shape.iter().enumerate().map(|(axis, size)| match size {
                Size::Fixed(size) if axis > 0 => *size,
                _ => rows,
            });
            let expected: Vec<_> = sizes.collect();
            let got = tensor.values.dtype();
            if got != spec.dtype || tensor.shape != expected {
                let (dtype, shape) = (spec.dtype, &tensor.shape);
                let got = format!("{} {got} {shape:?}", spec.name);
                return refuse(got, format!("{dtype} {expected:?}"));
            }
        }
        Ok(())
    }

    fn run_once(&mut self, inputs: &Tensors, rows: usize) -> Result<Tensors> {
        let values: Vec<_> = self.variant.inputs.iter().map(|spec| &inputs[&spec.name]).collect();
        let found = self.graph.run(&values)?;
        self.require_outputs("gave", rows, found.iter().collect())?;
        let names = self.variant.outputs.iter().map(|spec| spec.name.clone());
        Ok(names.zip(found).collect())
    }

    /// How many rows the inputs have.
    pub(crate) fn rows_in(&self, inputs: &Tensors) -> Result<usize> {
        let name = &self.name;
        let mut rows = None;
        for spec in &self.variant.inputs {
            let tensor = inputs.get(&spec.name).ok_or_else(|| {
                let wanted = listed(self.variant.inputs.iter());
                Error::failed(format!("{name}: expected the inputs {wanted}"))
            })?;
            let per_row = spec.name != SEED;
            let expected = spec.shape.iter().enumerate().map(|(axis, size)| match size {
                _ if axis == 0 && per_row => *rows.get_or_insert(tensor.rows()),
                Size::Batch => tensor.rows(),
                Size::Fixed(size) => *size,
            });
            let same = expected.eq(tensor.shape.iter().copied());
            if !same || tensor.values.dtype() != spec.dtype {
                let (dtype, shape) = (tensor.values.dtype(), &tensor.shape);
                let text = format!("{name}: expected {spec}, got {dtype} {shape:?}");
                return Err(Error::failed(text));
            }
        }
        match rows.unwrap_or(1) {
            0 => Err(Error::failed(format!("{name}: expected at least one row, got none"))),
            rows => Ok(rows),
        }
    }
}
