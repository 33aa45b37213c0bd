//! What normal rows score, by which the score of another row is judged.

use serde_json::Value;

use crate::fields::{Fields, finite, list};
use crate::{Error, Result};

/// The lowest score, those of 1 % to 99 %, and the highest.
const QUANTILES: usize = 101;

/// The distribution of a score over normal rows.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalScores {
    /// 101 scores, from the lowest to the highest.
    pub quantiles: Vec<f64>,
}

impl NormalScores {
    /// As a manifest has it.
    pub(crate) fn of(value: &Value, path: &str) -> Result<Self> {
        let fields = Fields::of(value, path)?;
        let place = fields.path("quantiles");
        let items = list(fields.get("quantiles"), &place)?;
        let refused = |got: String| {
            let expected = format!("{QUANTILES} finite numbers in ascending order");
            Err(Error::failed(format!("{place}: expected {expected}, got {got}")))
        };
        if items.len() != QUANTILES {
            return refused(format!("a list of {}", items.len()));
        }
        let number = |(i, item): (usize, &Value)| finite(item, &format!("{place}[{i}]"));
        let quantiles = items.iter().enumerate().map(number).collect::<Result<Vec<_>>>()?;
        match quantiles.windows(2).find(|pair| pair[0] > pair[1]) {
            Some(pair) => refused(format!("{} before {}", pair[0], pair[1])),
            None => Ok(Self { quantiles }),
        }
    }

    /// Share of the normal rows with a lower score, in %, from 0 to 100.
    pub fn percentile(&self, score: f32) -> f64 {
        let (found, score) = (&self.quantiles, f64::from(score));
        match found.partition_point(|quantile| *quantile < score) {
            0 => 0.0,
            place if place == found.len() => 100.0,
            place => {
                let (low, high) = (found[place - 1], found[place]);
                (place - 1) as f64 + (score - low) / (high - low)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_share_of_lower_scores() {
        let quantiles = (0..QUANTILES).map(|place| place as f64 / 4.0).collect();
        let normal = NormalScores { quantiles };
        let cases = [
            (f32::NEG_INFINITY, 0.0),
            (-1.0, 0.0),
            (0.0, 0.0),
            (0.125, 0.5),
            (0.25, 1.0),
            (12.5625, 50.25),
            (24.9375, 99.75),
            (25.0, 100.0),
            (26.0, 100.0),
            (f32::INFINITY, 100.0),
        ];
        for (score, percentile) in cases {
            assert_eq!(normal.percentile(score), percentile, "{score}");
        }
    }

    /// A score that many normal rows have is above those that are lower.
    #[test]
    fn equal_quantiles_count_as_one() {
        let quantiles = (0..QUANTILES).map(|place| (place / 50) as f64).collect();
        let normal = NormalScores { quantiles }; // 50 times 0, 50 times 1, and 2
        let found = [0.0, 0.5, 1.0, 1.5, 2.0].map(|score| normal.percentile(score));
        assert_eq!(found, [0.0, 49.5, 50.0, 99.5, 100.0]);
    }
}
