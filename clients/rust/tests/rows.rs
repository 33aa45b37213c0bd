//! Golden outputs: each row is judged by its own tolerance.

mod made;

use aeonnx::{Checked, Result};
use made::{Folder, engine, with};
use serde_json::{Value, json};

/// What `check` finds of an output whose rows are off by `errors` from a golden one of zeros. The
/// graph is told by its input which row is which.
fn checked(errors: &[f32], tolerance: Value, batch: Value, shape: &[usize]) -> Result<Checked> {
    let folder = Folder::new();
    let rows: Vec<_> = (0..errors.len()).map(|row| row as f32).collect();
    let zeros = vec![0.0; shape.iter().product()];
    let y = with(folder.array("y.bin", shape, &zeros), json!({"tolerance": tolerance}));
    let golden = json!({
        "inputs": {"x": folder.array("x.bin", &[rows.len(), 1], &rows)}, "outputs": {"y": y},
    });
    let spec = |name| json!({"name": name, "dtype": "float32", "shape": [batch, 1], "range": null});
    let manifest = folder.manifest("decoder", spec("x"), spec("y"), golden);
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
        for batch in [json!("batch"), json!(3)] {
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
    assert_eq!(
        error.to_string(),
        "part.onnx has the golden output y float32 [2, 2], expected float32 [4, 1]: \
         export the bundle again"
    );
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
        let expected = format!("parts.decoder.fp32.golden.outputs.y.tolerance{said}");
        assert!(error.ends_with(&format!("manifest.json: {expected}")), "{error}");
    }
    let error = checked(&[0.0], json!([]), json!("batch"), &[]).unwrap_err().to_string();
    assert!(error.ends_with("outputs.y.shape: expected at least one size, got a list"), "{error}");
}
