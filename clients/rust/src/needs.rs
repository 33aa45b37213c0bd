//! What a verb needs of a part, which is asked of the manifest before the graph runs.

use crate::axes::shown;
use crate::pixels::Scale;
use crate::{DType, Error, Part, Result, Size, TensorKind, TensorSpec};

/// The error of a part that does not do what a verb needs.
pub(crate) fn cannot(part: &Part, verb: &str) -> impl Fn(&str, &str) -> Error + use<> {
    let text = format!("this bundle's {} cannot {verb}: expected", part.name());
    move |expected, got| Error::failed(format!("{text} {expected}, got {got}"))
}

/// "image [batch, 1, 28, 28]"
pub(crate) fn kind_and_shape(spec: &TensorSpec) -> String {
    format!("{} {}", spec.kind, shown(&spec.shape))
}

/// `what` is "an input" or "an output".
pub(crate) fn require_kind(
    cannot: &impl Fn(&str, &str) -> Error,
    what: &str,
    spec: &TensorSpec,
    kind: TensorKind,
) -> Result<()> {
    if spec.kind == kind {
        return Ok(());
    }
    let got = format!("{} of {}", spec.name, spec.kind);
    Err(cannot(&format!("{what} of the kind {kind}"), &got))
}

/// An image of as many channels as a picture can have.
pub(crate) fn require_channels(
    cannot: &impl Fn(&str, &str) -> Error,
    spec: &TensorSpec,
) -> Result<()> {
    match &spec.shape[1] {
        Size::Fixed(1..=4) => Ok(()),
        channels => Err(cannot("1 to 4 channels", &channels.to_string())),
    }
}

/// Values that pixels stand for: of float images, those of their range.
pub(crate) fn require_pixels(
    cannot: &impl Fn(&str, &str) -> Error,
    spec: &TensorSpec,
) -> Result<()> {
    let name = &spec.name;
    match spec.dtype {
        DType::Uint8 => return Ok(()),
        DType::Float32 if scale_of(spec).is_some() => return Ok(()),
        DType::Float32 => {}
        _ => return Err(cannot(&format!("{name} of float32 or uint8"), &spec.to_string())),
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
pub(crate) fn scale_of(spec: &TensorSpec) -> Option<Scale> {
    Scale::of(spec.range.filter(|_| spec.dtype == DType::Float32))
}
