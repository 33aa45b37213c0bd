//! What manifests say of scorers, and parts that cannot score.

mod made;

use aeonnx::Manifest;
use made::scorer::{label, scorer, spec, vector};
use made::{Folder, rows, with};
use serde_json::{Value, json};

#[test]
fn what_normal_rows_score_is_checked() {
    let folder = Folder::new();
    let (manifest, _) = scorer(&folder, vector(json!(null)), &[]);
    let ascending = |count: usize| (0..count).map(|place| place / 2).collect::<Vec<_>>();
    let normal = |quantiles: Value| json!({"error": {"quantiles": quantiles}});
    let mut whole = manifest;
    let variant = &mut whole["parts"]["scorer"]["fp32"];
    variant["percentiles"] = json!({"error": {"p99": 1, "P x": -0.5}, "twice": {}});
    variant["normal"] = normal(json!(ascending(101)));
    let parsed = |document: &Value| {
        Manifest::parse(document.to_string().as_bytes(), "manifest.json")
            .map(|manifest| manifest.parts["scorer"]["fp32"].clone())
    };
    let found = parsed(&whole).unwrap();
    let percentiles = &found.percentiles["error"];
    assert_eq!((percentiles["p99"], percentiles["P x"]), (1.0, -0.5));
    assert_eq!(found.normal["error"].percentile(0.5), 1.5);
    let in_place_7 = |value: Value| {
        let mut quantiles = json!(ascending(101));
        quantiles[7] = value;
        normal(quantiles)
    };
    let all = "normal.error.quantiles: expected 101 finite numbers in ascending order, got";
    let finite = "expected a finite number, got";
    let cases = [
        ("percentiles", json!(null), "percentiles: expected an object, got nothing"),
        ("percentiles", json!({}), "normal: expected outputs with percentiles, got error"),
        (
            "percentiles",
            json!({"x": {}, "error": {}, "y": {}}),
            "percentiles: expected outputs of the graph, got x, y",
        ),
        ("percentiles", json!({"error": [1]}), "percentiles.error: expected an object, got a list"),
        (
            "percentiles",
            json!({"error": {"p99": "1"}}),
            &format!("percentiles.error.p99: {finite} \"1\""),
        ),
        (
            "percentiles",
            json!({"error": {"p99": null}}),
            &format!("percentiles.error.p99: {finite} nothing"),
        ),
        (
            "percentiles",
            json!({"error": {"p\n": 1}}),
            "percentiles.error: expected a string without control characters, got \"p\\n\"",
        ),
        ("normal", json!(null), "normal: expected an object, got nothing"),
        ("normal", json!({"error": 1}), "normal.error: expected an object, got 1"),
        ("normal", json!({"error": {}}), "normal.error.quantiles: expected a list, got nothing"),
        (
            "normal",
            json!({"twice": {"quantiles": ascending(101)}, "count": {"quantiles": ascending(101)}}),
            "normal: expected outputs with percentiles, got count",
        ),
        ("normal", normal(json!(ascending(100))), &format!("{all} a list of 100")),
        ("normal", normal(json!(ascending(102))), &format!("{all} a list of 102")),
        ("normal", in_place_7(json!(2.5)), &format!("{all} 3 before 2.5")),
        ("normal", in_place_7(json!("3")), &format!("normal.error.quantiles[7]: {finite} \"3\"")),
    ];
    for (field, value, said) in cases {
        let mut damaged = whole.clone();
        damaged["parts"]["scorer"]["fp32"][field] = value;
        let error = parsed(&damaged).unwrap_err().to_string();
        assert_eq!(error, format!("manifest.json: parts.scorer.fp32.{said}"));
    }
    whole["parts"]["scorer"]["fp32"].as_object_mut().unwrap().remove("normal");
    assert!(parsed(&whole).unwrap().normal.is_empty());
}

#[test]
fn a_part_that_cannot_score_is_refused() {
    let refused = |x: Value, others: &[Value], place: &str, value: Value| {
        let folder = Folder::new();
        let (mut manifest, engine) = scorer(&folder, x, others);
        *manifest["parts"]["scorer"]["fp32"].pointer_mut(place).unwrap() = value;
        let error = folder.open(&manifest, engine).unwrap().scorer().err().unwrap().to_string();
        let error = error.strip_prefix("this bundle's scorer cannot score: expected ");
        error.unwrap().to_string()
    };
    let outputs = json!([
        spec("count", "other", json!(["batch"])),
        spec("error", "other", json!(["batch"])),
        spec("twice", "other", json!(["batch"])),
    ]);
    let x = || vector(json!(null));
    assert_eq!(
        refused(x(), &[], "/outputs", outputs),
        "an output of the kind score, got count, error, twice"
    );
    assert_eq!(
        refused(x(), &[], "/inputs/0/kind", json!("latent")),
        "an input of the kind image, signal, volume, vector or other, got x of latent"
    );
    let name = |name: &str| with(label(), json!({"name": name}));
    assert_eq!(
        refused(x(), &[label()], "/inputs/1/kind", json!("index")),
        "a label at most beside x, got label of index"
    );
    assert_eq!(
        refused(x(), &[name("a"), name("b")], "/axes", rows()),
        "a label at most beside x, got a of label, b of label"
    );
}

#[test]
fn types_and_rows_are_those_of_a_scorer() {
    type Change = fn(&mut Value);
    let refused = |change: Change| {
        let folder = Folder::new();
        let (mut manifest, engine) = scorer(&folder, vector(json!(null)), &[label()]);
        change(&mut manifest["parts"]["scorer"]["fp32"]);
        folder.open(&manifest, engine).unwrap().scorer().err().unwrap().to_string()
    };
    let cases: [(Change, &str); 4] = [
        (
            |it| {
                it["inputs"][0]["dtype"] = json!("float64");
                it["golden"][0]["inputs"]["x"]["dtype"] = json!("float64");
            },
            "x of float32 or uint8, got x float64 [batch, 2]",
        ),
        (
            |it| {
                it["inputs"][0]["shape"] = json!([1, 2]);
            },
            "x of as many rows as error, [batch], got [1, 2]",
        ),
        (
            |it| {
                it["outputs"][1]["dtype"] = json!("float64");
                it["golden"][0]["outputs"]["error"]["dtype"] = json!("float64");
            },
            "error float32 [batch], got error float64 [batch]",
        ),
        (
            |it| {
                it["inputs"][1]["dtype"] = json!("int32");
                it["golden"][0]["inputs"]["label"]["dtype"] = json!("int32");
            },
            "label int64 [batch], got label int32 [batch]",
        ),
    ];
    for (change, said) in cases {
        let expected = format!("this bundle's scorer cannot score: expected {said}");
        assert_eq!(refused(change), expected);
    }
}
