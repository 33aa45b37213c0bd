//! What is done to bundles with tract.

fn main() {
    std::process::exit(aeonnx::fuzz::main(|| Ok(aeonnx::tract::Tract)));
}
