//! Reads every FOLDER/manifests/*.json as if it were the manifest of FOLDER/bundle.

use std::fs;
use std::path::{Path, PathBuf};

use aeonnx::{Bundle, Engine, Graph, Manifest, Result, Variant};

/// Stands where an engine does: no graph is opened here.
struct NoEngine;

impl Engine for NoEngine {
    fn version(&self) -> String {
        "none".into()
    }

    fn open(&self, _: &Variant, _: &[u8]) -> Result<Box<dyn Graph>> {
        unreachable!("no graph is opened")
    }
}

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("usage: fuzz FOLDER"));
    let entries = fs::read_dir(folder.join("manifests")).expect("FOLDER/manifests");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read(&path).expect("a manifest");
        match read_all(&folder.join("bundle"), &text) {
            Ok(()) => println!("{name} accepted"),
            Err(error) => println!("{name} refused: {error}"),
        }
    }
}

/// Every file that a manifest names.
fn read_all(folder: &Path, text: &[u8]) -> Result<()> {
    let bundle = Bundle::with(folder, Manifest::parse(text, "manifest.json")?, NoEngine);
    for variant in bundle.manifest.parts.values().flat_map(|variants| variants.values()) {
        bundle.read(&variant.file, &variant.sha256)?;
        bundle.golden(&variant.golden_inputs)?;
        bundle.golden(&variant.golden_outputs)?;
    }
    Ok(())
}
