//! score: the rows of files, as lines of a table.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::csv::Line;
use crate::{Bundle, Engine, Error, Part, Result, Tensor};
use crate::{files, npy, picture};

/// Score pictures and arrays, one file after the other.
pub(crate) fn score<E: Engine>(
    bundle: &Bundle<E>,
    scorer: &mut Part,
    paths: &[PathBuf],
    threshold: f64,
    label: Option<i64>,
) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let alone = paths.len() == 1;
    for path in paths {
        let (rows, is_array) = rows_of(scorer, path)?;
        let found = bundle.score(scorer, rows, threshold, label);
        let found = found.map_err(|error| if alone { error } else { error.of(path) })?;
        let percentiles = found.percentiles.iter().flatten().copied().map(Some);
        let percentiles = percentiles.chain(std::iter::repeat(None));
        let rows = found.scores.into_iter().zip(percentiles).zip(found.odd);
        for (i, ((score, percentile), odd)) in rows.enumerate() {
            let name = match is_array {
                false => path.clone().into_os_string(),
                true => name_of(path, i, alone),
            };
            lines.push(Line { name, score, percentile, odd });
        }
    }
    Ok(lines)
}

/// Of a row of an array, which may be the only file.
fn name_of(path: &Path, row: usize, alone: bool) -> OsString {
    let mut name = OsString::new();
    if !alone {
        name.push(path);
        name.push(":");
    }
    name.push(row.to_string());
    name
}

/// What a file holds, and whether it is an array.
fn rows_of(scorer: &Part, path: &Path) -> Result<(Tensor, bool)> {
    let place = path.display();
    if path.is_dir() {
        let all = path.join("*.png");
        return Err(Error::failed(format!(
            "{place} is a folder: name the pictures in it, such as {}",
            all.display()
        )));
    }
    if !path.exists() {
        return Err(Error::failed(format!("{place} does not exist")));
    }
    if files::begins_with(path, npy::MAGIC)? {
        return Ok((npy::read(path, scorer.inputs()[0].dtype)?, true));
    }
    scorer.require_pictures().map_err(|error| error.of(path))?;
    let picture = picture::read(path, &scorer.variant.inputs[0].shape[1..])?;
    Ok((scorer.tensor_of(&picture)?, false))
}
