//! generate: images of a seed.

use std::collections::HashMap;

use crate::axes::{shown, solve};
use crate::needs::{cannot, require_channels, require_kind, require_label};
use crate::part::with_rows;
use crate::tiles::{LARGEST_WHOLE, values_of_row};
use crate::{
    Bundle, DType, Engine, Error, Part, Result, Size, Sizes, Tensor, TensorKind, TensorSpec, Values,
};

/// Most images that `generate` asks for in one run.
const AT_ONCE: u64 = 64;

impl<E: Engine> Bundle<E> {
    /// Open the part that `generate` runs. Fails if it does not make images of a seed.
    pub fn sampler(&self) -> Result<Part> {
        let part = self.part("sampler", "fp32")?;
        require_sampler(&part)?;
        Ok(part)
    }

    /// New images, uint8 [count, C, H, W]: image i of a seed is the same in every language. `label` is
    /// the class of all of them, for a sampler that takes one. `size`, such as [height, width], is for
    /// images that may have any; without it they have that of the first golden vectors, see
    /// [`Part::image_shape`]. Fails if there is no memory for so many, or for none at all.
    pub fn generate(
        &self,
        sampler: &mut Part,
        seed: i64,
        count: usize,
        label: Option<i64>,
        size: Option<&[usize]>,
    ) -> Result<Vec<u8>> {
        require_sampler(sampler)?;
        require_label(sampler, label)?;
        let sizes = sizes_of(sampler, size)?;
        if count == 0 {
            return Err(Error::failed("expected at least one image to generate"));
        }
        sampler.require_room(&with_rows(&sizes, 1))?;
        let mut images: Vec<u8> = Vec::new();
        let shape = sampler.image_shape(size)?;
        let bytes = shape.iter().try_fold(count, |all, size| all.checked_mul(*size));
        let room = images.try_reserve_exact(bytes.unwrap_or(usize::MAX));
        room.map_err(|_| Error::failed(format!("there is no memory for {count} images")))?;
        let at_once = at_once(sampler, &sizes);
        for first in (0..count).step_by(at_once) {
            let sizes = with_rows(&sizes, at_once.min(count - first));
            let found = sampler.run(&inputs_of(sampler, &sizes, seed, first, label)?)?;
            match found.get(&image_of(sampler)?.name).map(|tensor| &tensor.values) {
                Some(Values::Uint8(pixels)) => images.extend(pixels),
                _ => return Err(Error::failed("sampler: expected an output image of uint8")),
            }
        }
        Ok(images)
    }
}

impl Part {
    /// [C, H, W] of a sampler's images, where they have this size, such as [height, width]; None is
    /// that of the first golden vectors. Fails if they cannot have it, or this is no sampler.
    pub fn image_shape(&self, size: Option<&[usize]>) -> Result<[usize; 3]> {
        let image = image_of(self)?;
        let shape = self.shape_of(image, &sizes_of(self, size)?)?;
        let sizes = shape[1..].try_into();
        sizes.map_err(|_| cannot(self, "generate")("an image", &image.to_string()))
    }
}

/// The sizes of all axes where a sampler's images have this size; None is that of the first golden
/// vectors.
fn sizes_of(sampler: &Part, size: Option<&[usize]>) -> Result<Sizes> {
    let (image, variant) = (image_of(sampler)?, &sampler.variant);
    let stored = &variant.golden[0].outputs[&image.name].shape;
    let known = solve(&[(&image.name, &image.with_any_rows().shape, stored)], &variant.axes);
    let mut sizes = known.map_err(Error::failed)?;
    let Some(size) = size else { return Ok(sizes) };
    let axes = image.shape.iter().skip(2).filter(|size| size.axis().is_some());
    let axes: Vec<_> = axes.cloned().collect();
    if axes.is_empty() {
        return Err(Error::usage("size: expected none, the images of this bundle have one size"));
    }
    if axes.len() != size.len() {
        let (names, got) = (joined(&axes, " and "), joined(size, "x"));
        let numbers = if axes.len() == 1 { "1 number" } else { &format!("{} numbers", axes.len()) };
        return Err(Error::usage(format!("size: expected {numbers}, {names}, got {got}")));
    }
    sizes.extend(solve(&[("size", &axes, size)], &variant.axes).map_err(Error::usage)?);
    Ok(sizes)
}

fn joined(items: &[impl ToString], between: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

/// Images to ask for in one run: fewer where they are large.
fn at_once(sampler: &Part, sizes: &Sizes) -> usize {
    let row = values_of_row(&sampler.variant, sizes).max(1);
    let images = (LARGEST_WHOLE / row).clamp(1, AT_ONCE) as usize;
    images.max(sampler.variant.fixed_rows().unwrap_or(1))
}

fn image_of(sampler: &Part) -> Result<&TensorSpec> {
    let outputs = &sampler.variant.outputs;
    outputs.iter().find(|spec| spec.name == "image").ok_or_else(|| {
        let names: Vec<_> = outputs.iter().map(|spec| spec.name.as_str()).collect();
        cannot(sampler, "generate")("an output image", &names.join(", "))
    })
}

/// The inputs are a seed, the indices and perhaps a canvas and the labels; the output `image` is pixels,
/// as many as the canvas has.
fn require_sampler(part: &Part) -> Result<()> {
    let cannot = cannot(part, "generate");
    let inputs = &part.variant.inputs;
    let image = image_of(part)?;
    require_kind(&cannot, "an output", image, TensorKind::Image)?;
    let rows = image.shape[..1].to_vec();
    require_kind(&cannot, "an input", &inputs[0], TensorKind::Seed)?;
    for (i, spec) in inputs.iter().enumerate() {
        let (dtype, shape) = match spec.kind {
            TensorKind::Seed => (DType::Int64, vec![Size::Fixed(1)]),
            TensorKind::Index | TensorKind::Label => (DType::Int64, rows.clone()),
            TensorKind::Canvas => (DType::Uint8, [&rows, &image.shape[2..]].concat()),
            _ => {
                let got = format!("{} of {}", spec.name, spec.kind);
                let kinds = "inputs of the kinds seed and index, and canvas and label at most";
                return Err(cannot(kinds, &got));
            }
        };
        if inputs[..i].iter().any(|before| before.kind == spec.kind) {
            return Err(cannot(&format!("one {}", spec.kind), "two"));
        }
        if spec.dtype != dtype || spec.shape != shape {
            let expected = format!("{} {dtype} {}", spec.name, shown(&shape));
            return Err(cannot(&expected, &spec.to_string()));
        }
    }
    if !inputs.iter().any(|spec| spec.kind == TensorKind::Index) {
        return Err(cannot("an input of the kind index", "none"));
    }
    if image.dtype != DType::Uint8 {
        return Err(cannot("image of uint8", &image.to_string()));
    }
    require_channels(&cannot, image)
}

/// What a sampler takes for some of the images of a seed, as many as `sizes` has rows.
fn inputs_of(
    sampler: &Part,
    sizes: &Sizes,
    seed: i64,
    first: usize,
    label: Option<i64>,
) -> Result<HashMap<String, Tensor>> {
    let input = |spec: &TensorSpec| {
        let shape = sampler.shape_of(spec, sizes)?;
        let numbers = |value: &dyn Fn(usize) -> i64| {
            Tensor::new(&shape, Values::Int64((0..shape[0]).map(value).collect()))
        };
        let tensor = match spec.kind {
            TensorKind::Canvas => Tensor::new(&[0], Values::Uint8(vec![]))?.zeros_like(&shape),
            TensorKind::Seed => numbers(&|_| seed),
            TensorKind::Index => numbers(&|i| (first + i) as i64),
            _ => numbers(&|_| label.unwrap_or_default()),
        };
        Ok((spec.name.clone(), tensor?))
    };
    sampler.inputs().iter().map(input).collect()
}
