//! score: how unlike those of the training each row is.

use std::collections::HashMap;

use crate::axes::shown;
use crate::needs::{cannot, kind_and_shape, require_channels, require_label, require_pixels};
use crate::pixels::tensor_of;
use crate::{
    Bundle, DType, Engine, Error, NormalScores, Part, Picture, Result, Tensor, TensorKind,
    TensorSpec, Values, listed,
};

/// What rows can be.
const KINDS: [TensorKind; 5] = [
    TensorKind::Image,
    TensorKind::Signal,
    TensorKind::Volume,
    TensorKind::Vector,
    TensorKind::Other,
];

/// What scores are compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Threshold {
    Number(f64),
    /// A percentile of the manifest, such as "p99".
    Named(String),
}

/// Scores of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The larger, the less a row is like those of the training; infinite where the network overflows.
    pub scores: Vec<f32>,
    /// The share of normal rows with a lower score, in %; None if the manifest does not say what
    /// normal rows score.
    pub percentiles: Option<Vec<f64>>,
    /// Whether a score is above the threshold.
    pub odd: Vec<bool>,
    /// That the scores were compared with.
    pub threshold: f64,
}

impl From<f64> for Threshold {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Threshold {
    /// A number if the text is one.
    fn from(text: &str) -> Self {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map_or_else(|| Self::Named(text.to_string()), Self::Number)
    }
}

impl<E: Engine> Bundle<E> {
    /// Open the part that `score` runs. Fails if it does not give a score of each row.
    pub fn scorer(&self) -> Result<Part> {
        let part = self.part("scorer", "fp32")?;
        require_scorer(&part)?;
        Ok(part)
    }

    /// Score rows, of which there may be any number above 0; [`Part::tensor_of`] makes one of a picture.
    /// `threshold` is a number or the name of a percentile, such as "p99". `label` is the class of all
    /// rows, for a scorer that takes one. Values outside of the input's range are scored too; NaN and
    /// infinity are refused, but for NaN where values may be missing, if there is another one in its row.
    pub fn score(
        &self,
        scorer: &mut Part,
        rows: Tensor,
        threshold: impl Into<Threshold>,
        label: Option<i64>,
    ) -> Result<Scores> {
        require_scorer(scorer)?;
        require_label(scorer, label)?;
        let threshold = scorer.threshold(threshold)?;
        let mut inputs = HashMap::new();
        if let Some(label) = label {
            let labels = Tensor::new(&[rows.rows()], Values::Int64(vec![label; rows.rows()]))?;
            inputs.insert(scorer.inputs()[1].name.clone(), labels);
        }
        let first = scorer.inputs()[0].clone();
        inputs.insert(first.name.clone(), rows);
        scorer.sizes_in(&inputs)?;
        scorer.extremes_of(&first, &inputs[&first.name])?;
        require_some_values(&first, &inputs[&first.name])?;
        let name = score_of(scorer)?.name.clone();
        let found = scorer.run(&inputs)?.remove(&name).map(|tensor| tensor.values);
        let Some(Values::Float32(mut scores)) = found else {
            return Err(Error::failed("scorer: expected scores of float32"));
        };
        // Of a network that overflows: NaN would be above no threshold.
        for score in scores.iter_mut().filter(|score| score.is_nan()) {
            *score = f32::INFINITY;
        }
        // As a float32: the text of a score, given as the threshold, is that score.
        let odd = scores.iter().map(|score| *score > threshold as f32).collect();
        let share = |normal: &NormalScores| scores.iter().map(|s| normal.percentile(*s)).collect();
        let percentiles = scorer.variant.normal.get(&name).map(share);
        Ok(Scores { scores, percentiles, odd, threshold })
    }
}

impl Part {
    /// The number that a threshold of a scorer stands for. Fails if it is none, or the manifest does not
    /// have a percentile of that name.
    pub fn threshold(&self, threshold: impl Into<Threshold>) -> Result<f64> {
        let known = self.variant.percentiles.get(&score_of(self)?.name);
        let known = known.filter(|known| !known.is_empty());
        let got = match threshold.into() {
            Threshold::Number(number) if number.is_finite() => return Ok(number),
            Threshold::Number(number) => number.to_string(),
            Threshold::Named(name) => name,
        };
        match known {
            Some(known) => known.get(&got).copied().ok_or_else(|| {
                let names = listed(known.keys());
                Error::usage(format!("threshold: expected {names} or a number, got {got}"))
            }),
            None if is_percentile(&got) => Err(Error::failed(format!(
                "threshold {got}: the manifest says nothing about the scores of normal images: \
                 give a number, or export again with --calibration IMAGES"
            ))),
            None => Err(Error::usage(format!("threshold: expected a number, got {got}"))),
        }
    }

    /// A picture as one row of the first input. Fails if that is no image that a picture can be.
    pub fn tensor_of(&self, picture: &Picture) -> Result<Tensor> {
        self.require_pictures()?;
        let [channels, height, width] = picture.shape;
        let shape = [1, channels, height, width];
        tensor_of(&self.variant.inputs[0], &shape, picture.pixels.clone())
    }

    /// Fails if a picture cannot be a row of the first input.
    pub(crate) fn require_pictures(&self) -> Result<()> {
        let (cannot, input) = (cannot(self, "take pictures"), &self.inputs()[0]);
        let is_image = input.kind == TensorKind::Image
            && require_channels(&cannot, input).is_ok()
            && require_pixels(&cannot, input).is_ok();
        if is_image {
            return Ok(());
        }
        let (name, taken) = (self.name(), kind_and_shape(input));
        Err(Error::failed(format!("this {name} takes {taken}: give a .npy file of rows")))
    }
}

/// "p99"
fn is_percentile(name: &str) -> bool {
    let digits = name.strip_prefix('p').filter(|digits| !digits.is_empty());
    digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The output that tells how odd a row is: the first of the kind score.
fn score_of(part: &Part) -> Result<&TensorSpec> {
    let outputs = &part.variant.outputs;
    outputs.iter().find(|spec| spec.kind == TensorKind::Score).ok_or_else(|| {
        let names = listed(outputs.iter().map(|spec| &spec.name));
        cannot(part, "score")("an output of the kind score", &names)
    })
}

/// Fails if a row has no value at all, so that its score would say nothing. Where a row is one value,
/// that may be missing.
fn require_some_values(spec: &TensorSpec, rows: &Tensor) -> Result<()> {
    let (Values::Float32(values), [_, _, ..]) = (&rows.values, &rows.shape[..]) else {
        return Ok(());
    };
    let size = values.len() / rows.rows();
    let mut rows = values.chunks(size);
    match rows.position(|row| row.iter().all(|value| value.is_nan())) {
        Some(row) if spec.missing => Err(Error::failed(format!(
            "scorer: {}: expected a value in each row, got none in row {row}: remove it",
            spec.name
        ))),
        _ => Ok(()),
    }
}

/// Rows, and a label at most, become a score of each.
fn require_scorer(part: &Part) -> Result<()> {
    let cannot = cannot(part, "score");
    let (score, variant) = (score_of(part)?, &part.variant);
    let (first, others) = (&variant.inputs[0], &variant.inputs[1..]);
    let of_kind = |spec: &TensorSpec| format!("{} of {}", spec.name, spec.kind);
    if !KINDS.contains(&first.kind) {
        let expected = "an input of the kind image, signal, volume, vector or other";
        return Err(cannot(expected, &of_kind(first)));
    }
    let name = &first.name;
    if !matches!(first.dtype, DType::Float32 | DType::Uint8) {
        return Err(cannot(&format!("{name} of float32 or uint8"), &first.to_string()));
    }
    if !variant.has_rows(first) {
        let expected = format!("{name} of as many rows as {}, {}", score.name, shown(&score.shape));
        return Err(cannot(&expected, &shown(&first.shape)));
    }
    let typed = |spec: &TensorSpec, dtype: DType| {
        let expected = format!("{} {dtype} {}", spec.name, shown(&score.shape));
        match spec.to_string() {
            got if got == expected => Ok(()),
            got => Err(cannot(&expected, &got)),
        }
    };
    typed(score, DType::Float32)?;
    match others {
        [] => Ok(()),
        [label] if label.kind == TensorKind::Label => typed(label, DType::Int64),
        others => {
            let expected = format!("a label at most beside {name}");
            Err(cannot(&expected, &listed(others.iter().map(of_kind))))
        }
    }
}
