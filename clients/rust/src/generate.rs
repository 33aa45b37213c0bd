//! generate: images of a seed.

use std::collections::HashMap;

use crate::axes::shown;
use crate::needs::{cannot, require_channels, require_kind};
use crate::{
    Bundle, DType, Engine, Error, Part, Result, Size, Tensor, TensorKind, TensorSpec, Values,
};

/// Images that `generate` asks for in one run.
const AT_ONCE: usize = 64;

impl<E: Engine> Bundle<E> {
    /// Open the part that `generate` runs. Fails if it does not make images of a seed.
    pub fn sampler(&self) -> Result<Part> {
        let part = self.part("sampler", "fp32")?;
        require_sampler(&part)?;
        Ok(part)
    }

    /// New images, uint8 [count, C, H, W]: image i of a seed is the same in every language. `label` is
    /// the class of all of them, for a sampler that takes one. Fails if there is no memory for so many,
    /// or for none at all.
    pub fn generate(
        &self,
        sampler: &mut Part,
        seed: i64,
        count: usize,
        label: Option<i64>,
    ) -> Result<Vec<u8>> {
        require_sampler(sampler)?;
        require_label(sampler, label)?;
        if count == 0 {
            return Err(Error::failed("expected at least one image to generate"));
        }
        let mut images: Vec<u8> = Vec::new();
        let shape = image_shape(sampler)?;
        let bytes = shape.iter().try_fold(count, |all, size| all.checked_mul(*size));
        let room = images.try_reserve_exact(bytes.unwrap_or(usize::MAX));
        room.map_err(|_| Error::failed(format!("there is no memory for {count} images")))?;
        for first in (0..count).step_by(AT_ONCE) {
            let inputs = inputs_of(sampler, seed, first, AT_ONCE.min(count - first), label)?;
            let found = sampler.run(&inputs)?;
            match found.get(&image_of(sampler)?.name).map(|tensor| &tensor.values) {
                Some(Values::Uint8(pixels)) => images.extend(pixels),
                _ => return Err(Error::failed("sampler: expected an output image of uint8")),
            }
        }
        Ok(images)
    }
}

/// [C, H, W] of a sampler's images.
pub(crate) fn image_shape(sampler: &Part) -> Result<[usize; 3]> {
    let spec = image_of(sampler)?;
    let sizes = spec.shape[1..].iter().map(|size| match size {
        Size::Fixed(size) => usize::try_from(*size).ok(),
        Size::Axis { .. } => None,
    });
    let sizes = sizes.collect::<Option<Vec<_>>>().and_then(|sizes| sizes.try_into().ok());
    sizes.ok_or_else(|| cannot(sampler, "generate")("images of one size", &spec.to_string()))
}

fn image_of(sampler: &Part) -> Result<&TensorSpec> {
    let outputs = &sampler.variant.outputs;
    outputs.iter().find(|spec| spec.name == "image").ok_or_else(|| {
        let names: Vec<_> = outputs.iter().map(|spec| spec.name.as_str()).collect();
        cannot(sampler, "generate")("an output image", &names.join(", "))
    })
}

/// The inputs are a seed, the indices and perhaps the labels; the output `image` is pixels.
fn require_sampler(part: &Part) -> Result<()> {
    let cannot = cannot(part, "generate");
    let inputs = &part.variant.inputs;
    let rows = &part.variant.outputs[0].shape[..1];
    require_kind(&cannot, "an input", &inputs[0], TensorKind::Seed)?;
    for (i, spec) in inputs.iter().enumerate() {
        let expected: &[Size] = match spec.kind {
            TensorKind::Seed => &[Size::Fixed(1)],
            TensorKind::Index | TensorKind::Label => rows,
            _ => {
                let got = format!("{} of {}", spec.name, spec.kind);
                return Err(cannot("inputs of the kinds seed, index and label", &got));
            }
        };
        if inputs[..i].iter().any(|before| before.kind == spec.kind) {
            return Err(cannot(&format!("one {}", spec.kind), "two"));
        }
        if spec.dtype != DType::Int64 || spec.shape != expected {
            let expected = format!("{} int64 {}", spec.name, shown(expected));
            return Err(cannot(&expected, &spec.to_string()));
        }
    }
    if !inputs.iter().any(|spec| spec.kind == TensorKind::Index) {
        return Err(cannot("an input of the kind index", "none"));
    }
    let image = image_of(part)?;
    require_kind(&cannot, "an output", image, TensorKind::Image)?;
    if image.dtype != DType::Uint8 {
        return Err(cannot("image of uint8", &image.to_string()));
    }
    require_channels(&cannot, image)?;
    image_shape(part).map(|_| ())
}

/// A label is given where the sampler takes one, and only there, and is in its range.
fn require_label(sampler: &Part, label: Option<i64>) -> Result<()> {
    let spec = sampler.variant.inputs.iter().find(|spec| spec.kind == TensorKind::Label);
    let allowed = |spec: &TensorSpec| match spec.range {
        Some([low, high]) => format!("{low} to {high}"),
        None => "a whole number".to_string(),
    };
    let inside = |spec: &TensorSpec, label: i64| {
        spec.range.is_none_or(|[low, high]| (low..=high).contains(&(label as f64)))
    };
    match (spec, label) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Error::usage("this sampler takes no --label: leave it out")),
        (Some(spec), None) => {
            Err(Error::usage(format!("this sampler needs --label, {}", allowed(spec))))
        }
        (Some(spec), Some(label)) if inside(spec, label) => Ok(()),
        (Some(spec), Some(label)) => {
            Err(Error::usage(format!("--label: expected {}, got {label}", allowed(spec))))
        }
    }
}

/// What a sampler takes for some of the images of a seed.
fn inputs_of(
    sampler: &Part,
    seed: i64,
    first: usize,
    count: usize,
    label: Option<i64>,
) -> Result<HashMap<String, Tensor>> {
    let input = |spec: &TensorSpec| {
        let values = match spec.kind {
            TensorKind::Seed => vec![seed],
            TensorKind::Index => (first..first + count).map(|i| i as i64).collect(),
            _ => vec![label.unwrap_or_default(); count],
        };
        let tensor = Tensor::new(&[values.len()], Values::Int64(values))?;
        Ok((spec.name.clone(), tensor))
    };
    sampler.variant.inputs.iter().map(input).collect()
}
