//! The program around an engine: check | denoise | generate | run | score.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::error::{caught, silence_panics};
use crate::needs::require_label;
use crate::{Bundle, Engine, Error, Kind, Result, csv, files, picture, run, score_files};

const USAGE: &str = "\
usage: aeonnx check BUNDLE [--time]
       aeonnx denoise BUNDLE in.png out.png [--force]
       aeonnx generate BUNDLE [--seed S] [-n N] [--label L] [--size HxW] out.png [--force]
       aeonnx run BUNDLE PART input=in.npy ... output=out.npy ... [--force]
       aeonnx score BUNDLE FILE... [--threshold p99] [--label L] [-o scores.csv] [--force]
FILE is a picture, or a .npy file of rows. Pictures are PNG, JPEG or BMP, and are written as PNG.
--force replaces a file that is there.";

/// Run the program's arguments with the engine that `load` gives; returns the exit code.
pub fn main<E: Engine>(load: impl Fn() -> Result<E>) -> i32 {
    silence_panics();
    let words = std::env::args_os().skip(1).collect();
    let done = caught(|| answer(words, load)).unwrap_or_else(|panic| Err(Error::failed(panic)));
    done.unwrap_or_else(|error| {
        let mut stderr = io::stderr();
        let usage = if error.kind == Kind::Usage { USAGE } else { "" };
        let text = format!("Error: {error}\n{usage}");
        let _ = writeln!(stderr, "{}", text.trim_end()); // nobody may be there to read it
        error.exit_code()
    })
}

/// What the program does with its arguments; returns the exit code.
pub fn answer<E: Engine>(mut words: Vec<OsString>, load: impl Fn() -> Result<E>) -> Result<i32> {
    if words.is_empty() {
        return Err(Error::usage("expected a verb: check, denoise, generate, run or score"));
    }
    let verb = words.remove(0).to_string_lossy().into_owned();
    match verb.as_str() {
        "check" => check(words, load),
        "denoise" => denoise(words, load),
        "generate" => generate(words, load),
        "run" => run_part(words, load),
        "score" => score(words, load),
        "-h" | "--help" => say(USAGE.to_string()).map(|()| 0),
        _ => Err(Error::usage(format!("no such verb: {verb}"))),
    }
}

fn check<E: Engine>(mut words: Vec<OsString>, load: impl Fn() -> Result<E>) -> Result<i32> {
    let timed = flag(&mut words, "--time");
    let [folder] = exactly(words, "BUNDLE")?;
    let good = check_all(&Bundle::open(folder, load()?)?, timed, say)?;
    Ok(if good { 0 } else { 3 })
}

/// Check every variant of every part, with a line for each output; returns whether all are right.
/// Fails if the engine runs none of them.
pub(crate) fn check_all<E: Engine>(
    bundle: &Bundle<E>,
    timed: bool,
    mut say: impl FnMut(String) -> Result<()>,
) -> Result<bool> {
    let (mut outputs, mut skipped, mut good) = (0, 0, true);
    for (name, variants) in &bundle.manifest.parts {
        for variant in variants.keys() {
            let mut part = match bundle.part(name, variant) {
                Err(error) if error.kind == Kind::Unsupported => {
                    say(format!("skip {name} {variant}: {error}"))?;
                    skipped += 1;
                    continue;
                }
                part => part?,
            };
            for found in bundle.check(&mut part)? {
                let verdict = if found.ok() { "ok" } else { "WRONG" };
                let (output, error, tolerance) = (&found.output, found.error, found.tolerance);
                say(format!(
                    "{verdict} {name} {variant} {output}: max error {error:.2e}, \
                     tolerance {tolerance:.2e}"
                ))?;
                good &= found.ok();
                outputs += 1;
            }
            if timed {
                let taken = bundle.time(&mut part)?;
                say(format!("time {name} {variant}: {taken:.1} us for one row"))?;
            }
        }
    }
    let (parts, engine) = (bundle.manifest.parts.len(), bundle.engine());
    let left = match skipped {
        0 => String::new(),
        1 => ", 1 variant skipped".to_string(),
        some => format!(", {some} variants skipped"),
    };
    if outputs == 0 {
        return Err(Error::failed(format!(
            "nothing was checked: {engine} runs none of the variants"
        )));
    }
    say(format!("checked {outputs} outputs of {parts} parts with {engine}{left}"))?;
    Ok(good)
}

fn denoise<E: Engine>(mut words: Vec<OsString>, load: impl Fn() -> Result<E>) -> Result<i32> {
    let force = flag(&mut words, "--force");
    let [folder, from, to] = exactly(words, "BUNDLE in.png out.png")?;
    let bundle = Bundle::open(folder, load()?)?;
    let mut denoiser = bundle.denoiser()?;
    picture::require_writable(&to, force)?;
    let picture = picture::read(&from, &denoiser.variant.inputs[0].shape[1..])?;
    picture::write(&to, &bundle.denoise(&mut denoiser, &picture)?, force)?;
    Ok(0)
}

fn generate<E: Engine>(mut words: Vec<OsString>, load: impl Fn() -> Result<E>) -> Result<i32> {
    let force = flag(&mut words, "--force");
    let seed = number(&mut words, "--seed", 0)?.unwrap_or(0);
    let count = number(&mut words, "-n", 1)?.unwrap_or(64);
    let label = number(&mut words, "--label", i64::MIN)?; // which are allowed is the manifest's to say
    let size = size(&mut words)?;
    let [folder, to] = exactly(words, "BUNDLE out.png")?;
    let bundle = Bundle::open(folder, load()?)?;
    let mut sampler = bundle.sampler()?;
    let shape = sampler.image_shape(size.as_deref())?;
    picture::require_writable(&to, force)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let images = bundle.generate(&mut sampler, seed, count, label, size.as_deref())?;
    picture::write_grid(&to, &images, shape, force)?;
    Ok(0)
}

fn run_part<E: Engine>(mut words: Vec<OsString>, load: impl Fn() -> Result<E>) -> Result<i32> {
    let force = flag(&mut words, "--force");
    let names = words.split_off(words.len().min(2));
    let [folder, part] = exactly(words, "BUNDLE PART input=in.npy output=out.npy")?;
    require_no_option(&names)?;
    run::run(&Bundle::open(folder, load()?)?, &part.to_string_lossy(), &names, force)?;
    Ok(0)
}

fn score<E: Engine>(mut words: Vec<OsString>, load: impl Fn() -> Result<E>) -> Result<i32> {
    let force = flag(&mut words, "--force");
    let threshold = value(&mut words, "--threshold")?;
    let label = number(&mut words, "--label", i64::MIN)?;
    let table = taken(&mut words, "-o")?.map(PathBuf::from);
    let (what, names) = ("BUNDLE FILE...", words.split_off(words.len().min(1)));
    let [folder] = exactly(words, what)?;
    require_no_option(&names)?;
    if names.is_empty() {
        return Err(Error::usage(format!("expected {what}")));
    }
    table.as_deref().map_or(Ok(()), csv::require_name)?;
    let bundle = Bundle::open(folder, load()?)?;
    let mut scorer = bundle.scorer()?;
    require_label(&scorer, label)?;
    let threshold = scorer.threshold(threshold.as_deref().unwrap_or("p99"))?;
    table.as_deref().map_or(Ok(()), |path| files::require_writable(path, force))?;
    let names: Vec<_> = names.into_iter().map(PathBuf::from).collect();
    let lines = score_files::score(&bundle, &mut scorer, &names, threshold, label)?;
    match table {
        Some(path) => files::write(&path, &csv::table(&lines, csv::raw), force)?,
        None => put(&csv::table(&lines, csv::visible))?,
    }
    Ok(0)
}

fn say(line: String) -> Result<()> {
    put(format!("{line}\n").as_bytes())
}

fn put(data: &[u8]) -> Result<()> {
    let mut stdout = io::stdout();
    let written = stdout.write_all(data).and_then(|()| stdout.flush());
    written.map_err(|error| Error::failed(format!("cannot write to standard output: {error}")))
}

/// Whether an option is there; it is taken out.
fn flag(words: &mut Vec<OsString>, option: &str) -> bool {
    let before = words.len();
    words.retain(|word| word != option);
    words.len() < before
}

fn exactly<const N: usize>(words: Vec<OsString>, what: &str) -> Result<[PathBuf; N]> {
    require_no_option(&words)?;
    let words: Vec<_> = words.into_iter().map(PathBuf::from).collect();
    <[PathBuf; N]>::try_from(words).map_err(|_| Error::usage(format!("expected {what}")))
}

fn require_no_option(words: &[OsString]) -> Result<()> {
    match words.iter().map(|word| word.to_string_lossy()).find(|word| word.starts_with('-')) {
        Some(option) => Err(Error::usage(format!("there is no option {option}"))),
        None => Ok(()),
    }
}

/// The word after an option, if that is there, as a text; both are taken out.
fn value(words: &mut Vec<OsString>, option: &str) -> Result<Option<String>> {
    Ok(taken(words, option)?.map(|word| word.to_string_lossy().into_owned()))
}

/// The word after an option, if that is there; both are taken out.
fn taken(words: &mut Vec<OsString>, option: &str) -> Result<Option<OsString>> {
    let Some(at) = words.iter().position(|word| word == option) else {
        return Ok(None);
    };
    if at + 1 == words.len() {
        return Err(Error::usage(format!("{option}: expected a value")));
    }
    let word = words.remove(at + 1);
    words.remove(at);
    Ok(Some(word))
}

/// The numbers of `--size 64x48`: two or more.
fn size(words: &mut Vec<OsString>) -> Result<Option<Vec<usize>>> {
    let Some(text) = value(words, "--size")? else { return Ok(None) };
    let is_digit = |digit: u8| digit.is_ascii_digit(); // `parse` takes a sign too
    let number = |part: &str| part.parse().ok().filter(|_| part.bytes().all(is_digit));
    let numbers: Option<Vec<_>> = text.split('x').map(number).collect();
    let numbers = numbers.filter(|numbers| numbers.len() > 1).ok_or_else(|| {
        let expected = "expected HEIGHTxWIDTH, such as 64x48";
        Error::usage(format!("--size: {expected}, got {text}"))
    });
    numbers.map(Some)
}

/// The number after an option, if that is there.
fn number(words: &mut Vec<OsString>, option: &str, lowest: i64) -> Result<Option<i64>> {
    let Some(text) = value(words, option)? else { return Ok(None) };
    let value = text.parse().ok().filter(|value| *value >= lowest);
    value.map(Some).ok_or_else(|| {
        let largest = i64::MAX;
        Error::usage(format!(
            "{option}: expected a whole number from {lowest} to {largest}, got {text}"
        ))
    })
}
