//! The engine onnxruntime, loaded when the program runs.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::CStr;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::{TensorElementType, TensorRef, ValueType};

use crate::error::{caught, one_line};
use crate::{DType, Engine, Error, Graph, Kind, Outlet, Result, Tensor, Values, Variant};

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
    fn interface(&self) -> (Vec<Outlet>, Vec<Outlet>) {
        let all = |outlets: &[ort::value::Outlet]| outlets.iter().map(outlet_of).collect();
        (all(self.session.inputs()), all(self.session.outputs()))
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
        Values::Int32(list) => TensorRef::from_array_view((shape, list.as_slice()))?.into(),
        Values::Bool(list) => TensorRef::from_array_view((shape, list.as_slice()))?.into(),
    })
}

fn tensor_of(value: &ort::value::DynValue) -> ort::Result<Tensor> {
    macro_rules! taken {
        ($values:path) => {{
            let (shape, list) = value.try_extract_tensor()?;
            (shape, $values(list.to_vec()))
        }};
    }
    let (shape, values) = match value.dtype().tensor_type() {
        Some(TensorElementType::Uint8) => taken!(Values::Uint8),
        Some(TensorElementType::Int64) => taken!(Values::Int64),
        Some(TensorElementType::Float64) => taken!(Values::Float64),
        Some(TensorElementType::Int32) => taken!(Values::Int32),
        Some(TensorElementType::Bool) => bools_of(value)?,
        _ => taken!(Values::Float32),
    };
    let shape = shape.iter().map(|size| *size as usize).collect();
    Ok(Tensor { shape, values })
}

/// A graph can hold bytes other than 0 and 1 for booleans, which Rust's may not have.
fn bools_of(value: &ort::value::DynValue) -> ort::Result<(&ort::value::Shape, Values)> {
    let tensor = value.view().downcast::<ort::value::DynTensorValueType>()?;
    let ValueType::Tensor { shape, .. } = value.dtype() else { unreachable!("it was asked") };
    let bytes = match shape.num_elements() {
        0 => &[][..],
        // SAFETY: a tensor of booleans in the processor's memory has a byte for each element.
        count => unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<u8>(), count) },
    };
    Ok((shape, Values::Bool(bytes.iter().map(|byte| *byte != 0).collect())))
}

fn outlet_of(outlet: &ort::value::Outlet) -> Outlet {
    let name = outlet.name().to_string();
    let ValueType::Tensor { ty, shape, dimension_symbols } = outlet.dtype() else {
        return Outlet { name, dtype: "no tensor".to_string(), shape: Vec::new() };
    };
    let known = match ty {
        TensorElementType::Float32 => Some(DType::Float32),
        TensorElementType::Uint8 => Some(DType::Uint8),
        TensorElementType::Int64 => Some(DType::Int64),
        TensorElementType::Float16 => Some(DType::Float16),
        TensorElementType::Float64 => Some(DType::Float64),
        TensorElementType::Int32 => Some(DType::Int32),
        TensorElementType::Bool => Some(DType::Bool),
        _ => None,
    };
    let dtype = known.map_or_else(|| ty.to_string(), |known| known.to_string());
    let size = |(size, symbol): (&i64, &String)| match usize::try_from(*size) {
        Ok(size) => size.to_string(),
        Err(_) => symbol.to_string(),
    };
    let shape = shape.iter().zip(dimension_symbols.iter()).map(size).collect();
    Outlet { name, dtype, shape }
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
