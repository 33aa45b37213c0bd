//! The engine onnxruntime, loaded when the program runs.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::CStr;
use std::path::{Path, PathBuf};

use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use crate::{DType, Engine, Error, Graph, Kind, Result, Size, Tensor, TensorSpec, Values, Variant};

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
        let builder = ort::init_from(&path).map_err(|error| {
            Error::new(
                Kind::Environment,
                format!("onnxruntime {version} is too old for this program: {error}"),
            )
        })?;
        let environment = builder.with_name("aeonnx").with_telemetry(false).build();
        let environment =
            environment.map_err(|error| Error::new(Kind::Environment, error.to_string()))?;
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
            builder.with_intra_threads(1)?.commit_from_memory(content)
        };
        let session = session().map_err(|error: ort::Error| {
            Error::failed(format!("{file} cannot be opened: {error}"))
        })?;
        Ok(Box::new(OpenGraph { session, file: file.clone() }))
    }
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
        let mut run = || {
            let values = inputs.iter().map(|tensor| view_of(tensor));
            let values = values.collect::<ort::Result<Vec<_>>>()?;
            let outputs = self.session.run(values.as_slice())?;
            outputs.values().map(|value| tensor_of(&value)).collect::<ort::Result<_>>()
        };
        run().map_err(|error: ort::Error| Error::failed(format!("{} failed: {error}", self.file)))
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
        return TensorSpec { name, dtype: DType::Float32, shape: Vec::new() };
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
    TensorSpec { name, dtype, shape: shape.iter().map(size).collect() }
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
                "onnxruntime cannot be loaded from {}: {error}. Put {DLL_PREFIX}onnxruntime\
                 {DLL_SUFFIX} beside the program, or its path into ORT_DYLIB_PATH",
                path.display()
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

// "1.31.1" -> [1, 31]
fn release(version: &str) -> Vec<u32> {
    let numbers = version.split('.').take(2);
    numbers.map(|number| number.parse().unwrap_or(0)).collect()
}
