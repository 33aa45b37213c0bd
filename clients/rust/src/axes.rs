//! Sizes that follow named axes, "height", "height/8" and "320*frames", and what an axis may be.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// The axis of rows: the first of a tensor, where the graph takes any number of them.
pub(crate) const BATCH: &str = "batch";

/// Every JSON reader keeps integers up to this one exact; no axis is longer.
pub(crate) const LARGEST: u64 = (1 << 53) - 1;
/// Digits of the number by which a size multiplies or divides an axis.
const DIGITS: usize = 9;

/// One size of a shape; printed as the manifest has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    Fixed(u64),
    /// `factor` * `axis` / `divisor`; one of the two numbers is 1.
    Axis {
        axis: String,
        factor: u64,
        divisor: u64,
    },
}

/// Which sizes an axis may have: multiples of `multiple` from `min` to `max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    pub multiple: u64,
    pub min: u64,
    /// None without a limit.
    pub max: Option<u64>,
    /// How many places to either side of a place can change the outputs there; None if any can.
    pub margin: Option<u64>,
}

/// The size of each axis, by name.
pub type Sizes = BTreeMap<String, u64>;

impl Size {
    /// The size that a text such as "height/8" stands for; None if it is none.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let (factor, rest) = match text.split_once('*') {
            Some((factor, rest)) => (number(factor)?, rest),
            None => (1, text),
        };
        let (axis, divisor) = match rest.split_once('/') {
            Some(_) if rest.len() < text.len() => return None, // both would need a rule of rounding
            Some((axis, divisor)) => (axis, number(divisor)?),
            None => (rest, 1),
        };
        is_name(axis).then(|| Self::Axis { axis: axis.to_string(), factor, divisor })
    }

    /// The axis of rows.
    pub(crate) fn batch() -> Self {
        Self::Axis { axis: BATCH.to_string(), factor: 1, divisor: 1 }
    }

    /// The axis that it follows.
    pub(crate) fn axis(&self) -> Option<&str> {
        match self {
            Self::Fixed(_) => None,
            Self::Axis { axis, .. } => Some(axis),
        }
    }

    /// How far this tensor goes where its axis goes to `place`, a multiple of the divisor.
    pub(crate) fn at(&self, place: u64) -> u64 {
        match self {
            Self::Fixed(size) => *size,
            Self::Axis { factor, divisor, .. } => place.saturating_mul(*factor) / divisor,
        }
    }

    /// The size where the axes have these; all that it follows are among them.
    pub(crate) fn in_sizes(&self, sizes: &Sizes) -> u64 {
        self.at(self.axis().map_or(0, |axis| sizes[axis]))
    }
}

impl Display for Size {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => size.fmt(out),
            Self::Axis { axis, factor: 1, divisor: 1 } => out.write_str(axis),
            Self::Axis { axis, factor, divisor: 1 } => write!(out, "{factor}*{axis}"),
            Self::Axis { axis, divisor, .. } => write!(out, "{axis}/{divisor}"),
        }
    }
}

impl Axis {
    /// Any size: of rows, where the graph has another number of them than it is given.
    pub(crate) const ANY: Self = Self { multiple: 1, min: 1, max: None, margin: Some(0) };

    fn most(&self) -> u64 {
        self.max.unwrap_or(LARGEST)
    }

    fn allows(&self, size: u128) -> bool {
        let (least, most) = (u128::from(self.min), u128::from(self.most()));
        size.is_multiple_of(u128::from(self.multiple)) && (least..=most).contains(&size)
    }

    /// The smallest size that it may have of at least `size`; None if it has no such size.
    pub(crate) fn at_least(&self, size: u64) -> Option<u64> {
        let whole = size.checked_next_multiple_of(self.multiple)?.max(self.min);
        (whole <= self.most()).then_some(whole)
    }

    /// The size nearest to `size` that it may have; of two, the larger.
    fn nearest(&self, size: u128) -> u128 {
        let multiple = u128::from(self.multiple);
        let whole = (size + multiple / 2) / multiple * multiple;
        whole.max(self.min.into()).min(self.max.map_or(u128::MAX, u128::from))
    }
}

impl Display for Axis {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.multiple {
            1 => out.write_str("a size")?,
            multiple => write!(out, "a multiple of {multiple}")?,
        }
        match self.max {
            Some(max) => write!(out, " from {} to {max}", self.min),
            None => write!(out, " of at least {}", self.min),
        }
    }
}

/// A tensor's name, its shape as declared, and that of an array. Both have as many sizes, and the same
/// number where the declared size is one.
pub(crate) type Given<'a> = (&'a str, &'a [Size], &'a [usize]);

/// The sizes of all axes, from tensors that have them. The error names the axis, the sizes, and the
/// rule that they break.
pub(crate) fn solve(
    given: &[Given<'_>],
    axes: &BTreeMap<String, Axis>,
) -> std::result::Result<Sizes, String> {
    // In the order of the tensors. A size times a divisor may have more than 64 bits.
    let mut found: Vec<(&str, u128, &str)> = Vec::new();
    for (name, declared, real) in given {
        for (size, given) in declared.iter().zip(*real) {
            let Size::Axis { axis, factor, divisor } = size else { continue };
            let given = *given as u64;
            if !given.is_multiple_of(*factor) {
                return Err(format!(
                    "{name}: expected a multiple of {factor} for {size}, got {given}"
                ));
            }
            let there = u128::from(given / factor) * u128::from(*divisor);
            match found.iter().find(|(known, ..)| known == axis) {
                None => found.push((axis, there, name)),
                Some((_, before, _)) if *before == there => {}
                Some((_, before, who)) => {
                    return Err(format!(
                        "{axis}: expected one size in all inputs, got {before} in {who} and \
                         {there} in {name}"
                    ));
                }
            }
        }
    }
    let sized = |(name, size, who): (&str, u128, &str)| {
        let axis = axes.get(name).unwrap_or(&Axis::ANY);
        match u64::try_from(size) {
            Ok(known) if axis.allows(size) => Ok((name.to_string(), known)),
            _ => Err(format!(
                "{who}: {name}: expected {axis}, got {size}: the nearest is {}",
                axis.nearest(size)
            )),
        }
    };
    found.into_iter().map(sized).collect()
}

/// A shape where the axes have these sizes; None if it is longer than memory can be.
pub(crate) fn shape_at(shape: &[Size], sizes: &Sizes) -> Option<Vec<usize>> {
    shape.iter().map(|size| usize::try_from(size.in_sizes(sizes)).ok()).collect()
}

/// How many values a shape has, or the largest number if that is larger.
pub(crate) fn values_at(shape: &[Size], sizes: &Sizes) -> u64 {
    shape.iter().map(|size| size.in_sizes(sizes)).fold(1, u64::saturating_mul)
}

/// A shape as errors print it: "[batch, 20]".
pub(crate) fn shown(shape: &[Size]) -> String {
    let sizes: Vec<_> = shape.iter().map(Size::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

/// Lower-case letters, digits and _, beginning with a letter.
pub(crate) fn is_name(text: &str) -> bool {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(known)
}

fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|digit| digit.is_ascii_digit());
    let good = digits && text.len() <= DIGITS && !text.starts_with('0');
    good.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(multiple: u64, min: u64, max: Option<u64>) -> Axis {
        Axis { multiple, min, max, margin: None }
    }

    fn size(text: &str) -> Size {
        Size::of(text).unwrap()
    }

    #[test]
    fn sizes_are_printed_as_they_are_read() {
        for text in ["height", "320*frames", "height/8", "a_1", "999999999*x", "x/999999999"] {
            assert_eq!(size(text).to_string(), text);
        }
        let none = [
            "",
            "Height",
            "8*",
            "/8",
            "8*x/8",
            "0*x",
            "x/0",
            "x/08",
            "x*8",
            "1x",
            "x/1000000000",
            "+8*x",
            " x",
            "x\n",
            "x'",
            "x\"",
            "8*8*x",
            "x/8/8",
            "-1",
            "x/",
            "*x",
            "_x",
        ];
        for text in none {
            assert_eq!(Size::of(text), None, "{text:?}");
        }
    }

    #[test]
    fn sizes_of_axes_follow_from_arrays() {
        let axes = BTreeMap::from([("frames".to_string(), axis(2, 4, None))]);
        let (x, z) = ([Size::batch(), size("16*frames")], [Size::batch(), size("frames/2")]);
        let found = solve(&[("x", &x, &[3, 64]), ("z", &z, &[3, 2])], &axes).unwrap();
        assert_eq!(found, Sizes::from([("batch".to_string(), 3), ("frames".to_string(), 4)]));
        assert_eq!(shape_at(&x, &found), Some(vec![3, 64]));
        assert_eq!(values_at(&z, &found), 6);
    }

    #[test]
    fn sizes_that_break_a_rule_are_told() {
        let limited = axis(8, 16, Some(64));
        let one = |axis: Axis, text: &str, given: usize| {
            let axes = BTreeMap::from([("height".to_string(), axis)]);
            solve(&[("x", &[size(text)], &[given])], &axes).unwrap_err()
        };
        let cases = [
            (
                limited.clone(),
                "height",
                41,
                "x: height: expected a multiple of 8 from 16 to 64, got 41: the nearest is 40",
            ),
            (
                limited.clone(),
                "height",
                44,
                "x: height: expected a multiple of 8 from 16 to 64, got 44: the nearest is 48",
            ),
            (
                limited.clone(),
                "height",
                800,
                "x: height: expected a multiple of 8 from 16 to 64, got 800: the nearest is 64",
            ),
            (
                limited.clone(),
                "height",
                0,
                "x: height: expected a multiple of 8 from 16 to 64, got 0: the nearest is 16",
            ),
            (
                axis(1, 2, None),
                "height",
                1,
                "x: height: expected a size of at least 2, got 1: the nearest is 2",
            ),
            (limited, "3*height", 25, "x: expected a multiple of 3 for 3*height, got 25"),
            (
                axis(999_999_999, 999_999_999, None),
                "height/999999999",
                usize::MAX,
                "x: height: expected a multiple of 999999999 of at least 999999999, got \
                 18446744055262807541290448385: the nearest is 18446744055262807541290448385",
            ),
        ];
        for (axis, text, given, said) in cases {
            assert_eq!(one(axis, text, given), said);
        }
        let axes = BTreeMap::new();
        let apart = solve(&[("z", &[size("n")], &[10]), ("mask", &[size("n")], &[12])], &axes);
        assert_eq!(
            apart.unwrap_err(),
            "n: expected one size in all inputs, got 10 in z and 12 in mask"
        );
    }

    #[test]
    fn the_next_size_that_is_allowed_is_a_multiple() {
        assert_eq!(axis(8, 16, Some(64)).at_least(41), Some(48));
        assert_eq!(axis(8, 16, Some(64)).at_least(1), Some(16));
        assert_eq!(axis(8, 16, Some(64)).at_least(65), None);
        assert_eq!(axis(LARGEST, LARGEST, None).at_least(u64::MAX), None);
    }
}
