//! The program that shows that nothing in a folder does harm: it accepts or refuses every bundle and
//! every manifest, and prints nothing else.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::command::check_all;
use crate::error::silence_panics;
use crate::{Bundle, Engine, Error, Manifest, Part, Result, TensorKind, picture};

const USAGE: &str = "usage: fuzz FOLDER | fuzz --bundles FOLDER";

/// `FOLDER`: read every FOLDER/manifests/*.json as if it were the manifest of FOLDER/bundle.
/// `--bundles FOLDER`: all that the verbs do with every FOLDER/*/, the picture FOLDER/in.png given.
/// A line says what came of each; returns the exit code.
pub fn main<E: Engine>(load: impl Fn() -> Result<E>) -> i32 {
    silence_panics();
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match words.as_slice() {
        [option, folder] if option == "--bundles" => {
            load().and_then(|engine| bundles(Path::new(folder), &engine))
        }
        [folder] => load().and_then(|engine| manifests(Path::new(folder), &engine)),
        _ => Err(Error::usage(USAGE)),
    };
    done.map_or_else(
        |error| {
            eprintln!("Error: {error}");
            error.exit_code()
        },
        |()| 0,
    )
}

fn manifests<E: Engine>(folder: &Path, engine: &E) -> Result<()> {
    for path in entries(&folder.join("manifests"))? {
        let read = || {
            let text = fs::read(&path).map_err(|error| Error::failed(error.to_string()))?;
            read_all(&folder.join("bundle"), &text, engine)
        };
        report(path.file_stem(), read().map(|()| "accepted"))?;
    }
    Ok(())
}

/// Every file that a manifest names.
fn read_all<E: Engine>(folder: &Path, text: &[u8], engine: &E) -> Result<()> {
    let bundle = Bundle::with(folder, Manifest::parse(text, "manifest.json")?, engine);
    for variant in bundle.manifest.parts.values().flat_map(|variants| variants.values()) {
        bundle.read(&variant.file, &variant.sha256, variant.bytes)?;
        for golden in &variant.golden {
            bundle.golden(&golden.inputs)?;
            bundle.golden(&golden.outputs)?;
        }
    }
    Ok(())
}

fn bundles<E: Engine>(folder: &Path, engine: &E) -> Result<()> {
    let picture = folder.join("in.png");
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        // A panic that nothing in the library caught ends this program, with code 101.
        let right = do_all(&path, &picture, engine);
        report(path.file_name(), right.map(|right| if right { "ok" } else { "wrong" }))?;
    }
    Ok(())
}

/// All verbs; returns whether `check` found every number right.
fn do_all<E: Engine>(folder: &Path, picture: &Path, engine: &E) -> Result<bool> {
    let bundle = Bundle::open(folder, engine)?;
    let right = check_all(&bundle, false, |_| Ok(()))?;
    if bundle.has("denoiser", "fp32") {
        let mut denoiser = bundle.denoiser()?;
        let picture = picture::read(picture, &denoiser.variant.inputs[0].shape[1..])?;
        let found = bundle.denoise(&mut denoiser, &picture)?;
        picture::grid(&found.pixels, found.shape)?;
    }
    if bundle.has("sampler", "fp32") {
        let mut sampler = bundle.sampler()?;
        let label = label_of(&sampler);
        let images = bundle.generate(&mut sampler, 0, 3, label, None)?;
        picture::grid(&images, sampler.image_shape(None)?)?;
    }
    if bundle.has("scorer", "fp32") {
        let mut scorer = bundle.scorer()?;
        let mut golden = bundle.golden(&scorer.variant.golden[0].inputs)?;
        let rows = golden.remove(&scorer.variant.inputs[0].name).expect("it was checked");
        let label = label_of(&scorer);
        bundle.score(&mut scorer, rows, 0.0, label)?;
    }
    Ok(right)
}

/// The first label that a part takes, if it takes any.
fn label_of(part: &Part) -> Option<i64> {
    let spec = part.variant.inputs.iter().find(|spec| spec.kind == TensorKind::Label)?;
    Some(spec.range.map_or(0, |[low, _]| low as i64))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed =
        |error: io::Error| Error::failed(format!("cannot read {}: {error}", folder.display()));
    let found = fs::read_dir(folder).map_err(failed)?;
    let found = found.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = found.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn report(name: Option<&std::ffi::OsStr>, done: Result<&str>) -> Result<()> {
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    let line = match done {
        Ok(word) => format!("{name} {word}"),
        Err(error) => format!("{name} refused: {error}"),
    };
    let written = writeln!(io::stdout(), "{}", Error::failed(line));
    written.map_err(|error| Error::failed(format!("cannot write: {error}")))
}
