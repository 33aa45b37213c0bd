//! A bundle: its graphs as functions of arrays, its golden vectors, and the verbs made of them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::tensor::larger;
use crate::{Error, Manifest, Result, Size, Stored, Tensor, TensorSpec, Values, Variant};

/// Images that `generate` asks for in one run.
const AT_ONCE: usize = 64;
const CALLS: usize = 300;
const WARM_UP: usize = 50;

/// Arrays by name.
pub type Tensors = HashMap<String, Tensor>;

/// What runs graphs.
pub trait Engine {
    /// Name and version, such as "onnxruntime 1.31.1".
    fn version(&self) -> String;

    /// Make a graph of its file's content. Fails with `Kind::Environment` if the engine is too old,
    /// and with `Kind::Unsupported` if it lacks an operator.
    fn open(&self, variant: &Variant, content: &[u8]) -> Result<Box<dyn Graph>>;
}

/// An open graph.
pub trait Graph {
    /// What it takes and gives, to be compared with the manifest.
    fn interface(&self) -> (Vec<TensorSpec>, Vec<TensorSpec>);

    /// Outputs of inputs, in the order of the manifest.
    fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>>;
}

/// What became of one golden output.
#[derive(Clone, Debug)]
pub struct Checked {
    pub output: String,
    /// Largest |output - golden|; NaN if one of them is.
    pub error: f64,
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
                 Make one with: aeonnx export --model vae -o {place}"
            )));
        }
        let manifest = Manifest::parse(&content_of(&path)?, &path.display().to_string())?;
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
    /// those of the manifest. Keep it, opening takes milliseconds.
    pub fn part(&self, name: &str, variant: &str) -> Result<Part> {
        let wanted = self.variant(name, variant)?.clone();
        let content = self.read(&wanted.file, &wanted.sha256)?;
        let graph = self.engine.open(&wanted, &content)?;
        let (inputs, outputs) = graph.interface();
        require(&wanted.file, "input", &wanted.inputs, &inputs)?;
        require(&wanted.file, "output", &wanted.outputs, &outputs)?;
        Ok(Part { name: name.to_string(), variant: wanted, graph })
    }

    /// Stored arrays, with their digests and sizes checked.
    pub fn golden(&self, stored: &BTreeMap<String, Stored>) -> Result<Tensors> {
        let array = |(name, item): (&String, &Stored)| {
            let data = self.read(&item.file, &item.sha256)?;
            let expected = item.shape.iter().product::<usize>() * item.dtype.width();
            if data.len() != expected {
                let (path, got) = (self.folder.join(&item.file), data.len());
                return Err(Error::failed(format!(
                    "{}: {:?} of {} is {expected} bytes, got {got}",
                    path.display(),
                    item.shape,
                    item.dtype
                )));
            }
            Ok((name.clone(), Tensor::stored(item.dtype, &item.shape, &data)?))
        };
        stored.iter().map(array).collect()
    }

    /// A file that the manifest names, with its digest checked.
    pub fn read(&self, file: &str, sha256: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(file);
        let place = path.display();
        if !path.exists() {
            return Err(Error::failed(format!(
                "{place} is missing, though the manifest names it: export the bundle again"
            )));
        }
        let data = content_of(&path)?;
        let digest = Sha256::digest(&data);
        let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if found != sha256 {
            return Err(Error::failed(format!(
                "{place} is not the file that the manifest names: expected sha256 {sha256}, \
                 got {found}. Export the bundle again."
            )));
        }
        Ok(data)
    }

    /// Golden inputs through a graph, all rows at once and each alone, beside what torch gave.
    pub fn check(&self, part: &mut Part) -> Result<Vec<Checked>> {
        let inputs = self.golden(&part.variant.golden_inputs)?;
        let expected = self.golden(&part.variant.golden_outputs)?;
        let mut errors: BTreeMap<String, f64> = BTreeMap::new();
        let mut compare = |found: Tensors, first: usize| {
            for (name, tensor) in found {
                let error = tensor.difference(&expected[&name], first);
                let worst = errors.entry(name).or_insert(0.0);
                *worst = larger(*worst, error);
            }
        };
        compare(part.run(&inputs)?, 0);
        if part.fixed_rows().is_none() {
            let rows = expected.values().next().map_or(0, Tensor::rows);
            for row in 0..rows {
                compare(part.run(&part.rows_of(&inputs, row, 1))?, row);
            }
        }
        let checked = errors.into_iter().map(|(output, error)| {
            let tolerance = part.variant.golden_outputs[&output].tolerance;
            Checked { output, error, tolerance }
        });
        Ok(checked.collect())
    }

    /// Microseconds for the first golden row: the median of calls, after a warm-up.
    pub fn time(&self, part: &mut Part) -> Result<f64> {
        let inputs = self.golden(&part.variant.golden_inputs)?;
        let row = part.rows_of(&inputs, 0, part.fixed_rows().unwrap_or(1));
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

    /// Open the part that `denoise` runs: on pixels where the bundle has that, else on floats.
    pub fn denoiser(&self) -> Result<Part> {
        let pixels = self.has("denoiser", "fp32-uint8");
        self.part("denoiser", if pixels { "fp32-uint8" } else { "fp32" })
    }

    /// An image without its noise: uint8 [C, H, W] -> uint8 [C, H, W].
    pub fn denoise(&self, denoiser: &mut Part, pixels: &[u8]) -> Result<Vec<u8>> {
        let [channels, height, width] = self.manifest.input_shape;
        let values = match denoiser.variant.inputs[0].dtype {
            crate::DType::Uint8 => Values::Uint8(pixels.to_vec()),
            _ => Values::Float32(pixels.iter().map(|p| f32::from(*p) / 255.0).collect()),
        };
        let x = Tensor::new(&[1, channels, height, width], values)?;
        let input = denoiser.variant.inputs[0].name.clone();
        let output = denoiser.variant.outputs[0].name.clone();
        let mut found = denoiser.run(&HashMap::from([(input, x)]))?;
        match found.remove(&output).map(|tensor| tensor.values) {
            Some(Values::Uint8(pixels)) => Ok(pixels),
            Some(Values::Float32(values)) => Ok(values.into_iter().map(to_pixel).collect()),
            _ => Err(Error::failed("denoiser: expected float32 or uint8 images")),
        }
    }

    /// New images, uint8 [count, C, H, W]: image i of a seed is the same in every language.
    pub fn generate(&self, seed: i64, count: usize) -> Result<Vec<u8>> {
        let mut sampler = self.part("sampler", "fp32")?;
        let seed = Tensor::new(&[1], Values::Int64(vec![seed]))?;
        let mut images = Vec::new();
        for first in (0..count).step_by(AT_ONCE) {
            let index = (first..count.min(first + AT_ONCE)).map(|i| i as i64).collect();
            let index = Tensor::new(&[AT_ONCE.min(count - first)], Values::Int64(index))?;
            let inputs = [("seed".to_string(), seed.clone()), ("index".to_string(), index)];
            let mut found = sampler.run(&HashMap::from(inputs))?;
            match found.remove("image").map(|tensor| tensor.values) {
                Some(Values::Uint8(pixels)) => images.extend(pixels),
                _ => return Err(Error::failed("sampler: expected an output image of uint8")),
            }
        }
        Ok(images)
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

/// An open graph: arrays by name -> arrays by name.
pub struct Part {
    pub variant: Variant,
    name: String,
    graph: Box<dyn Graph>,
}

impl Part {
    /// Any number of rows; a graph that is fixed to so many at once gets them in turns. Fails if an
    /// input is missing or has another type or shape.
    pub fn run(&mut self, inputs: &Tensors) -> Result<Tensors> {
        let rows = self.rows_in(inputs)?;
        let Some(fixed) = self.fixed_rows() else {
            return self.run_once(inputs);
        };
        let mut answers = Tensors::new();
        for first in (0..rows).step_by(fixed) {
            let found = self.run_once(&self.rows_of(inputs, first, fixed))?;
            for (name, tensor) in found {
                let kept = tensor.rows_of(0, fixed.min(rows - first));
                let answer = match answers.remove(&name) {
                    Some(before) => before.followed_by(kept),
                    None => kept,
                };
                answers.insert(name, answer);
            }
        }
        Ok(answers)
    }

    /// The rows that the graph is fixed to; None if it takes any number.
    pub fn fixed_rows(&self) -> Option<usize> {
        match self.variant.outputs[0].shape.first() {
            Some(Size::Fixed(rows)) => Some(*rows),
            _ => None,
        }
    }

    /// Rows of the inputs; a seed is for all of them and stays whole.
    pub fn rows_of(&self, inputs: &Tensors, first: usize, rows: usize) -> Tensors {
        let taken = inputs.iter().map(|(name, tensor)| match name.as_str() {
            "seed" => (name.clone(), tensor.clone()),
            _ => (name.clone(), tensor.rows_of(first, rows)),
        });
        taken.collect()
    }

    fn run_once(&mut self, inputs: &Tensors) -> Result<Tensors> {
        let values: Vec<_> = self.variant.inputs.iter().map(|spec| &inputs[&spec.name]).collect();
        let found = self.graph.run(&values)?;
        let names = self.variant.outputs.iter().map(|spec| spec.name.clone());
        Ok(names.zip(found).collect())
    }

    fn rows_in(&self, inputs: &Tensors) -> Result<usize> {
        let name = &self.name;
        let mut rows = None;
        for spec in &self.variant.inputs {
            let tensor = inputs.get(&spec.name).ok_or_else(|| {
                let wanted = listed(self.variant.inputs.iter());
                Error::failed(format!("{name}: expected the inputs {wanted}"))
            })?;
            let per_row = spec.name != "seed";
            let expected = spec.shape.iter().enumerate().map(|(axis, size)| match size {
                _ if axis == 0 && per_row => *rows.get_or_insert(tensor.rows().max(1)),
                Size::Batch => tensor.rows(),
                Size::Fixed(size) => *size,
            });
            let same = expected.eq(tensor.shape.iter().copied());
            if !same || tensor.values.dtype() != spec.dtype {
                let (dtype, shape) = (tensor.values.dtype(), &tensor.shape);
                let text = format!("{name}: expected {spec}, got {dtype} {shape:?}");
                return Err(Error::failed(text));
            }
        }
        Ok(rows.unwrap_or(1))
    }
}

fn require(file: &str, kind: &str, specs: &[TensorSpec], found: &[TensorSpec]) -> Result<()> {
    let shown = |specs: &[TensorSpec], i: usize| {
        specs.get(i).map_or("nothing".to_string(), TensorSpec::to_string)
    };
    for i in 0..specs.len().max(found.len()) {
        let (expected, got) = (shown(specs, i), shown(found, i));
        if expected != got {
            return Err(Error::failed(format!(
                "{file}: expected {kind} {expected}, the graph has {got}"
            )));
        }
    }
    Ok(())
}

fn content_of(path: &Path) -> Result<Vec<u8>> {
    fs::read(path)
        .map_err(|error| Error::failed(format!("cannot read {}: {error}", path.display())))
}

fn to_pixel(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round_ties_even() as u8
}

fn listed(names: impl Iterator<Item = impl ToString>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}
