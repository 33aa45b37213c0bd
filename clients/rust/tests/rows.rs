//! Golden outputs: each row is judged by its own tolerance.

mod made;

use std::collections::HashMap;

use aeonnx::{Checked, Result, Tensor, Values};
use made::{Folder, Made, engine, floats, rows, with};
use serde_json::{Value, json};

/// What `check` finds of an output whose rows are off by `errors` from a golden one of zeros. The
/// graph is told by its input which row is which.
fn checked(errors: &[f32], tolerance: Value, batch: Value, shape: &[usize]) -> Result<Checked> {
    let folder = Folder::new();
    let numbers: Vec<_> = (0..errors.len()).map(|row| row as f32).collect();
    let zeros = vec![0.0; shape.iter().product()];
    let y = with(folder.array("y.bin", shape, &zeros), json!({"tolerance": tolerance}));
    let golden = json!({
        "inputs": {"x": folder.array("x.bin", &[numbers.len(), 1], &numbers)}, "outputs": {"y": y},
    });
    let spec = |name| {
        let shape = json!([batch, 1]);
        json!({"name": name, "kind": "other", "dtype": "float32", "shape": shape, "range": null})
    };
    let axes = if batch == "batch" { rows() } else { json!({}) };
    let manifest =
        folder.manifest("decoder", [json!([spec("x")]), json!([spec("y")])], axes, golden);
    let give = |x: &[f32], errors: &[f32]| x.iter().map(|row| errors[*row as usize]).collect();
    let bundle = folder.open(&manifest, engine(give, errors))?;
    let mut found = bundle.check(&mut bundle.part("decoder", "fp32")?)?;
    assert_eq!(found.len(), 1);
    Ok(found.remove(0))
}

const TOLERANCES: [f64; 4] = [0.0009765625, 1.0, 0.125, 1.0];

#[test]
fn the_worst_row_is_told_and_judged() {
    let (nan, endless) = (f32::NAN, f32::INFINITY);
    let cases = [
        // errors, whether all are right, the row that is told of
        ([0.00048828125, 0.5, 0.109375, 0.0], true, 2),
        ([0.001953125, 0.5, 0.109375, 0.0], false, 0),
        ([0.0, 0.5, 0.5, 0.984375], false, 2),
        ([0.0009765625, -1.0, 0.125, 1.0], true, 0),
        ([0.001953125, nan, 0.125, 1.0], false, 1),
        ([0.001953125, endless, 0.125, nan], false, 3),
        ([0.0, 0.0, -endless, 0.0], false, 2),
        ([0.0; 4], true, 0),
    ];
    for (errors, ok, row) in cases {
        for batch in [json!("batch"), json!(2)] {
            let found = checked(&errors, json!(TOLERANCES), batch.clone(), &[4, 1]).unwrap();
            let error = f64::from(errors[row].abs());
            assert_eq!(found.ok(), ok, "{errors:?}, {batch} at once");
            assert!(found.error == error || found.error.is_nan() && error.is_nan(), "{errors:?}");
            assert_eq!(found.tolerance, TOLERANCES[row], "{errors:?}, {batch} at once");
        }
    }
}

#[test]
fn a_golden_output_with_other_rows_is_refused() {
    let error = checked(&[0.0; 4], json!([1, 1]), json!("batch"), &[2, 2]).unwrap_err();
    let said =
        "parts.decoder.fp32.golden[0].outputs.y: expected float32 [4, 1], got float32 [2, 2]";
    assert!(error.to_string().ends_with(said), "{error}");
}

#[test]
fn other_tolerances_are_refused() {
    let cases = [
        (json!(1e-6), ": expected 2 numbers above 0, got 1e-6"),
        (json!(null), ": expected 2 numbers above 0, got nothing"),
        (json!("ab"), ": expected 2 numbers above 0, got \"ab\""),
        (json!({"0": 1, "1": 1}), ": expected 2 numbers above 0, got an object"),
        (json!([]), ": expected 2 numbers above 0, got a list of 0"),
        (json!([1]), ": expected 2 numbers above 0, got a list of 1"),
        (json!([1, 1, 1]), ": expected 2 numbers above 0, got a list of 3"),
        (json!([0, 1]), "[0]: expected a number above 0, got 0"),
        (json!([1, -1]), "[1]: expected a number above 0, got -1"),
        (json!([1, "1"]), "[1]: expected a number above 0, got \"1\""),
        (json!([1, null]), "[1]: expected a number above 0, got nothing"),
        (json!([[1], 1]), "[0]: expected a number above 0, got a list"),
        (json!([1, true]), "[1]: expected a number above 0, got true"),
    ];
    for (tolerance, said) in cases {
        let error = checked(&[0.0; 2], tolerance, json!("batch"), &[2, 1]).unwrap_err().to_string();
        let expected = format!("parts.decoder.fp32.golden[0].outputs.y.tolerance{said}");
        assert!(error.ends_with(&format!("manifest.json: {expected}")), "{error}");
    }
    let error = checked(&[0.0], json!([]), json!("batch"), &[]).unwrap_err().to_string();
    assert!(error.ends_with("outputs.y.shape: expected at least one size, got a list"), "{error}");
}

/// A decoder of x [batch, n], or of 2 rows at once, whose output is x + 0.25.
fn shifted(folder: &Folder, batch: Value, golden: Value) -> (Value, Made) {
    let spec = |name| {
        let shape = json!([batch, "n"]);
        json!({"name": name, "kind": "other", "dtype": "float32", "shape": shape, "range": null})
    };
    let n = json!({"n": {"multiple": 1, "min": 1, "max": null, "margin": null}});
    let axes = if batch == "batch" { with(rows(), n) } else { n };
    let engine = engine(|x, _| x.iter().map(|value| value + 0.25).collect(), &[]);
    let tensors = [json!([spec("x")]), json!([spec("y")])];
    (folder.manifest("decoder", tensors, axes, golden), engine)
}

/// One set of golden vectors, whose output is right within 0.5, or is not.
fn golden_of(folder: &Folder, rows: usize, n: usize, tolerances: &[f64]) -> Value {
    let zeros = |name| folder.array(name, &[rows, n], &vec![0.0; rows * n]);
    let (x, y) = (format!("x{n}.bin"), format!("y{n}.bin"));
    let y = with(zeros(&y), json!({"tolerance": tolerances}));
    json!({"inputs": {"x": zeros(&x)}, "outputs": {"y": y}})
}

#[test]
fn the_worst_of_all_sets_is_told() {
    let folder = Folder::new();
    let first = golden_of(&folder, 2, 3, &[0.5, 1.0]);
    let (mut manifest, engine) = shifted(&folder, json!("batch"), first.clone());
    for (tolerance, ok) in [(0.3, true), (0.125, false)] {
        let second = golden_of(&folder, 1, 5, &[tolerance]);
        for sets in [json!([first, second]), json!([second, first])] {
            manifest["parts"]["decoder"]["fp32"]["golden"] = sets;
            let bundle = folder.open(&manifest, engine.clone()).unwrap();
            let found = bundle.check(&mut bundle.part("decoder", "fp32").unwrap()).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].error, found[0].tolerance, found[0].ok()), (0.25, tolerance, ok));
        }
    }
    let shapes: Vec<_> = engine.seen.take().into_iter().map(|x| x.shape).collect();
    assert_eq!(shapes[..5], [[2, 3], [1, 3], [1, 3], [1, 5], [1, 5]]);
}

#[test]
fn a_graph_of_fixed_rows_runs_in_batches() {
    let folder = Folder::new();
    let golden = golden_of(&folder, 2, 3, &[1.0, 1.0]);
    let (manifest, engine) = shifted(&folder, json!(2), golden);
    let bundle = folder.open(&manifest, engine.clone()).unwrap();
    let mut part = bundle.part("decoder", "fp32").unwrap();
    let x = Tensor::new(&[3, 2], Values::Float32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).unwrap();
    let found = part.run(&HashMap::from([("x".to_string(), x)])).unwrap();
    assert_eq!(found["y"].shape, [3, 2]);
    assert_eq!(floats(&found["y"]), [1.25, 2.25, 3.25, 4.25, 5.25, 6.25]);
    let seen = engine.seen.take();
    assert_eq!(floats(&seen[1]), [5.0, 6.0, 5.0, 6.0]); // the last row again
}
