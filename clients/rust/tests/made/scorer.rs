//! Scorers made by hand.

use aeonnx::{Tensor, Values};
use serde_json::{Value, json};

use super::{Folder, Made, floats, made, rows, with};

pub fn spec(name: &str, kind: &str, shape: Value) -> Value {
    json!({"name": name, "kind": kind, "dtype": "float32", "shape": shape, "range": null})
}

pub fn vector(range: Value) -> Value {
    with(spec("x", "vector", json!(["batch", 2])), json!({"range": range}))
}

/// The manifest of a scorer of x, and of a label if that is given, which gives the sum of each row,
/// under the name `error`, and twice that.
pub fn scorer(folder: &Folder, x: Value, others: &[Value]) -> (Value, Made) {
    let sizes = x["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap_or(1));
    let sizes: Vec<_> = sizes.map(|size| size as usize).collect();
    let bytes =
        vec![0; sizes.iter().product::<usize>() * if x["dtype"] == "uint8" { 1 } else { 4 }];
    let stored = with(folder.file("x.bin", &bytes), json!({"dtype": x["dtype"], "shape": sizes}));
    let mut inputs = json!({"x": stored});
    for other in others {
        let stored = json!({"dtype": "int64", "shape": [1]});
        inputs[other["name"].as_str().unwrap()] = with(folder.file("label.bin", &[0; 8]), stored);
    }
    let output = |name: &str| {
        with(folder.array(&format!("{name}.bin"), &[1], &[0.0]), json!({"tolerance": [1]}))
    };
    let scores = json!(["batch"]);
    let outputs = json!([
        spec("count", "other", scores.clone()),
        spec("error", "score", scores.clone()),
        spec("twice", "score", scores),
    ]);
    let outlets = ["count", "error", "twice"].map(|name| (name.to_string(), output(name)));
    let golden = json!({"inputs": inputs, "outputs": serde_json::Map::from_iter(outlets)});
    let inputs = [&[x], others].concat();
    let engine = made(|inputs| {
        let sum = match &inputs[0].values {
            Values::Uint8(list) => list.iter().map(|value| f32::from(*value)).collect(),
            _ => floats(inputs[0]).to_vec(),
        };
        let count = inputs[0].shape[0];
        let sums: Vec<f32> = sum.chunks(sum.len() / count).map(|row| row.iter().sum()).collect();
        let output = |factor: f32| {
            let values = sums.iter().map(|sum| sum * factor).collect();
            Tensor::new(&[count], Values::Float32(values)).unwrap()
        };
        vec![output(0.0), output(1.0), output(2.0)]
    });
    (folder.manifest("scorer", [json!(inputs), outputs], rows(), golden), engine)
}

pub fn label() -> Value {
    with(spec("label", "label", json!(["batch"])), json!({"dtype": "int64", "range": [0, 9]}))
}

/// The manifest, which knows what normal rows score: 0 to 100.
pub fn with_normal(mut manifest: Value) -> Value {
    let variant = &mut manifest["parts"]["scorer"]["fp32"];
    variant["percentiles"] = json!({"error": {"p99": 99, "p95": 95}});
    variant["normal"] = json!({"error": {"quantiles": (0..=100).collect::<Vec<_>>()}});
    manifest
}
