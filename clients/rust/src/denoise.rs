//! denoise: pictures of the size that the graph is fixed to, or of any size where its axes are.

use std::collections::HashMap;
use std::ops::Range;

use crate::axes::solve;
use crate::needs::{cannot, kind_and_shape, require_channels, require_kind, require_pixels};
use crate::pixels::{scale_of, tensor_of};
use crate::tiles::{inputs_of, outputs_of, sizes_of, tiles};
use crate::variant::is_like;
use crate::{
    Bundle, DType, Engine, Error, Part, Picture, Result, Size, Sizes, Tensor, TensorKind,
    TensorSpec, Values,
};

impl<E: Engine> Bundle<E> {
    /// Open the part that `denoise` runs: on pixels where the bundle has that, else on floats. Fails
    /// if it does not make an image of an image.
    pub fn denoiser(&self) -> Result<Part> {
        let pixels = self.has("denoiser", "fp32-uint8");
        let part = self.part("denoiser", if pixels { "fp32-uint8" } else { "fp32" })?;
        require_denoiser(&part)?;
        Ok(part)
    }

    /// A picture without its noise, of the same size. One whose size the axes of the denoiser do not
    /// allow is padded by reflection at the bottom and at the right; a large one runs in tiles, of which
    /// one is in memory at a time.
    pub fn denoise(&self, denoiser: &mut Part, picture: &Picture) -> Result<Picture> {
        require_denoiser(denoiser)?;
        let input = denoiser.variant.inputs[0].clone();
        let output = denoiser.variant.outputs[0].clone();
        let [channels, height, width] = picture.shape;
        let values = picture.shape.iter().try_fold(1_usize, |all, size| all.checked_mul(*size));
        if values != Some(picture.pixels.len()) || picture.pixels.is_empty() {
            let (shape, got) = (picture.shape, picture.pixels.len());
            return Err(Error::failed(format!(
                "expected a picture of {shape:?}, got {got} values"
            )));
        }
        let sizes = sizes_for(denoiser, &input, [1, channels, height, width])?;
        let pixel = Tensor::new(&[1, 1, 1, 1], Values::Uint8(vec![0]))?;
        let mut made = pixel.zeros_like(&[1, channels, height, width])?;
        for tile in tiles(&denoiser.variant, &sizes) {
            let (mut there, mut here) = outputs_of(&tile, &output.shape, &made.shape);
            if there[2].start >= height || there[3].start >= width {
                continue; // padding alone
            }
            let own = sizes_of(&tile, &sizes);
            denoiser.require_room(&own)?;
            let places = inputs_of(&tile, &input.shape, &made.shape);
            let found = denoiser.run(&HashMap::from([(
                input.name.clone(),
                values_of(&input, picture, &places)?,
            )]))?;
            let found = pixels_of(&output, &found[&output.name])?;
            for (axis, end) in [(2, height), (3, width)] {
                there[axis].end = there[axis].end.min(end);
                here[axis].end = here[axis].start + there[axis].len();
            }
            made.put(&there, &found, &here);
        }
        match made.values {
            Values::Uint8(pixels) => Ok(Picture { shape: picture.shape, pixels }),
            _ => unreachable!("it was made of pixels"),
        }
    }
}

fn require_denoiser(part: &Part) -> Result<()> {
    let cannot = cannot(part, "denoise");
    let (inputs, output) = (&part.variant.inputs, &part.variant.outputs[0]);
    let [input] = inputs.as_slice() else {
        let names: Vec<_> = inputs.iter().map(|spec| spec.name.as_str()).collect();
        let got = format!("{}: {}", names.len(), names.join(", "));
        return Err(cannot("1 input", &got));
    };
    require_kind(&cannot, "an input", input, TensorKind::Image)?;
    require_kind(&cannot, "an output", output, TensorKind::Image)?;
    if input.shape != output.shape {
        let (name, shape) = (&input.name, kind_and_shape(input));
        let expected = format!("{} of the shape of {name}, {shape}", output.name);
        return Err(cannot(&expected, &kind_and_shape(output)));
    }
    require_channels(&cannot, input)?;
    require_pixels(&cannot, input)?;
    require_pixels(&cannot, output)
}

/// The sizes of the axes that a picture, uint8 [1, C, H, W], is padded to: the smallest that it fits in.
fn sizes_for(part: &Part, input: &TensorSpec, picture: [usize; 4]) -> Result<Sizes> {
    let mut wanted = Sizes::new();
    for (size, given) in input.shape.iter().zip(picture).skip(2) {
        let Size::Axis { axis, factor, divisor } = size else { continue };
        let least = (given as u64).saturating_mul(*divisor).div_ceil(*factor);
        // Above the largest size it stays as it is, and the error below says so.
        if let Some(allowed) = part.variant.axes[axis].at_least(least) {
            let before = wanted.entry(axis.clone()).or_insert(0);
            *before = allowed.max(*before);
        }
    }
    let padded = input.shape.iter().zip(picture).map(|(size, given)| {
        let size = size.axis().and_then(|axis| wanted.get(axis)).map(|allowed| size.at(*allowed));
        size.map_or(given, |size| usize::try_from(size).unwrap_or(usize::MAX))
    });
    let (shape, padded) = (&part.inputs()[0].shape, padded.collect::<Vec<_>>());
    if !is_like(shape, &padded) {
        return Err(part.refused(&part.inputs()[0], DType::Uint8, &picture));
    }
    let solved = solve(&[(&input.name, shape, &padded)], &part.variant.axes);
    solved.map_err(|reason| Error::failed(format!("{}: {reason}", part.name())))
}

/// The places of a padded picture as the graph takes them.
fn values_of(input: &TensorSpec, picture: &Picture, places: &[Range<usize>]) -> Result<Tensor> {
    let [_, height, width] = picture.shape;
    let shape: Vec<_> = places.iter().map(ExactSizeIterator::len).collect();
    let mut pixels = Vec::with_capacity(shape.iter().product());
    for channel in places[1].clone() {
        for row in places[2].clone() {
            let start = (channel * height + reflected(row, height)) * width;
            let row = &picture.pixels[start..start + width];
            pixels.extend(places[3].clone().map(|column| row[reflected(column, width)]));
        }
    }
    tensor_of(input, &shape, pixels)
}

/// Where a place of a padded axis is in the picture: behind its end it is mirrored, again and again,
/// and the last place is not repeated.
fn reflected(place: usize, size: usize) -> usize {
    match place {
        inside if inside < size => inside,
        _ if size == 1 => 0,
        behind => {
            let period = 2 * (size - 1);
            let place = behind % period;
            place.min(period - place)
        }
    }
}

/// What the graph gave, as uint8. Fails if there is NaN.
fn pixels_of(output: &TensorSpec, found: &Tensor) -> Result<Tensor> {
    let pixels = match (&found.values, scale_of(output)) {
        (Values::Uint8(pixels), _) => Some(pixels.clone()),
        (Values::Float32(values), Some(scale)) => values.iter().map(|v| scale.pixel(*v)).collect(),
        _ => return Err(Error::failed("denoiser: expected float32 or uint8 images")),
    };
    let pixels = pixels.ok_or_else(|| Error::failed("denoiser gave NaN, which is no pixel"))?;
    Tensor::new(&found.shape, Values::Uint8(pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numpy.pad(numpy.arange(n), (0, 13 - n), mode="reflect")
    #[test]
    fn places_behind_the_end_are_mirrored() {
        let padded = |size| (0..13).map(|place| reflected(place, size)).collect::<Vec<_>>();
        assert_eq!(padded(1), [0; 13]);
        assert_eq!(padded(2), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(padded(4), [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert_eq!(padded(7), [0, 1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(padded(12)[11..], [11, 10]);
    }
}
