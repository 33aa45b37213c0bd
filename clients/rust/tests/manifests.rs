//! Manifests whose tensors, axes and golden vectors do not belong together.

mod made;

use aeonnx::Manifest;
use made::{Folder, rows, with};
use serde_json::{Value, json};

/// An encoder of x [batch, 1, 16*frames] to z [batch, 4, frames/2].
fn whole(folder: &Folder) -> Value {
    let spec = |name, kind, shape: Value| {
        json!({
            "name": name, "kind": kind, "dtype": "float32", "shape": shape, "range": null,
        })
    };
    let inputs = json!([spec("x", "signal", json!(["batch", 1, "16*frames"]))]);
    let outputs = json!([spec("z", "latent", json!(["batch", 4, "frames/2"]))]);
    let z = folder.array("z.bin", &[1, 4, 1], &[0.0; 4]);
    let golden = json!({
        "inputs": {"x": folder.array("x.bin", &[1, 1, 32], &[0.0; 32])},
        "outputs": {"z": with(z, json!({"tolerance": [1]}))},
    });
    let frames = json!({"multiple": 2, "min": 2, "max": null, "margin": 2});
    let axes = with(rows(), json!({"frames": frames}));
    folder.manifest("encoder", [inputs, outputs], axes, golden)
}

/// The manifest with another value in one place of the variant.
fn refusal(whole: &Value, place: &str, value: Value) -> String {
    let mut document = whole.clone();
    let variant = document.pointer_mut("/parts/encoder/fp32").unwrap();
    let (holder, name) = place.rsplit_once('/').unwrap();
    match variant.pointer_mut(holder).unwrap() {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        holder => holder[name] = value,
    }
    Manifest::parse(document.to_string().as_bytes(), "manifest.json").unwrap_err().to_string()
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let folder = Folder::new();
    let whole = whole(&folder);
    Manifest::parse(whole.to_string().as_bytes(), "manifest.json").unwrap();
    let most = (1_u64 << 53) - 1;
    let axis = |multiple: u64, min: u64, max: Value| json!({"multiple": multiple, "min": min, "max": max, "margin": null});
    let shape = "expected numbers above 0 of at most 53 bits, \"batch\" for the first, or axes such as \
                 \"height\" and \"height/8\", got";
    let cases = [
        ("/axes", json!({}), "axes: expected those of the tensors, batch, frames, got nothing"),
        (
            "/axes/more",
            axis(1, 1, json!(null)),
            "axes: expected those of the tensors, batch, frames, got batch, frames, more",
        ),
        ("/axes/A", axis(1, 1, json!(null)), "axes: expected a lower-case name, got \"A\""),
        (
            "/axes/frames",
            axis(3, 3, json!(null)),
            "axes.frames.multiple: expected a multiple of 2, by which a size divides it, got 3",
        ),
        (
            "/axes/frames/multiple",
            json!(0),
            "axes.frames.multiple: expected a whole number above 0, of at most 53 bits, got 0",
        ),
        ("/axes/frames/min", json!(3), "axes.frames.min: expected a multiple of 2, got 3"),
        ("/axes/frames/max", json!(5), "axes.frames.max: expected a multiple of 2, got 5"),
        ("/axes/frames", axis(2, 4, json!(2)), "axes.frames.max: expected at least min, 4, got 2"),
        (
            "/axes/frames/margin",
            json!(-1),
            "axes.frames.margin: expected null or a whole number from 0 on, of at most 53 bits, got -1",
        ),
        (
            "/axes/frames/margin",
            json!(most + 1),
            "axes.frames.margin: expected null or a whole number from 0 on, of at most 53 bits, got 9007199254740992",
        ),
        (
            "/axes/frames/min",
            json!(4),
            "golden[0].inputs.x: frames: expected a multiple of 2 of at least 4, got 2: the nearest is 4",
        ),
        (
            "/outputs/0/shape/2",
            json!("other/2"),
            "axes: expected those of the tensors, batch, frames, other, got batch, frames",
        ),
        (
            "/outputs/0/shape/0",
            json!(1),
            "inputs: expected one with a first size of 1, as the outputs have, got none",
        ),
        (
            "/outputs/0/shape/0",
            json!("frames"),
            "outputs: expected \"batch\" or a number for the first size, got frames",
        ),
        ("/outputs/0/shape/2", json!("batch"), &format!("outputs[0].shape: {shape} \"batch\"")),
        ("/outputs/0/shape/2", json!("frames'"), &format!("outputs[0].shape: {shape} \"frames'\"")),
        (
            "/outputs/0/shape/2",
            json!(most),
            "outputs[0].shape: expected sizes of fewer than 2^50 values, got a list",
        ),
        ("/outputs/0/shape", json!([]), "outputs[0].shape: expected at least one size, got a list"),
        ("/outputs", json!([]), "outputs: expected at least one tensor, got none"),
        (
            "/inputs/0/kind",
            json!("image"),
            "inputs[0].shape: expected 4 sizes of a tensor of the kind image, got x float32 [batch, 1, 16*frames]",
        ),
        (
            "/inputs/0",
            json!({"name": "x", "kind": "canvas", "dtype": "uint8", "shape": ["batch", "16*frames"], "range": null}),
            "inputs[0].shape: expected 3 sizes of a tensor of the kind canvas, got x uint8 [batch, 16*frames]",
        ),
        (
            "/inputs/0/kind",
            json!("picture"),
            "inputs[0].kind: expected one of image, latent, codes, vector, signal, volume, label, score, seed, index, canvas, mask, other, got \"picture\"",
        ),
        (
            "/inputs/0/dtype",
            json!("int8"),
            "inputs[0].dtype: expected one of float32, uint8, int64, float16, float64, int32, bool, got \"int8\"",
        ),
        ("/inputs/0/missing", json!(1), "inputs[0].missing: expected true or false, got 1"),
        (
            "/inputs/0/missing",
            json!("true"),
            "inputs[0].missing: expected true or false, got \"true\"",
        ),
        (
            "/inputs/0/missing",
            json!(null),
            "inputs[0].missing: expected true or false, got nothing",
        ),
        ("/golden", json!([]), "golden: expected at least one set of vectors, got none"),
        ("/golden", json!({}), "golden: expected a list, got an object"),
        (
            "/golden/0/inputs",
            json!({}),
            "golden[0].inputs: expected an array for each tensor, x, got nothing",
        ),
        (
            "/golden/0/inputs/x/shape",
            json!([1, 2, 16]),
            "golden[0].inputs.x: expected [batch, 1, 16*frames], got [1, 2, 16]",
        ),
        (
            "/golden/0/inputs/x/shape",
            json!([1, 1, 33]),
            "golden[0].inputs.x: expected a multiple of 16 for 16*frames, got 33",
        ),
        (
            "/golden/0/inputs/x/shape",
            json!([1, 1, 64]),
            "golden[0].outputs.z: expected float32 [1, 4, 2], got float32 [1, 4, 1]",
        ),
        (
            "/golden/0/inputs/x/dtype",
            json!("float64"),
            "golden[0].inputs.x: expected float32 [1, 1, 32], got float64 [1, 1, 32]",
        ),
        (
            "/golden/0/inputs/x/shape",
            json!([1, 1, 1_u64 << 30]),
            "golden[0].inputs.x.shape: expected at most 2147483648 bytes, got a list",
        ),
    ];
    for (place, value, said) in cases {
        let expected = format!("manifest.json: parts.encoder.fp32.{said}");
        assert_eq!(refusal(&whole, place, value), expected, "{place}");
    }
}

#[test]
fn values_may_be_missing_among_floats() {
    let folder = Folder::new();
    let mut document = whole(&folder);
    let parsed = |document: &Value| {
        let read = Manifest::parse(document.to_string().as_bytes(), "manifest.json");
        read.map(|manifest| manifest.parts["encoder"]["fp32"].inputs[0].missing)
    };
    assert!(!parsed(&document).unwrap());
    for missing in [true, false] {
        document["parts"]["encoder"]["fp32"]["inputs"][0]["missing"] = json!(missing);
        assert_eq!(parsed(&document).unwrap(), missing);
    }
    let input = document.pointer_mut("/parts/encoder/fp32/inputs/0").unwrap();
    *input = with(input.clone(), json!({"missing": true, "dtype": "int64"}));
    let error = parsed(&document).unwrap_err();
    let said = "parts.encoder.fp32.inputs[0].missing: expected floats, which have NaN, got int64";
    assert_eq!(error.to_string(), format!("manifest.json: {said}"));
}

#[test]
fn a_graph_of_fixed_rows_has_golden_batches() {
    let folder = Folder::new();
    let mut document = whole(&folder);
    let variant = document.pointer_mut("/parts/encoder/fp32").unwrap();
    variant["inputs"][0]["shape"][0] = json!(2);
    variant["outputs"][0]["shape"][0] = json!(2);
    variant["axes"].as_object_mut().unwrap().remove("batch");
    let error = Manifest::parse(document.to_string().as_bytes(), "manifest.json").unwrap_err();
    let said = "parts.encoder.fp32.golden[0].inputs: expected batches of 2 rows, got 1 rows";
    assert_eq!(error.to_string(), format!("manifest.json: {said}"));
}

#[test]
fn other_versions_are_refused() {
    let folder = Folder::new();
    let mut document = whole(&folder);
    for (version, said) in [
        (1, "version 1 is older than this program, which reads 2: export the bundle again"),
        (3, "version 3 is newer than this program, which reads 2: take a newer one"),
    ] {
        document["version"] = json!(version);
        let error = Manifest::parse(document.to_string().as_bytes(), "manifest.json").unwrap_err();
        assert_eq!(error.to_string(), format!("manifest.json: {said}"));
    }
}
