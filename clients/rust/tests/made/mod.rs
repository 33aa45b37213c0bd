//! Bundles made by hand, and an engine whose graphs give what a test says.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aeonnx::{Bundle, Engine, Graph, Result, Tensor, TensorSpec, Variant};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A model whose graph is empty.
const GRAPH: [u8; 2] = [7 << 3 | 2, 0];
static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// (input, values) -> output.
pub type Give = fn(&[f32], &[f32]) -> Vec<f32>;

/// Gives `give(input, values)` for one float32 input and one output, and remembers the inputs.
#[derive(Clone)]
pub struct Made {
    give: Give,
    values: Vec<f32>,
    pub seen: Rc<RefCell<Vec<f32>>>,
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
    fn interface(&self) -> (Vec<TensorSpec>, Vec<TensorSpec>) {
        (self.1.inputs.clone(), self.1.outputs.clone())
    }

    fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let aeonnx::Values::Float32(x) = &inputs[0].values else { panic!("expected float32") };
        self.0.seen.replace(x.clone());
        let values = (self.0.give)(x, &self.0.values);
        Ok(vec![Tensor::new(&inputs[0].shape, aeonnx::Values::Float32(values))?])
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
    fn file(&self, name: &str, content: &[u8]) -> Value {
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

    /// A manifest with one part.
    pub fn manifest(&self, part: &str, x: Value, y: Value, golden: Value) -> Value {
        let graph = json!({
            "bytes": GRAPH.len(), "opset": 18, "min_onnxruntime": "1.14",
            "inputs": [x], "outputs": [y], "golden": golden,
        });
        let variant = with(self.file("part.onnx", &GRAPH), graph);
        let parts = HashMap::from([(part, json!({"fp32": variant}))]);
        json!({
            "format": "aeonnx-bundle", "version": 1, "model": "dae", "input_shape": [1, 16, 16],
            "latent_size": 4, "parts": parts,
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

pub fn engine(give: Give, values: &[f32]) -> Made {
    Made { give, values: values.to_vec(), seen: Rc::default() }
}

pub fn with(mut fields: Value, others: Value) -> Value {
    let Value::Object(others) = others else { panic!("expected an object") };
    fields.as_object_mut().expect("an object").extend(others);
    fields
}
