//! Scores of rows: percentiles, thresholds, and what is refused.

mod made;

use aeonnx::{Picture, Result, Scores, Tensor, Threshold, Values};
use made::scorer::{label, scorer, spec, vector, with_normal};
use made::{Folder, made, with};
use serde_json::{Value, json};

fn pairs(values: &[f32]) -> Tensor {
    Tensor::new(&[values.len() / 2, 2], Values::Float32(values.to_vec())).unwrap()
}

/// The scores of pairs of values.
fn scored(x: Value, values: &[f32], threshold: &str) -> Result<Scores> {
    let folder = Folder::new();
    let (manifest, engine) = scorer(&folder, x, &[]);
    let bundle = folder.open(&with_normal(manifest), engine)?;
    bundle.score(&mut bundle.scorer()?, pairs(values), threshold, None)
}

#[test]
fn each_row_has_a_score_a_percentile_and_a_verdict() {
    let values = [-1.0, 0.5, 12.0, 0.25, 50.0, 45.0, 95.0, 0.5, 99.0, 0.0, 99.0, 99.0];
    let found = scored(vector(json!([0, 1])), &values, "p95").unwrap();
    assert_eq!(found.scores, [-0.5, 12.25, 95.0, 95.5, 99.0, 198.0]);
    assert_eq!(found.percentiles.unwrap(), [0.0, 12.25, 95.0, 95.5, 99.0, 100.0]);
    assert_eq!(found.odd, [false, false, false, true, true, true]);
    assert_eq!(found.threshold, 95.0);
}

#[test]
fn a_score_of_nan_is_infinite() {
    let found = scored(vector(json!(null)), &[f32::MAX, f32::MAX, 1.0, 2.0], "p99").unwrap();
    assert_eq!((found.scores[0], &found.odd[..]), (f32::INFINITY, &[true, false][..]));
    let folder = Folder::new();
    let (manifest, _) = scorer(&folder, vector(json!(null)), &[]);
    let nan = |_: &[&Tensor]| vec![Tensor::new(&[1], Values::Float32(vec![f32::NAN])).unwrap(); 3];
    let bundle = folder.open(&with_normal(manifest), made(nan)).unwrap();
    let mut part = bundle.scorer().unwrap();
    let found = bundle.score(&mut part, pairs(&[0.0, 0.0]), -1.0, None).unwrap();
    assert_eq!((found.scores[0], found.odd[0]), (f32::INFINITY, true));
    assert_eq!(found.percentiles.unwrap(), [100.0]);
}

#[test]
fn a_threshold_is_a_number_or_in_the_manifest() {
    let folder = Folder::new();
    let (manifest, engine) = scorer(&folder, vector(json!(null)), &[]);
    let part = |manifest: &Value| folder.open(manifest, engine.clone()).unwrap().scorer().unwrap();
    let (known, bare) = (part(&with_normal(manifest.clone())), part(&manifest));
    for (text, number) in [("p95", 95.0), ("p99", 99.0), ("-0.5", -0.5), ("1e3", 1000.0)] {
        assert_eq!(known.threshold(text).unwrap(), number);
    }
    assert_eq!(bare.threshold(0.25).unwrap(), 0.25);
    assert_eq!(Threshold::from("0.25"), Threshold::Number(0.25));
    let nothing = "the manifest says nothing about the scores of normal images: give a number, or \
                   export again with --calibration IMAGES";
    let (of_three, of_one) =
        ("threshold: expected p95, p99 or a number", "threshold: expected a number");
    let cases = [
        (&known, "p98", 2, format!("{of_three}, got p98")),
        (&known, "P99", 2, format!("{of_three}, got P99")),
        (&known, "nan", 2, format!("{of_three}, got nan")),
        (&known, "-inf", 2, format!("{of_three}, got -inf")),
        (&known, "", 2, format!("{of_three}, got ")),
        (&bare, "p98", 1, format!("threshold p98: {nothing}")),
        (&bare, "p", 2, format!("{of_one}, got p")),
        (&bare, "p9x", 2, format!("{of_one}, got p9x")),
        (&bare, "1e999", 2, format!("{of_one}, got 1e999")),
    ];
    for (part, text, code, said) in cases {
        let error = part.threshold(text).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string()), (code, said));
    }
    let error = known.threshold(f64::NAN).unwrap_err().to_string();
    assert_eq!(error, format!("{of_three}, got NaN"));
}

/// Of the two types that a score is read as, its own: its printed text is no higher threshold.
#[test]
fn a_score_is_not_above_its_own_text() {
    for text in ["0.1", "0.3", "16777217"] {
        let value: f32 = text.parse().unwrap();
        assert!(!scored(vector(json!(null)), &[value, 0.0], text).unwrap().odd[0], "{text}");
    }
}

#[test]
fn without_normal_scores_there_are_no_percentiles() {
    let folder = Folder::new();
    let (manifest, engine) = scorer(&folder, vector(json!(null)), &[]);
    let bundle = folder.open(&manifest, engine).unwrap();
    let mut part = bundle.scorer().unwrap();
    let found = bundle.score(&mut part, pairs(&[1.0, 2.0]), 2.5, None).unwrap();
    let expected = Scores { scores: vec![3.0], percentiles: None, odd: vec![true], threshold: 2.5 };
    assert_eq!(found, expected);
}

#[test]
fn values_are_finite_or_missing() {
    let finite = "scorer: x: expected finite values, got NaN or infinity";
    let said = |missing: bool, values: [f32; 2]| {
        let x = with(vector(json!([0, 1])), json!({"missing": missing}));
        scored(x, &values, "p99").map_or_else(|error| error.to_string(), |_| String::new())
    };
    assert_eq!(said(false, [-7.0, 7.0]), "");
    assert_eq!(said(false, [0.0, f32::NAN]), finite);
    assert_eq!(said(true, [0.0, f32::NAN]), "");
    assert_eq!(said(true, [f32::NEG_INFINITY, 0.0]), finite);
    let error = scored(vector(json!(null)), &[], "p99").unwrap_err().to_string();
    let least = "scorer: x: batch: expected a size of at least 1, got 0: the nearest is 1";
    assert_eq!(error, least);
}

#[test]
fn a_row_without_any_value_is_refused() {
    let nan = f32::NAN;
    let said = |x: Value, shape: &[usize], values: &[f32]| {
        let folder = Folder::new();
        let (manifest, engine) = scorer(&folder, with(x, json!({"missing": true})), &[]);
        let bundle = folder.open(&manifest, engine).unwrap();
        let rows = Tensor::new(shape, Values::Float32(values.to_vec())).unwrap();
        let found = bundle.score(&mut bundle.scorer().unwrap(), rows, 1.0, None);
        found.map_or_else(|error| error.to_string(), |_| String::new())
    };
    let none =
        |row| format!("scorer: x: expected a value in each row, got none in row {row}: remove it");
    let pairs = || vector(json!(null));
    assert_eq!(said(pairs(), &[2, 2], &[nan, 0.0, 0.0, nan]), "");
    assert_eq!(said(pairs(), &[1, 2], &[nan, nan]), none(0));
    assert_eq!(said(pairs(), &[3, 2], &[nan, 0.0, nan, nan, nan, nan]), none(1));
    let windows = || spec("x", "signal", json!(["batch", 2, 2])); // whose columns may be empty
    assert_eq!(said(windows(), &[1, 2, 2], &[nan, nan, nan, 0.0]), "");
    let rows = [nan, nan, 0.0, nan, nan, nan, nan, nan];
    assert_eq!(said(windows(), &[2, 2, 2], &rows), none(1));
    assert_eq!(said(spec("x", "other", json!(["batch"])), &[2], &[nan, 0.0]), "");
}

#[test]
fn pixels_become_what_the_scorer_takes() {
    let picture = Picture { shape: [1, 1, 2], pixels: vec![0, 255] };
    let image = |more| with(spec("x", "image", json!(["batch", 1, 1, 2])), more);
    for (more, values) in [
        (json!({"range": [-1, 3]}), Values::Float32(vec![-1.0, 3.0])),
        (json!({"range": [0, 255], "dtype": "uint8"}), Values::Uint8(vec![0, 255])),
    ] {
        let folder = Folder::new();
        let (manifest, engine) = scorer(&folder, image(more), &[]);
        let bundle = folder.open(&manifest, engine.clone()).unwrap();
        let mut part = bundle.scorer().unwrap();
        let x = part.tensor_of(&picture).unwrap();
        assert_eq!(x, Tensor::new(&[1, 1, 1, 2], values.clone()).unwrap());
        bundle.score(&mut part, x, 0.0, None).unwrap();
        assert_eq!(engine.seen.take()[0].values, values);
    }
    let others = [
        (image(json!({})), "image [batch, 1, 1, 2]"), // of any range
        (spec("x", "image", json!(["batch", 5, 1, 2])), "image [batch, 5, 1, 2]"),
        (vector(json!([0, 1])), "vector [batch, 2]"),
    ];
    for (x, taken) in others {
        let folder = Folder::new();
        let (manifest, engine) = scorer(&folder, x, &[]);
        let part = folder.open(&manifest, engine).unwrap().scorer().unwrap();
        let error = part.tensor_of(&picture).unwrap_err().to_string();
        assert_eq!(error, format!("this scorer takes {taken}: give a .npy file of rows"));
    }
}

#[test]
fn all_rows_get_the_label() {
    let folder = Folder::new();
    let (manifest, _) = scorer(&folder, vector(json!(null)), &[label()]);
    let engine = made(|inputs| {
        let Values::Int64(labels) = &inputs[1].values else { panic!("int64") };
        let labels = labels.iter().map(|label| *label as f32).collect();
        vec![Tensor::new(&[2], Values::Float32(labels)).unwrap(); 3]
    });
    let bundle = folder.open(&manifest, engine).unwrap();
    let mut part = bundle.scorer().unwrap();
    let mut score = |label| bundle.score(&mut part, pairs(&[0.0; 4]), 0.0, label);
    assert_eq!(score(Some(7)).unwrap().scores, [7.0, 7.0]);
    let error = score(None).unwrap_err();
    let needs = "this scorer needs --label, 0 to 9";
    assert_eq!((error.exit_code(), error.to_string()), (2, needs.to_string()));
    let error = score(Some(10)).unwrap_err().to_string();
    assert_eq!(error, "--label: expected a whole number from 0 to 9, got 10");
}

#[test]
fn labels_are_not_negative_without_a_range() {
    let folder = Folder::new();
    let any = with(label(), json!({"range": null}));
    let (manifest, engine) = scorer(&folder, vector(json!(null)), &[any]);
    let bundle = folder.open(&manifest, engine).unwrap();
    let mut part = bundle.scorer().unwrap();
    assert!(bundle.score(&mut part, pairs(&[0.0; 4]), 0.0, Some(1 << 40)).is_ok());
    let error = bundle.score(&mut part, pairs(&[0.0; 4]), 0.0, Some(-1)).unwrap_err();
    let said = "--label: expected a whole number of 0 or more, got -1";
    assert_eq!((error.exit_code(), error.to_string()), (2, said.to_string()));
    let mut run = |label: i64| {
        let labels = Tensor::new(&[2], Values::Int64(vec![3, label])).unwrap();
        part.run(&[("x".to_string(), pairs(&[0.0; 4])), ("label".to_string(), labels)].into())
    };
    assert!(run(0).is_ok());
    let error = run(-1).unwrap_err();
    let said = "scorer: label: expected values of 0 or more, got -1";
    assert_eq!((error.exit_code(), error.to_string()), (1, said.to_string()));
}
