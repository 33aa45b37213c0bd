//! What a verb needs of a part, which is asked of the manifest before the graph runs.

use crate::axes::shown;
use crate::pixels::scale_of;
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

/// A label is given where the part takes one, and only there, and is in its range.
pub(crate) fn require_label(part: &Part, label: Option<i64>) -> Result<()> {
    let name = part.name();
    let spec = part.variant.inputs.iter().find(|spec| spec.kind == TensorKind::Label);
    let allowed = |spec: &TensorSpec, before: &str| match spec.range {
        Some([low, high]) => format!("{before}{low} to {high}"),
        None => String::new(),
    };
    let inside = |spec: &TensorSpec, label: i64| match spec.range {
        Some([low, high]) => (low..=high).contains(&(label as f64)),
        None => label >= 0,
    };
    match (spec, label) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Error::usage(format!("this {name} takes no --label: leave it out"))),
        (Some(spec), None) => {
            Err(Error::usage(format!("this {name} needs --label{}", allowed(spec, ", "))))
        }
        (Some(spec), Some(label)) if inside(spec, label) => Ok(()),
        (Some(spec), Some(label)) => {
            let expected =
                spec.range.map_or(" of 0 or more".to_string(), |_| allowed(spec, " from "));
            Err(Error::usage(format!("--label: expected a whole number{expected}, got {label}")))
        }
    }
}
