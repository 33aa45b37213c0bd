//! Bundles of aeonnx: encoders, decoders, denoisers and samplers as ONNX graphs that were
//! verified against torch.
//!
//! [`Bundle`] is engine-free: it opens a folder, checks digests and interfaces, and runs graphs
//! through an [`Engine`]: [`onnxruntime::OnnxRuntime`], or [`tract::Tract`] without a native library.

mod bundle;
pub mod command;
mod error;
mod fields;
mod files;
pub mod fuzz;
mod graph;
mod manifest;
#[cfg(feature = "onnxruntime")]
pub mod onnxruntime;
mod part;
pub mod picture;
mod pixels;
mod tensor;
#[cfg(feature = "tract")]
pub mod tract;
mod verbs;

pub use bundle::{Bundle, Checked, Engine, Graph, Tensors};
pub use error::{Error, Kind, Result};
pub use manifest::{DType, Manifest, Size, Stored, TensorSpec, Variant};
pub use part::Part;
pub use tensor::{Tensor, Values};

/// Names in a sentence.
fn listed(names: impl Iterator<Item = impl ToString>) -> String {
    match names.map(|name| name.to_string()).collect::<Vec<_>>() {
        names if names.is_empty() => "nothing".to_string(),
        names => names.join(", "),
    }
}
