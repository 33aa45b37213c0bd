//! The engine onnxruntime, loaded when the program runs.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::CStr;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use crate::error::{caught, one_line};
use crate::{DType, Engine, Error, Graph, Kind, Result, Size, Tensor, TensorSpec, Values, Variant};

/// Older ones read files that a graph names anywhere on the machine.
const OLDEST: &str = "1.24.1";

const OTHER_FILES: &str = "session.model_external_initializers_file_folder_path";
const NOWHERE: &str = if cfg!(windows) { "nul" } else { "/dev/null" };

/// The library of onnxruntime: the one that ORT_DYLIB_PATH names, else the one beside the program,
/// else the system's.
pub struct OnnxRuntime {
    environment: Environment,
    version: String,
}

impl OnnxRuntime {
    /// Load the library, without its telemetry. Fails if there is none, or it is too old.
    pub fn load() -> Result<Self> {
        let path = library();
        let version = version_of(&path)?;
        if release(&version) < release(OLDEST) {
            return Err(Error::new(
                Kind::Environment,
                format!(
                    "this program needs onnxruntime {OLDEST} or newer, this is {version}: put a \
                     newer library beside the program"
                ),
            ));
        }
        let builder = ort::init_from(&path).map_err(unusable)?;
        // Its log would quote the graph's texts on the terminal as they are.
        let silent = Arc::new(|_, _: &str, _: &str, _: &str, _: &str| {});
        let builder = builder.with_name("aeonnx").with_telemetry(false).with_logger(silent);
        let environment = builder.build().map_err(unusable)?;
        Ok(Self { environment, version })
    }
}

impl Engine for OnnxRuntime {
    fn version(&self) -> String {
        format!("onnxruntime {}", self.version)
    }

    fn open(&self, variant: &Variant, content: &[u8]) -> Result<Box<dyn Graph>> {
        let (file, version, needs) = (&variant.file, &self.version, &variant.min_onnxruntime);
        if release(version) < release(needs) {
            let opset = variant.opset;
            return Err(Error::new(
                Kind::Environment,
                format!(
                    "{file} needs onnxruntime {needs} or newer (opset {opset}), this is {version}: \
                     put a newer library beside the program"
                ),
            ));
        }
        let session = || {
            let builder = Session::builder(&self.environment)?;
            // At batch 1 these graphs are too small for more than one thread.
            let builder = builder.with_intra_threads(1)?;
            // A graph is read as the format that was checked, and opens no other file.
            let builder = builder.with_config_entry("session.load_model_format", "ONNX")?;
            builder.with_config_entry(OTHER_FILES, NOWHERE)?.commit_from_memory(content)
        };
        let session = caught(session)
            .map_err(|panic| Error::failed(format!("{file} cannot be opened: {panic}")))?
            .map_err(|error: ort::Error| {
                Error::failed(format!("{file} cannot be opened: {}", one_line(error)))
            })?;
        Ok(Box::new(OpenGraph { session, file: file.clone() }))
    }
}

fn unusable(error: impl Display) -> Error {
    Error::new(Kind::Environment, one_line(error))
}

struct OpenGraph {
    session: Session,
    file: String,
}

impl Graph for OpenGraph {
    fn interface(&self) -> (Vec<TensorSpec>, Vec<TensorSpec>) {
        let specs = |outlets: &[Outlet]| outlets.iter().map(spec_of).collect();
        (specs(self.session.inputs()), specs(self.session.outputs()))
    }

    fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let run = || {
            let values = inputs.iter().map(|tensor| view_of(tensor));
            let values = values.collect::<ort::Result<Vec<_>>>()?;
            let outputs = self.session.run(values.as_slice())?;
            outputs.values().map(|value| tensor_of(&value)).collect::<ort::Result<_>>()
        };
        let failed = |reason: String| Error::failed(format!("{} failed: {reason}", self.file));
        let found = caught(run).map_err(failed)?;
        found.map_err(|error: ort::Error| failed(one_line(error)))
    }
}

fn view_of(tensor: &Tensor) -> ort::Result<SessionInputValue<'_>> {
    let shape = tensor.shape.as_slice();
    Ok(match &tensor.values {
        Values::Float32(list) => TensorRef::from_array_view((shape, list.as_slice()))?.into(),
        Values::Uint8(list) => TensorRef::from_array_view((shape, list.as_slice()))?.into(),
        Values::Int64(list) => TensorRef::from_array_view((shape, list.as_slice()))?.into(),
        Values::Float64(list) => TensorRef::from_array_view((shape, list.as_slice()))?.into(),
    })
}

fn tensor_of(value: &ort::value::DynValue) -> ort::Result<Tensor> {
    let (shape, values) = match value.dtype().tensor_type() {
        Some(TensorElementType::Uint8) => {
            let (shape, list) = value.try_extract_tensor()?;
            (shape, Values::Uint8(list.to_vec()))
        }
        Some(TensorElementType::Int64) => {
            let (shape, list) = value.try_extract_tensor()?;
            (shape, Values::Int64(list.to_vec()))
        }
        Some(TensorElementType::Float64) => {
            let (shape, list) = value.try_extract_tensor()?;
            (shape, Values::Float64(list.to_vec()))
        }
        _ => {
            let (shape, list) = value.try_extract_tensor()?;
            (shape, Values::Float32(list.to_vec()))
        }
    };
    let shape = shape.iter().map(|size| *size as usize).collect();
    Ok(Tensor { shape, values })
}

fn spec_of(outlet: &Outlet) -> TensorSpec {
    let name = outlet.name().to_string();
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        let name = format!("{name}, which is not a tensor,");
        return TensorSpec { name, dtype: DType::Float32, shape: Vec::new(), range: None };
    };
    let (name, dtype) = match ty {
        TensorElementType::Float32 => (name, DType::Float32),
        TensorElementType::Uint8 => (name, DType::Uint8),
        TensorElementType::Int64 => (name, DType::Int64),
        TensorElementType::Float16 => (name, DType::Float16),
        TensorElementType::Float64 => (name, DType::Float64),
        other => (format!("{name} of {other}, not"), DType::Float32),
    };
    let size = |size: &i64| usize::try_from(*size).map_or(Size::Batch, Size::Fixed);
    TensorSpec { name, dtype, shape: shape.iter().map(size).collect(), range: None }
}

fn library() -> PathBuf {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let name = format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}");
    let program = std::env::current_exe().unwrap_or_default();
    let beside = program.with_file_name(&name);
    if beside.exists() { beside } else { name.into() }
}

// `ort` asks for the version too, but keeps it to itself.
fn version_of(path: &Path) -> Result<String> {
    type GetBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    let missing = |error: libloading::Error| {
        Error::new(
            Kind::Environment,
            format!(
                "onnxruntime cannot be loaded from {}: {}. Put {DLL_PREFIX}onnxruntime\
                 {DLL_SUFFIX} beside the program, or its path into ORT_DYLIB_PATH",
                path.display(),
                one_line(error)
            ),
        )
    };
    // SAFETY: the library is onnxruntime's, whose one entry point has had this type since 1.0, and
    // whose version is text without an end of life.
    unsafe {
        let library = libloading::Library::new(path).map_err(missing)?;
        let base = library.get::<GetBase>(b"OrtGetApiBase\0").map_err(missing)?();
        let version = CStr::from_ptr(((*base).GetVersionString)());
        Ok(version.to_string_lossy().into_owned())
    }
}

// "1.31.1" -> [1, 31, 1]
fn release(version: &str) -> Vec<u32> {
    let numbers = version.split('.').take(3);
    numbers.map(|number| number.parse().unwrap_or(0)).collect()
}
