//! What programs do with pictures: denoise and generate; and what they need of a part for it.

use std::collections::HashMap;

use crate::manifest::sizes_of;
use crate::pixels::Scale;
use crate::{Bundle, DType, Engine, Error, Part, Result, Size, Tensor, TensorSpec, Values};

/// Images that `generate` asks for in one run.
const AT_ONCE: usize = 64;

impl<E: Engine> Bundle<E> {
    /// Open the part that `denoise` runs: on pixels where the bundle has that, else on floats. Fails
    /// if it does not make an image of an image.
    pub fn denoiser(&self) -> Result<Part> {
        let pixels = self.has("denoiser", "fp32-uint8");
        let part = self.part("denoiser", if pixels { "fp32-uint8" } else { "fp32" })?;
        self.require_denoiser(&part)?;
        Ok(part)
    }

    /// An image without its noise: uint8 [C, H, W] -> uint8 [C, H, W].
    pub fn denoise(&self, denoiser: &mut Part, pixels: &[u8]) -> Result<Vec<u8>> {
        self.require_denoiser(denoiser)?;
        let [channels, height, width] = self.manifest.input_shape;
        let input = denoiser.variant.inputs[0].clone();
        let output = denoiser.variant.outputs[0].clone();
        let values = match scale_of(&input) {
            Some(scale) => Values::Float32(pixels.iter().map(|p| scale.value(*p)).collect()),
            None => Values::Uint8(pixels.to_vec()),
        };
        let x = Tensor::new(&[1, channels, height, width], values)?;
        let mut found = denoiser.run(&HashMap::from([(input.name, x)]))?;
        match (found.remove(&output.name).map(|tensor| tensor.values), scale_of(&output)) {
            (Some(Values::Uint8(pixels)), _) => Ok(pixels),
            (Some(Values::Float32(values)), Some(scale)) => {
                Ok(values.into_iter().map(|value| scale.pixel(value)).collect())
            }
            _ => Err(Error::failed("denoiser: expected float32 or uint8 images")),
        }
    }

    /// Open the part that `generate` runs. Fails if it does not make images of a seed.
    pub fn sampler(&self) -> Result<Part> {
        let part = self.part("sampler", "fp32")?;
        let cannot = cannot(&part, "generate");
        let (inputs, outputs) = (&part.variant.inputs, &part.variant.outputs);
        let named =
            |specs: &[TensorSpec], name: &str| specs.iter().find(|spec| spec.name == name).cloned();
        let rows = rows_of(&outputs[0]);
        require(&cannot, seed_of(&[Size::Fixed(1)]), named(inputs, "seed"))?;
        let index = TensorSpec { name: "index".to_string(), ..seed_of(&[rows]) };
        require(&cannot, index, named(inputs, "index"))?;
        if inputs.len() != 2 {
            return Err(cannot("2 inputs", &inputs.len().to_string()));
        }
        let image = self.image("image", DType::Uint8, rows);
        require(&cannot, image, named(outputs, "image"))?;
        self.require_channels(&part, "generate")?;
        Ok(part)
    }

    /// New images, uint8 [count, C, H, W]: image i of a seed is the same in every language. Fails if
    /// there is no memory for so many, or for none at all.
    pub fn generate(&self, seed: i64, count: usize) -> Result<Vec<u8>> {
        let mut sampler = self.sampler()?;
        if count == 0 {
            return Err(Error::failed("expected at least one image to generate"));
        }
        let mut images: Vec<u8> = Vec::new();
        let bytes =
            self.manifest.input_shape.iter().try_fold(count, |all, size| all.checked_mul(*size));
        let room = images.try_reserve_exact(bytes.unwrap_or(usize::MAX));
        room.map_err(|_| Error::failed(format!("there is no memory for {count} images")))?;
        let seed = Tensor::new(&[1], Values::Int64(vec![seed]))?;
        for first in (0..count).step_by(AT_ONCE) {
            let index = (first..count.min(first + AT_ONCE)).map(|i| i as i64).collect();
            let index = Tensor::new(&[AT_ONCE.min(count - first)], Values::Int64(index))?;
            let inputs = [("seed".to_string(), seed.clone()), ("index".to_string(), index)];
            let mut found = sampler.run(&HashMap::from(inputs))?;
            match found.remove("image").map(|tensor| tensor.values) {
                Some(Values::Uint8(pixels)) => images.extend(pixels),
                _ => return Err(Error::failed("sampler: expected an output image of uint8")),
            }
        }
        Ok(images)
    }

    fn require_denoiser(&self, part: &Part) -> Result<()> {
        let cannot = cannot(part, "denoise");
        let (inputs, outputs) = (&part.variant.inputs, &part.variant.outputs);
        let [input] = inputs.as_slice() else {
            return Err(cannot("1 input", &inputs.len().to_string()));
        };
        let dtype = if input.dtype == DType::Uint8 { DType::Uint8 } else { DType::Float32 };
        let rows = rows_of(input);
        for spec in [input, &outputs[0]] {
            require(&cannot, self.image(&spec.name, dtype, rows), Some(spec.clone()))?;
            require_pixels(&cannot, spec)?;
        }
        self.require_channels(part, "denoise")
    }

    fn require_channels(&self, part: &Part, verb: &str) -> Result<()> {
        match self.manifest.input_shape[0] {
            1..=4 => Ok(()),
            channels => Err(cannot(part, verb)("1 to 4 channels", &channels.to_string())),
        }
    }

    /// What an image of this bundle is.
    fn image(&self, name: &str, dtype: DType, rows: Size) -> TensorSpec {
        let shape = [rows].into_iter().chain(self.manifest.input_shape.map(Size::Fixed)).collect();
        TensorSpec { name: name.to_string(), dtype, shape, range: None }
    }
}

/// The error of a part that does not do what a verb needs.
fn cannot(part: &Part, verb: &str) -> impl Fn(&str, &str) -> Error + use<> {
    let text = format!("this bundle's {} cannot {verb}: expected", part.name());
    move |expected, got| Error::failed(format!("{text} {expected}, got {got}"))
}

fn require(
    cannot: &impl Fn(&str, &str) -> Error,
    expected: TensorSpec,
    got: Option<TensorSpec>,
) -> Result<()> {
    let kind = |spec: &TensorSpec| format!("{} {}", spec.dtype, sizes_of(&spec.shape));
    let wanted = kind(&expected);
    match got.as_ref().map(kind) {
        Some(found) if found == wanted => Ok(()),
        found => {
            let found = found.unwrap_or("nothing".to_string());
            Err(cannot(&format!("{} {wanted}", expected.name), &found))
        }
    }
}

/// Values that pixels stand for: of float images, those of their range.
fn require_pixels(cannot: &impl Fn(&str, &str) -> Error, spec: &TensorSpec) -> Result<()> {
    if spec.dtype == DType::Uint8 || scale_of(spec).is_some() {
        return Ok(());
    }
    let got = match spec.range {
        Some([low, high]) => format!("one in [{low}, {high}]"),
        None => "one of any range".to_string(),
    };
    let expected = format!("{spec} in a range [low, high] whose width is a float32 above 0");
    let instead = "export it with such a range, or take its floats with the library's run";
    Err(cannot(&expected, &format!("{got}: {instead}")))
}

/// How floats of this tensor become pixels; None if they do not, or it has pixels already.
fn scale_of(spec: &TensorSpec) -> Option<Scale> {
    Scale::of(spec.range.filter(|_| spec.dtype == DType::Float32))
}

fn rows_of(spec: &TensorSpec) -> Size {
    spec.shape.first().copied().unwrap_or(Size::Batch)
}

fn seed_of(shape: &[Size]) -> TensorSpec {
    let (dtype, shape) = (DType::Int64, shape.to_vec());
    TensorSpec { name: "seed".to_string(), dtype, shape, range: None }
}
