//! The program around an engine: check | denoise | generate.

use std::path::Path;

use crate::{Bundle, Engine, Error, Kind, Result, picture};

const USAGE: &str = "\
usage: aeonnx check BUNDLE [--time]
       aeonnx denoise BUNDLE in.png out.png
       aeonnx generate BUNDLE [--seed S] [-n N] out.png";

/// Run the program's arguments with the engine that `load` gives; returns the exit code.
pub fn main<E: Engine>(load: impl Fn() -> Result<E>) -> i32 {
    let words = std::env::args_os().skip(1);
    let words = words.map(|word| word.to_string_lossy().into_owned()).collect();
    match run(words, load) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("Error: {error}");
            if error.kind == Kind::Usage {
                eprintln!("{USAGE}");
            }
            error.exit_code()
        }
    }
}

fn run<E: Engine>(mut words: Vec<String>, load: impl Fn() -> Result<E>) -> Result<i32> {
    if words.is_empty() {
        return Err(Error::usage("expected a verb: check, denoise or generate"));
    }
    match words.remove(0).as_str() {
        "check" => check(words, load),
        "denoise" => denoise(words, load),
        "generate" => generate(words, load),
        "-h" | "--help" => {
            println!("{USAGE}");
            Ok(0)
        }
        verb => Err(Error::usage(format!("no such verb: {verb}"))),
    }
}

fn check<E: Engine>(mut words: Vec<String>, load: impl Fn() -> Result<E>) -> Result<i32> {
    let before = words.len();
    words.retain(|word| word != "--time");
    let timed = words.len() < before;
    let [folder] = exactly(words, "BUNDLE")?;
    let bundle = Bundle::open(folder, load()?)?;
    let (mut outputs, mut skipped, mut good) = (0, 0, true);
    for (name, variants) in &bundle.manifest.parts {
        for variant in variants.keys() {
            let mut part = match bundle.part(name, variant) {
                Err(error) if error.kind == Kind::Unsupported => {
                    println!("skip {name} {variant}: {error}");
                    skipped += 1;
                    continue;
                }
                part => part?,
            };
            for found in bundle.check(&mut part)? {
                let verdict = if found.ok() { "ok" } else { "WRONG" };
                let (output, error, tolerance) = (&found.output, found.error, found.tolerance);
                println!(
                    "{verdict} {name} {variant} {output}: max error {error:.2e}, \
                     tolerance {tolerance:.2e}"
                );
                good &= found.ok();
                outputs += 1;
            }
            if timed {
                let taken = bundle.time(&mut part)?;
                println!("time {name} {variant}: {taken:.1} us for one row");
            }
        }
    }
    let (parts, engine) = (bundle.manifest.parts.len(), bundle.engine());
    let left = match skipped {
        0 => String::new(),
        1 => ", 1 variant skipped".to_string(),
        some => format!(", {some} variants skipped"),
    };
    println!("checked {outputs} outputs of {parts} parts with {engine}{left}");
    Ok(if good { 0 } else { 3 })
}

fn denoise<E: Engine>(words: Vec<String>, load: impl Fn() -> Result<E>) -> Result<i32> {
    let [folder, from, to] = exactly(words, "BUNDLE in.png out.png")?;
    let bundle = Bundle::open(folder, load()?)?;
    let mut denoiser = bundle.denoiser()?;
    let shape = bundle.manifest.input_shape;
    let pixels = picture::read(Path::new(&from), shape)?;
    picture::write_grid(Path::new(&to), &bundle.denoise(&mut denoiser, &pixels)?, shape)?;
    Ok(0)
}

fn generate<E: Engine>(mut words: Vec<String>, load: impl Fn() -> Result<E>) -> Result<i32> {
    let seed = number(&mut words, "--seed", 0, 0)?;
    let count = number(&mut words, "-n", 64, 1)?;
    let [folder, to] = exactly(words, "BUNDLE out.png")?;
    let bundle = Bundle::open(folder, load()?)?;
    let images = bundle.generate(seed, count as usize)?;
    picture::write_grid(Path::new(&to), &images, bundle.manifest.input_shape)?;
    Ok(0)
}

fn exactly<const N: usize>(words: Vec<String>, what: &str) -> Result<[String; N]> {
    if let Some(option) = words.iter().find(|word| word.starts_with('-')) {
        return Err(Error::usage(format!("there is no option {option}")));
    }
    <[String; N]>::try_from(words).map_err(|_| Error::usage(format!("expected {what}")))
}

/// The number after an option; both are taken out.
fn number(words: &mut Vec<String>, option: &str, otherwise: i64, lowest: i64) -> Result<i64> {
    let Some(at) = words.iter().position(|word| word == option) else {
        return Ok(otherwise);
    };
    if at + 1 == words.len() {
        return Err(Error::usage(format!("{option}: expected a value")));
    }
    let text = words.remove(at + 1);
    words.remove(at);
    let value = text.parse().ok().filter(|value| *value >= lowest);
    value.ok_or_else(|| {
        let largest = i64::MAX;
        Error::usage(format!(
            "{option}: expected a whole number from {lowest} to {largest}, got {text}"
        ))
    })
}
