//! A bundle: its graphs as functions of arrays, its golden vectors, and how they compare.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::graph::require_plain;
use crate::tensor::larger;
use crate::{
    Error, Golden, Manifest, Part, Result, Stored, Tensor, TensorSpec, Variant, files, listed,
};

const CALLS: usize = 300;
const WARM_UP: usize = 50;
const LARGEST_MANIFEST: u64 = 16 << 20;
/// A graph, a golden file, or a row of a tensor; protobuf has no larger messages.
pub(crate) const LARGEST_FILE: u64 = 2 << 30;

/// Arrays by name.
pub type Tensors = HashMap<String, Tensor>;

/// What runs graphs.
pub trait Engine {
    /// Name and version, such as "onnxruntime 1.31.1".
    fn version(&self) -> String;

    /// Make a graph of its file's content, which was checked. Fails with `Kind::Environment` if the
    /// engine is too old, and with `Kind::Unsupported` if it lacks an operator.
    fn open(&self, variant: &Variant, content: &[u8]) -> Result<Box<dyn Graph>>;
}

impl<E: Engine> Engine for &E {
    fn version(&self) -> String {
        (**self).version()
    }

    fn open(&self, variant: &Variant, content: &[u8]) -> Result<Box<dyn Graph>> {
        (**self).open(variant, content)
    }
}

/// An input or output of an open graph, in the manifest's words; one that the engine has no such word
/// for has the engine's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlet {
    pub name: String,
    /// "float32"
    pub dtype: String,
    /// "batch", "28", "height/8"
    pub shape: Vec<String>,
}

/// An open graph.
pub trait Graph {
    /// What it takes and gives, to be compared with the manifest.
    fn interface(&self) -> (Vec<Outlet>, Vec<Outlet>);

    /// Outputs of inputs, in the order of the manifest.
    fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>>;
}

impl From<&TensorSpec> for Outlet {
    fn from(spec: &TensorSpec) -> Self {
        let shape = spec.shape.iter().map(ToString::to_string).collect();
        Self { name: spec.name.clone(), dtype: spec.dtype.to_string(), shape }
    }
}

/// What became of one golden output.
#[derive(Clone, Debug)]
pub struct Checked {
    pub output: String,
    /// Largest |output - golden| of the row where that is the most of its tolerance, in all sets of
    /// golden vectors; NaN if one is.
    pub error: f64,
    /// Of that row. All others are right if it is.
    pub tolerance: f64,
}

impl Checked {
    pub fn ok(&self) -> bool {
        self.error <= self.tolerance
    }
}

/// The parts of one trained model.
pub struct Bundle<E> {
    pub folder: PathBuf,
    pub manifest: Manifest,
    engine: E,
}

impl<E: Engine> Bundle<E> {
    /// Open a bundle. Fails if there is none, or its manifest is damaged or of a newer format.
    pub fn open(folder: impl AsRef<Path>, engine: E) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join("manifest.json");
        if !path.exists() {
            let place = folder.display();
            let what = if folder.is_dir() { "has no manifest.json" } else { "is not a folder" };
            return Err(Error::failed(format!(
                "no bundle at {place}: it {what}. \
                 Make one with: aeonnx export --model MODEL -o {place}"
            )));
        }
        let text = files::read(&path, files::at_most(&path, LARGEST_MANIFEST))?;
        let manifest = Manifest::parse(&text, &path.display().to_string())?;
        Ok(Self::with(folder, manifest, engine))
    }

    /// With a manifest that was read already.
    pub fn with(folder: impl AsRef<Path>, manifest: Manifest, engine: E) -> Self {
        let folder = folder.as_ref().to_path_buf();
        Self { folder, manifest, engine }
    }

    /// Name and version of the engine.
    pub fn engine(&self) -> String {
        self.engine.version()
    }

    pub fn has(&self, part: &str, variant: &str) -> bool {
        let variants = self.manifest.parts.get(part);
        variants.is_some_and(|variants| variants.contains_key(variant))
    }

    /// Open a part in a variant, "fp32", "int8-uint8" and the like: its digest and its interface are
    /// those of the manifest, and it holds nothing that bundles never do. Keep it, opening takes
    /// milliseconds.
    pub fn part(&self, name: &str, variant: &str) -> Result<Part> {
        let wanted = self.variant(name, variant)?.clone();
        let content = self.read(&wanted.file, &wanted.sha256, wanted.bytes)?;
        require_plain(&wanted.file, &content)?;
        let graph = self.engine.open(&wanted, &content)?;
        let (inputs, outputs) = graph.interface();
        require(&wanted.file, "input", &wanted.inputs, &inputs)?;
        require(&wanted.file, "output", &wanted.outputs, &outputs)?;
        Part::new(name, wanted, graph)
    }

    /// Stored arrays, with their digests and sizes checked.
    pub fn golden(&self, stored: &BTreeMap<String, Stored>) -> Result<Tensors> {
        let array = |(name, item): (&String, &Stored)| {
            let values: u64 = item.shape.iter().map(|size| *size as u64).product();
            let bytes = values * item.dtype.width() as u64;
            let data = self.read(&item.file, &item.sha256, bytes)?;
            Ok((name.clone(), Tensor::stored(item.dtype, &item.shape, &data)?))
        };
        stored.iter().map(array).collect()
    }

    /// A file that the manifest names, with its size, which is asked before it is read, and its
    /// digest checked.
    pub fn read(&self, file: &str, sha256: &str, bytes: u64) -> Result<Vec<u8>> {
        let path = self.folder.join(file);
        let place = path.display();
        if !path.exists() {
            return Err(Error::failed(format!(
                "{place} is missing, though the manifest names it: export the bundle again"
            )));
        }
        let other = |expected: String, got: String| {
            Error::failed(format!(
                "{place} is not the file that the manifest names: expected {expected}, got {got}. \
                 Export the bundle again."
            ))
        };
        let data = files::read(&path, |size| match size {
            size if size == bytes => files::at_most(&path, LARGEST_FILE)(size),
            size => Err(other(format!("{bytes} bytes"), size.to_string())),
        })?;
        let digest = Sha256::digest(&data);
        let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if found != sha256 {
            return Err(other(format!("sha256 {sha256}"), found));
        }
        Ok(data)
    }

    /// Golden inputs through a graph, all rows at once and each alone, beside what torch gave.
    pub fn check(&self, part: &mut Part) -> Result<Vec<Checked>> {
        let mut worst: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for golden in &part.variant.golden.clone() {
            for (output, errors) in self.errors_of(part, golden)? {
                let tolerances = golden.outputs[&output].tolerances.iter();
                let rows = errors.into_iter().zip(tolerances.copied());
                let row = worst.remove(&output).into_iter().chain(rows).reduce(worse_row);
                worst.insert(output, row.expect("an output has a row"));
            }
        }
        let checked = |(output, (error, tolerance))| Checked { output, error, tolerance };
        Ok(worst.into_iter().map(checked).collect())
    }

    /// The largest |output - golden| of each row of each output.
    fn errors_of(&self, part: &mut Part, golden: &Golden) -> Result<BTreeMap<String, Vec<f64>>> {
        let (inputs, expected) = (self.golden(&golden.inputs)?, self.golden(&golden.outputs)?);
        let mut errors: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut compare = |found: Tensors, first: usize| {
            for (name, tensor) in found {
                let differences = tensor.differences(&expected[&name], first);
                let rows = expected[&name].rows();
                let worst = errors.entry(name).or_insert_with(|| vec![0.0; rows]);
                for (worst, error) in worst[first..].iter_mut().zip(differences) {
                    *worst = larger(*worst, error);
                }
            }
        };
        compare(part.run(&inputs)?, 0);
        if part.variant.fixed_rows().is_none() {
            let rows = expected.values().next().map_or(0, Tensor::rows);
            for row in 0..rows {
                compare(part.run(&part.rows_of(&inputs, row, 1))?, row);
            }
        }
        Ok(errors)
    }

    /// Microseconds for the first golden row: the median of calls, after a warm-up.
    pub fn time(&self, part: &mut Part) -> Result<f64> {
        let inputs = self.golden(&part.variant.golden[0].inputs)?;
        let row = part.rows_of(&inputs, 0, part.variant.fixed_rows().unwrap_or(1));
        let mut taken = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let started = Instant::now();
            part.run(&row)?;
            taken.push(started.elapsed().as_secs_f64() * 1e6);
        }
        let warm = &mut taken[WARM_UP..];
        warm.sort_by(f64::total_cmp);
        Ok(warm[warm.len() / 2])
    }

    fn variant(&self, part: &str, variant: &str) -> Result<&Variant> {
        let parts = &self.manifest.parts;
        let variants = parts.get(part).ok_or_else(|| {
            let (has, model) = (listed(parts.keys()), &self.manifest.model);
            Error::failed(format!(
                "this bundle has no part \"{part}\", it has: {has}. \
                 Export it with: aeonnx export --model {model} --part {part}"
            ))
        })?;
        variants.get(variant).ok_or_else(|| {
            let has = listed(variants.keys());
            Error::failed(format!("part \"{part}\" has no variant \"{variant}\", it has: {has}"))
        })
    }
}

/// Of two rows, each an error and a tolerance, the one with the larger error / tolerance, where NaN is
/// the largest; the first if they are equal.
fn worse_row(worst: (f64, f64), next: (f64, f64)) -> (f64, f64) {
    let ratio = |(error, tolerance): (f64, f64)| error / tolerance;
    let kept = ratio(worst).is_nan() || ratio(next) <= ratio(worst);
    if kept { worst } else { next }
}

fn require(file: &str, kind: &str, specs: &[TensorSpec], found: &[Outlet]) -> Result<()> {
    for i in 0..specs.len().max(found.len()) {
        let (expected, got) = (specs.get(i).map(Outlet::from), found.get(i));
        if expected.as_ref() != got {
            let shown = |outlet: Option<&Outlet>| {
                let shown =
                    outlet.map(|it| format!("{} {} [{}]", it.name, it.dtype, it.shape.join(", ")));
                shown.unwrap_or("nothing".to_string())
            };
            let (expected, got) = (shown(expected.as_ref()), shown(got));
            return Err(Error::failed(format!(
                "{file}: expected {kind} {expected}, the graph has {got}"
            )));
        }
    }
    Ok(())
}
