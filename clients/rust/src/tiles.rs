//! Tiles: pieces of an input of any size whose outputs, put together, are those of the whole.
//!
//! An output value depends on inputs within the margin of its axis. A tile computes a piece of the
//! outputs; its inputs reach a margin further on each side, or to the border. Tiles begin at multiples
//! of the axis, so that strides fall on the same places as in the whole.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::axes::{BATCH, values_at};
use crate::{Axis, Size, Sizes, Variant};

/// Where the largest tensor of a row has more values than this, a part runs in tiles.
pub(crate) const LARGEST_WHOLE: u64 = 1 << 22;

/// A tile along one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The places whose outputs it computes.
    pub outputs: Range<u64>,
    /// The places of its inputs.
    pub inputs: Range<u64>,
}

/// A piece along each axis but that of rows, by name.
pub(crate) type Tile = BTreeMap<String, Piece>;

/// The tiles of a row whose axes have these sizes: one, the whole, where it is small, or a place of an
/// axis can change outputs anywhere.
pub(crate) fn tiles(variant: &Variant, sizes: &Sizes) -> impl Iterator<Item = Tile> + use<> {
    let axes: Vec<_> = variant.axes.iter().filter(|(name, _)| *name != BATCH).collect();
    let side = if is_cut(variant, sizes) { side(variant, axes.len()) } else { u64::MAX };
    let along =
        |(name, axis): &(&String, &Axis)| ((*name).clone(), pieces(axis, sizes[*name], side));
    let cuts: Vec<_> = axes.iter().map(along).collect();
    let count = cuts.iter().map(|(_, pieces)| pieces.len()).product::<usize>();
    (0..count).map(move |number| {
        let mut left = number;
        let along = cuts.iter().map(|(name, pieces)| {
            let piece = pieces[left % pieces.len()].clone();
            left /= pieces.len();
            (name.clone(), piece)
        });
        along.collect()
    })
}

/// The length of a tile, by the number of axes that are cut: of the tensor in which it is longest.
fn side(variant: &Variant, axes: usize) -> u64 {
    let side = match axes {
        1 => 1 << 18,
        2 => 512,
        _ => 64,
    };
    let tensors = variant.inputs.iter().chain(&variant.outputs);
    let factor = |size: &Size| match size {
        Size::Axis { factor, .. } => *factor,
        Size::Fixed(_) => 1,
    };
    side / tensors.flat_map(|spec| spec.shape.iter().map(factor)).max().unwrap_or(1)
}

/// Values of the largest input or output of one row.
pub(crate) fn values_of_row(variant: &Variant, sizes: &Sizes) -> u64 {
    let tensors = variant.inputs.iter().chain(&variant.outputs);
    tensors.map(|spec| values_at(&spec.shape[1..], sizes)).max().unwrap_or(0)
}

/// Whether a row with these sizes runs in more than one piece.
pub(crate) fn is_cut(variant: &Variant, sizes: &Sizes) -> bool {
    let local = variant.axes.values().all(|axis| axis.margin.is_some());
    let large = values_of_row(variant, sizes) > LARGEST_WHOLE;
    local && large && variant.axes.keys().any(|name| name != BATCH)
}

/// The tiles along an axis of a size that it may have; `side` is raised to two margins and a multiple.
pub(crate) fn pieces(axis: &Axis, size: u64, side: u64) -> Vec<Piece> {
    // All of these are below 2^53, so that no sum overflows.
    let margin = axis.margin.unwrap_or(0).next_multiple_of(axis.multiple);
    let side = (side / axis.multiple * axis.multiple).max(4 * margin + axis.multiple).max(axis.min);
    if size <= side {
        return vec![Piece { outputs: 0..size, inputs: 0..size }];
    }
    let step = (side - 2 * margin) as usize;
    let piece = |start: u64| {
        let stop = (start + step as u64).min(size);
        let last = (stop + margin).min(size);
        let first = start.saturating_sub(margin).min(last.saturating_sub(axis.min));
        Piece { outputs: start..stop, inputs: first..last.max(first + axis.min) }
    };
    (0..size).step_by(step).map(piece).collect()
}

/// The sizes of a tile's inputs.
pub(crate) fn sizes_of(tile: &Tile, whole: &Sizes) -> Sizes {
    let size = |(name, whole): (&String, &u64)| {
        let inputs = tile.get(name).map(|piece| &piece.inputs);
        (name.clone(), inputs.map_or(*whole, |inputs| inputs.end - inputs.start))
    };
    whole.iter().map(size).collect()
}

/// What a tile takes of an input whose sizes are `real`.
pub(crate) fn inputs_of(tile: &Tile, shape: &[Size], real: &[usize]) -> Vec<Range<usize>> {
    let along = |(size, real): (&Size, &usize)| match tile_along(tile, size) {
        Some(piece) => places(size, &piece.inputs),
        None => 0..*real,
    };
    shape.iter().zip(real).map(along).collect()
}

/// Where the outputs of a tile lie in the whole, and in the tile's own output, whose sizes are `real`.
pub(crate) fn outputs_of(
    tile: &Tile,
    shape: &[Size],
    real: &[usize],
) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let along = |(size, real): (&Size, &usize)| match tile_along(tile, size) {
        Some(Piece { outputs, inputs }) => {
            let here = outputs.start - inputs.start..outputs.end - inputs.start;
            (places(size, outputs), places(size, &here))
        }
        None => (0..*real, 0..*real),
    };
    shape.iter().zip(real).map(along).unzip()
}

fn tile_along<'a>(tile: &'a Tile, size: &Size) -> Option<&'a Piece> {
    tile.get(size.axis()?)
}

/// Places of a tensor at places of its axis; these are within an array, so they fit.
fn places(size: &Size, axis: &Range<u64>) -> Range<usize> {
    size.at(axis.start) as usize..size.at(axis.end) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(multiple: u64, min: u64, margin: u64) -> Axis {
        Axis { multiple, min, max: None, margin: Some(margin) }
    }

    /// [start, stop) of the outputs and [first, last) of the inputs.
    fn shown(axis: &Axis, size: u64, side: u64) -> Vec<[u64; 4]> {
        let piece = |Piece { outputs, inputs }: &Piece| {
            [outputs.start, outputs.end, inputs.start, inputs.end]
        };
        pieces(axis, size, side).iter().map(piece).collect()
    }

    #[test]
    fn pieces_reach_a_margin_beyond_their_outputs() {
        let cut = [[0, 10, 0, 14], [10, 20, 6, 24], [20, 30, 16, 30]];
        assert_eq!(shown(&axis(2, 2, 3), 30, 13), cut);
        assert_eq!(shown(&axis(2, 2, 3), 12, 13), [[0, 12, 0, 12]]);
        assert_eq!(shown(&axis(1, 1, 0), 5, 2), [[0, 2, 0, 2], [2, 4, 2, 4], [4, 5, 4, 5]]);
    }

    #[test]
    fn pieces_are_never_smaller_than_the_axis_may_be() {
        let cut = [[0, 3, 0, 5], [3, 6, 2, 7], [6, 8, 3, 8]];
        assert_eq!(shown(&axis(1, 5, 1), 8, 1), cut);
    }

    #[test]
    fn pieces_cover_every_size_once_and_see_enough() {
        for multiple in [1, 2, 3] {
            for (min, margin, side) in [(1, 0, 1), (2, 1, 5), (4, 7, 20), (9, 2, 3), (1, 5, 64)] {
                let axis = axis(multiple, min * multiple, margin);
                for size in (min..80).map(|size| size * multiple) {
                    let found = pieces(&axis, size, side);
                    let mut next = 0;
                    for Piece { outputs, inputs } in &found {
                        assert_eq!(outputs.start, next);
                        next = outputs.end;
                        assert!(inputs.start <= outputs.start.saturating_sub(margin));
                        assert!(
                            inputs.end >= (outputs.end + margin).min(size) && inputs.end <= size
                        );
                        let length = inputs.end - inputs.start;
                        assert!(length >= axis.min && length.is_multiple_of(multiple));
                        assert!(inputs.start.is_multiple_of(multiple));
                    }
                    assert_eq!(next, size);
                }
            }
        }
    }

    #[test]
    fn the_largest_numbers_of_a_manifest_do_not_overflow() {
        let most = crate::axes::LARGEST;
        for axis in [axis(most, most, most), axis(1, 1, most), axis(1 << 52, 1 << 52, most)] {
            let size = axis.min.max(1 << 52) / axis.multiple * axis.multiple;
            assert_eq!(pieces(&axis, size, u64::MAX).len(), 1);
            assert_eq!(pieces(&axis, size, 512).len(), 1);
        }
    }
}
