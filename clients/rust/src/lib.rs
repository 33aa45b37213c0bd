//! Bundles of aeonnx: encoders, decoders, denoisers and samplers as ONNX graphs that were
//! verified against torch.
//!
//! [`Bundle`] is engine-free: it opens a folder, checks digests and interfaces, and runs graphs
//! through an [`Engine`]: [`onnxruntime::OnnxRuntime`], or [`tract::Tract`] without a native library.

mod axes;
mod bundle;
pub mod command;
mod csv;
mod denoise;
mod error;
mod fields;
mod files;
pub mod fuzz;
mod generate;
mod graph;
mod manifest;
mod needs;
mod normal;
mod npy;
#[cfg(feature = "onnxruntime")]
pub mod onnxruntime;
mod part;
pub mod picture;
mod pixels;
mod run;
mod score;
mod score_files;
mod spec;
mod tensor;
mod tiles;
#[cfg(feature = "tract")]
pub mod tract;
mod variant;

pub use axes::{Axis, Size, Sizes};
pub use bundle::{Bundle, Checked, Engine, Graph, Outlet, Tensors};
pub use error::{Error, Kind, Result};
pub use manifest::Manifest;
pub use normal::NormalScores;
pub use part::Part;
pub use pixels::Picture;
pub use score::{Scores, Threshold};
pub use spec::{DType, Golden, Stored, TensorKind, TensorSpec, Variant};
pub use tensor::{Tensor, Values};

/// Names in a sentence.
fn listed(names: impl Iterator<Item = impl ToString>) -> String {
    match names.map(|name| name.to_string()).collect::<Vec<_>>() {
        names if names.is_empty() => "nothing".to_string(),
        names => names.join(", "),
    }
}
