//! What is done to bundles with onnxruntime.

fn main() {
    // SAFETY: no other thread has started that could read the environment.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    std::process::exit(aeonnx::fuzz::main(aeonnx::onnxruntime::OnnxRuntime::load));
}
