//! The engine tract: plain Rust, no native library.

use std::collections::HashMap;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_core::ops::change_axes::wire_with_rank_broadcast;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::{add, exp, neg, recip};
use tract_onnx::tract_core::ops::nn::Sigmoid;

use crate::axes::BATCH;
use crate::error::{caught, one_line};
use crate::{
    DType, Engine, Error, Graph, Kind, Outlet, Result, Size, Tensor, TensorSpec, Values, Variant,
};

const VERSION: &str = "0.23.9"; // as in Cargo.toml; tract does not tell
const NEWEST_OPSET: usize = 22; // the newest that aeonnx writes

/// tract, on one thread.
pub struct Tract;

impl Engine for Tract {
    fn version(&self) -> String {
        format!("tract {VERSION}")
    }

    fn open(&self, variant: &Variant, content: &[u8]) -> Result<Box<dyn Graph>> {
        let (file, opset) = (&variant.file, variant.opset);
        if opset > NEWEST_OPSET {
            return Err(Error::new(
                Kind::Environment,
                format!(
                    "{file} needs opset {opset}, this program knows tract {VERSION} up to opset \
                     {NEWEST_OPSET}: export it with --opset {NEWEST_OPSET}"
                ),
            ));
        }
        let mut content = content;
        let damaged = |reason: String| Error::failed(format!("{file} cannot be opened: {reason}"));
        let read = caught(|| tract_onnx::onnx().model_for_read(&mut content)).map_err(damaged)?;
        let read = read.map_err(|error| damaged(one_line(format!("{error:#}"))))?;
        let opened = || -> TractResult<OpenGraph> {
            let model = read.into_typed()?;
            let all = |outlets: &[OutletId], specs: &[TensorSpec]| {
                let all = outlets.iter().enumerate();
                let all = all.map(|(i, outlet)| outlet_of(&model, *outlet, specs.get(i)));
                all.collect::<TractResult<Vec<_>>>()
            };
            let inputs = all(model.input_outlets()?, &variant.inputs)?;
            let interface = (inputs, all(model.output_outlets()?, &variant.outputs)?);
            let model = exact(model)?;
            let plan = match counts_in_bits(&model) {
                true if variant.axes.keys().any(|axis| axis != BATCH) => Plan::OfSize(model),
                true => Plan::OfAny(model.into_runnable()?),
                false => Plan::OfAny(model.into_optimized()?.into_runnable()?),
            };
            Ok(OpenGraph { plan, interface, file: file.clone() })
        };
        let unsupported = |error: TractError| {
            let reason = one_line(format!("{error:#}"));
            let text = format!("{file}: tract {VERSION} cannot run it: {reason}");
            Error::new(Kind::Unsupported, text)
        };
        Ok(Box::new(caught(opened).map_err(damaged)?.map_err(unsupported)?))
    }
}

enum Plan {
    /// Axes stay symbols: one plan for any number of rows, and any size.
    OfAny(Arc<TypedRunnableModel>),
    /// A plan is made for the sizes that come: tract cuts random numbers by known sizes alone.
    OfSize(TypedModel),
}

struct OpenGraph {
    plan: Plan,
    interface: (Vec<Outlet>, Vec<Outlet>),
    file: String,
}

impl Graph for OpenGraph {
    fn interface(&self) -> (Vec<Outlet>, Vec<Outlet>) {
        self.interface.clone()
    }

    fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let run = || -> TractResult<Vec<Tensor>> {
            let values = inputs.iter().map(|tensor| value_of(tensor));
            let plan = match &self.plan {
                Plan::OfAny(plan) => plan.clone(),
                Plan::OfSize(model) => sized(model, inputs)?,
            };
            let outputs = plan.run(values.collect::<TractResult<_>>()?)?;
            outputs.iter().map(tensor_of).collect()
        };
        let failed = |reason: String| Error::failed(format!("{} failed: {reason}", self.file));
        let found = caught(run).map_err(failed)?;
        found.map_err(|error| failed(one_line(format!("{error:#}"))))
    }
}

/// The plan of a graph at the sizes of these inputs.
fn sized(model: &TypedModel, inputs: &[&Tensor]) -> TractResult<Arc<TypedRunnableModel>> {
    let mut sizes = HashMap::new();
    for (outlet, tensor) in model.input_outlets()?.iter().zip(inputs) {
        for (size, real) in model.outlet_fact(*outlet)?.shape.iter().zip(&tensor.shape) {
            if let TDim::Sym(symbol) = size {
                sizes.insert(symbol.clone(), real.to_dim());
            }
        }
    }
    model.set_symbols(&sizes)?.into_runnable()
}

/// Whether a graph draws random numbers: their hundred operations on integers take tract twenty
/// seconds to optimize, and a millisecond to run as they are.
fn counts_in_bits(model: &TypedModel) -> bool {
    model.nodes().iter().any(|node| node.op.name().contains("Shift"))
}

/// Sigmoid as 1 / (1 + exp(-x)) in float64: tract's own is a fraction of polynomials, off by more
/// than the sums of a whole graph.
fn exact(mut model: TypedModel) -> TractResult<TypedModel> {
    let is_sigmoid = |node: &&TypedNode| {
        let op = node.op_as::<ElementWiseOp>();
        op.is_some_and(|op| op.0.is::<Sigmoid>())
    };
    let found: Vec<_> = model.nodes().iter().filter(is_sigmoid).map(|node| node.id).collect();
    for id in found {
        let node = model.node(id);
        let named = |step: &str| format!("{}.{step}", node.name);
        let narrow = node.outputs[0].fact.datum_type;
        let mut patch = TypedModelPatch::default();
        let x = patch.taps(&model, &node.inputs)?;
        let x = patch.wire_node(named("wide"), cast(f64::datum_type()), &x)?;
        let x = patch.wire_node(named("neg"), neg(), &x)?;
        let x = patch.wire_node(named("exp"), exp(), &x)?;
        let one = patch.add_const(named("one"), tensor0(1f64))?;
        let x = wire_with_rank_broadcast(named("add"), &mut patch, add(), &[x[0], one])?;
        let x = patch.wire_node(named("recip"), recip(), &x)?;
        let x = patch.wire_node(named("narrow"), cast(narrow), &x)?;
        patch.shunt_outside(&model, id.into(), x[0])?;
        patch.apply(&mut model)?;
    }
    Ok(model)
}

/// tract writes a size as its own formula, "(height+7)/8" for what the graph calls "height/8": where
/// the manifest has an axis too, it is taken for that, and compared when the graph runs.
fn outlet_of(
    model: &TypedModel,
    outlet: OutletId,
    expected: Option<&TensorSpec>,
) -> TractResult<Outlet> {
    let fact = model.outlet_fact(outlet)?;
    let own = model.node(outlet.node).name.as_str();
    let name = model.outlet_label(outlet).unwrap_or(own).to_string();
    let known = match fact.datum_type {
        DatumType::F32 => Some(DType::Float32),
        DatumType::U8 => Some(DType::Uint8),
        DatumType::I64 => Some(DType::Int64),
        DatumType::F16 => Some(DType::Float16),
        DatumType::F64 => Some(DType::Float64),
        DatumType::I32 => Some(DType::Int32),
        DatumType::Bool => Some(DType::Bool),
        _ => None,
    };
    let dtype = known.map_or_else(|| format!("{:?}", fact.datum_type), |known| known.to_string());
    let size = |(place, size): (usize, &TDim)| {
        let expected = expected.and_then(|spec| spec.shape.get(place));
        match (size.to_i64(), expected) {
            (Err(_), Some(axis @ Size::Axis { .. })) => axis.to_string(),
            _ => size.to_string(),
        }
    };
    Ok(Outlet { name, dtype, shape: fact.shape.iter().enumerate().map(size).collect() })
}

fn value_of(tensor: &Tensor) -> TractResult<TValue> {
    use tract_onnx::prelude::Tensor as Value;
    let shape = tensor.shape.as_slice();
    Ok(match &tensor.values {
        Values::Float32(list) => Value::from_shape(shape, list)?.into(),
        Values::Uint8(list) => Value::from_shape(shape, list)?.into(),
        Values::Int64(list) => Value::from_shape(shape, list)?.into(),
        Values::Float64(list) => Value::from_shape(shape, list)?.into(),
        Values::Int32(list) => Value::from_shape(shape, list)?.into(),
        Values::Bool(list) => Value::from_shape(shape, list)?.into(),
    })
}

fn tensor_of(value: &TValue) -> TractResult<Tensor> {
    fn list<T: Datum + Copy>(value: &TValue) -> TractResult<Vec<T>> {
        Ok(value.to_plain_array_view::<T>()?.iter().copied().collect())
    }
    let values = match value.datum_type() {
        DatumType::U8 => Values::Uint8(list(value)?),
        DatumType::I64 => Values::Int64(list(value)?),
        DatumType::F64 => Values::Float64(list(value)?),
        DatumType::I32 => Values::Int32(list(value)?),
        // A graph can hold bytes other than 0 and 1 for booleans, which Rust's may not have.
        DatumType::Bool => {
            let bytes = value.try_as_plain_ram()?.as_bytes();
            Values::Bool(bytes.iter().map(|byte| *byte != 0).collect())
        }
        _ => Values::Float32(list(value)?),
    };
    Ok(Tensor { shape: value.shape().to_vec(), values })
}
