//! Pictures in memory; float images in a range <-> uint8 pixels, in the arithmetic of the graphs that
//! take pixels.

use crate::{DType, Result, Tensor, TensorSpec, Values};

/// A picture in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// [C, H, W], C of 1 to 4: grey, grey and alpha, RGB, or RGB and alpha.
    pub shape: [usize; 3],
    /// Channel by channel, row by row.
    pub pixels: Vec<u8>,
}

/// How floats of this tensor become pixels; None if they do not, or it has pixels already.
pub(crate) fn scale_of(spec: &TensorSpec) -> Option<Scale> {
    Scale::of(spec.range.filter(|_| spec.dtype == DType::Float32))
}

/// Pixels as a tensor has them: as floats of its range, if it has floats.
pub(crate) fn tensor_of(spec: &TensorSpec, shape: &[usize], pixels: Vec<u8>) -> Result<Tensor> {
    let values = match scale_of(spec) {
        Some(scale) => Values::Float32(pixels.into_iter().map(|p| scale.value(p)).collect()),
        None => Values::Uint8(pixels),
    };
    Tensor::new(shape, values)
}

/// Where pixels lie in a range: 0 is its lowest value, 255 its highest. All in float32.
pub(crate) struct Scale {
    low: f32,
    high: f32,
    width: f32,
}

impl Scale {
    /// None without a range, and for one whose width is not a float32 above 0.
    pub(crate) fn of(range: Option<[f64; 2]>) -> Option<Self> {
        let [low, high] = range?.map(|end| end as f32);
        let width = high - low;
        (width > 0.0 && width.is_finite()).then_some(Self { low, high, width })
    }

    pub(crate) fn value(&self, pixel: u8) -> f32 {
        self.low + f32::from(pixel) / 255.0 * self.width
    }

    /// The nearest pixel, ties to even; values outside of the range are clipped. NaN is no pixel.
    pub(crate) fn pixel(&self, value: f32) -> Option<u8> {
        let share = (value.clamp(self.low, self.high) - self.low) / self.width;
        (!share.is_nan()).then(|| (share * 255.0).round_ties_even() as u8)
    }
}
