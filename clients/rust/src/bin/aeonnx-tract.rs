//! Bundles with tract, without any native library.

fn main() {
    std::process::exit(aeonnx::command::main(|| Ok(aeonnx::tract::Tract)));
}
