//! Bundles made by hand, and an engine whose graphs give what a test says.
#![allow(dead_code)] // each test uses some of it

pub mod scorer;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aeonnx::command::answer;
use aeonnx::{Bundle, Engine, Graph, Outlet, Result, Tensor, Values, Variant};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A model whose graph is empty.
const GRAPH: [u8; 2] = [7 << 3 | 2, 0];
static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// (input, values) -> output.
pub type Give = fn(&[f32], &[f32]) -> Vec<f32>;
type GiveAll = dyn Fn(&[&Tensor]) -> Vec<Tensor>;

/// Gives what a function makes of all inputs, and remembers the first of them.
#[derive(Clone)]
pub struct Made {
    give: Rc<GiveAll>,
    pub seen: Rc<RefCell<Vec<Tensor>>>,
}

struct MadeGraph(Made, Variant);

impl Engine for Made {
    fn version(&self) -> String {
        "made 1.0".to_string()
    }

    fn open(&self, variant: &Variant, _: &[u8]) -> Result<Box<dyn Graph>> {
        Ok(Box::new(MadeGraph(self.clone(), variant.clone())))
    }
}

impl Graph for MadeGraph {
    fn interface(&self) -> (Vec<Outlet>, Vec<Outlet>) {
        let all = |specs: &[aeonnx::TensorSpec]| specs.iter().map(Outlet::from).collect();
        (all(&self.1.inputs), all(&self.1.outputs))
    }

    fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        self.0.seen.borrow_mut().push(inputs[0].clone());
        Ok((self.0.give)(inputs))
    }
}

/// A folder that is removed with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let name = format!("aeonnx-{}-{}", process::id(), FOLDERS.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// A file in it, as manifests name files.
    pub fn file(&self, name: &str, content: &[u8]) -> Value {
        fs::write(self.0.join(name), content).unwrap();
        let digest = Sha256::digest(content);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"file": name, "sha256": digest})
    }

    /// A stored float32 array.
    pub fn array(&self, name: &str, shape: &[usize], values: &[f32]) -> Value {
        let bytes: Vec<_> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        with(self.file(name, &bytes), json!({"dtype": "float32", "shape": shape}))
    }

    /// A manifest with one part, and one set of golden vectors.
    pub fn manifest(
        &self,
        part: &str,
        [inputs, outputs]: [Value; 2],
        axes: Value,
        golden: Value,
    ) -> Value {
        let graph = json!({
            "bytes": GRAPH.len(), "opset": 18, "min_onnxruntime": "1.14",
            "inputs": inputs, "outputs": outputs, "axes": axes, "golden": [golden],
            "percentiles": {},
        });
        let variant = with(self.file("part.onnx", &GRAPH), graph);
        let parts = HashMap::from([(part, json!({"fp32": variant}))]);
        json!({
            "format": "aeonnx-bundle", "version": 2, "model": "dae", "parts": parts,
        })
    }

    pub fn open(&self, manifest: &Value, engine: Made) -> Result<Bundle<Made>> {
        fs::write(self.0.join("manifest.json"), manifest.to_string()).unwrap();
        Bundle::open(&self.0, engine)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Words, in which "@" is the folder, to the program with an engine: exit code and error.
pub fn said(folder: &Folder, engine: &Made, words: &[&str]) -> (i32, String) {
    let place = folder.0.display().to_string();
    let words = words.iter().map(|word| OsString::from(word.replace('@', &place))).collect();
    let text = |error: aeonnx::Error| (error.exit_code(), error.to_string().replace(&place, "@"));
    answer(words, || Ok(engine.clone())).map_or_else(text, |code| (code, String::new()))
}

/// A file of float32, version 1.0.
pub fn npy(shape: &str, values: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut data = b"\x93NUMPY\x01\x00".to_vec();
    data.extend((header.len() as u16).to_le_bytes());
    data.extend(header.as_bytes());
    data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    data
}

/// The axes of a part that takes any number of rows.
pub fn rows() -> Value {
    json!({"batch": {"multiple": 1, "min": 1, "max": null, "margin": 0}})
}

pub fn made(give: impl Fn(&[&Tensor]) -> Vec<Tensor> + 'static) -> Made {
    Made { give: Rc::new(give), seen: Rc::default() }
}

/// Gives `give(input, values)` for one float32 input and one output.
pub fn engine(give: Give, values: &[f32]) -> Made {
    let values = values.to_vec();
    made(move |inputs| {
        let values = Values::Float32(give(floats(inputs[0]), &values));
        vec![Tensor::new(&inputs[0].shape, values).unwrap()]
    })
}

pub fn floats(tensor: &Tensor) -> &[f32] {
    let Values::Float32(values) = &tensor.values else { panic!("expected float32") };
    values
}

pub fn with(mut fields: Value, others: Value) -> Value {
    let Value::Object(others) = others else { panic!("expected an object") };
    fields.as_object_mut().expect("an object").extend(others);
    fields
}
