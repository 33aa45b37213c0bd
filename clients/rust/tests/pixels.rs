//! Pixels and floats of any range, in float32: the numbers are numpy's.

mod made;

use aeonnx::{Picture, Result};
use made::{Folder, engine, floats, rows, with};
use serde_json::{Value, json};

const RANGES: [[f64; 2]; 7] =
    [[0.0, 1.0], [-1.0, 1.0], [-0.1, 0.3], [0.0, 255.0], [-3.0, 5.0], [-3.0, 0.2], [0.001, 0.0011]];

/// 256 pixels through a denoiser whose graph gives these values: what the graph got, and the answer.
fn denoised(
    pixels: &[u8],
    taken: Value,
    given: Value,
    values: &[f32],
) -> Result<(Vec<f32>, Vec<u8>)> {
    let spec = |name, range: Value| {
        let shape = json!(["batch", 1, 16, 16]);
        json!({"name": name, "kind": "image", "dtype": "float32", "shape": shape, "range": range})
    };
    let folder = Folder::new();
    let zeros = |name| folder.array(name, &[1, 1, 16, 16], &[0.0; 256]);
    let golden = json!({
        "inputs": {"x": zeros("x.bin")},
        "outputs": {"y": with(zeros("y.bin"), json!({"tolerance": [1]}))},
    });
    let manifest = folder.manifest(
        "denoiser",
        [json!([spec("x", taken)]), json!([spec("y", given)])],
        rows(),
        golden,
    );
    let engine = engine(|_, values| values.to_vec(), values);
    let seen = engine.seen.clone();
    let bundle = folder.open(&manifest, engine)?;
    let picture = Picture { shape: [1, 16, 16], pixels: pixels.to_vec() };
    let found = bundle.denoise(&mut bundle.denoiser()?, &picture)?;
    assert_eq!(found.shape, picture.shape);
    let seen = seen.take();
    Ok((floats(&seen[0]).to_vec(), found.pixels))
}

fn pixels_of(values: &[f32], range: [f64; 2]) -> Vec<u8> {
    let mut all = values.to_vec();
    all.resize(256, 0.0);
    let (_, mut found) = denoised(&[0; 256], json!([0, 1]), json!(range), &all).unwrap();
    found.truncate(values.len());
    found
}

fn values_of_all(range: [f64; 2]) -> Vec<f32> {
    denoised(&all(), json!(range), json!([0, 1]), &[0.0; 256]).unwrap().0
}

fn all() -> Vec<u8> {
    (0..=255).collect()
}

#[test]
fn in_the_unit_range_pixels_are_what_they_are_without_one() {
    let shares: Vec<_> = (0..=255_u8).map(|pixel| f32::from(pixel) / 255.0).collect();
    assert_eq!(values_of_all([0.0, 1.0]), shares);
    let mut values = vec![0.0, -0.0, 1.0, 1.5, -0.5, f32::INFINITY, f32::NEG_INFINITY];
    for step in 0..510 {
        let value = (step as f32 + 0.5) / 510.0;
        values.extend([value, value.next_up(), value.next_down()]);
    }
    for piece in values.chunks(256) {
        let expected: Vec<_> = piece
            .iter()
            .map(|value| (value.clamp(0.0, 1.0) * 255.0).round_ties_even() as u8)
            .collect();
        assert_eq!(pixels_of(piece, [0.0, 1.0]), expected);
    }
}

#[test]
fn what_pixels_stand_for_becomes_them_again() {
    for range in RANGES {
        assert_eq!(pixels_of(&values_of_all(range), range), all(), "{range:?}");
        let [low, high] = range.map(|end| end as f32);
        let beyond = [low - 9.0, high + 9.0, f32::NEG_INFINITY, f32::INFINITY];
        assert_eq!(pixels_of(&beyond, range), [0, 255, 0, 255], "{range:?}");
    }
}

#[test]
fn nan_is_no_pixel() {
    let mut values = [0.0; 256];
    values[255] = f32::NAN;
    let error = denoised(&[0; 256], json!([0, 1]), json!([-1, 1]), &values).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert_eq!(error.to_string(), "denoiser gave NaN, which is no pixel");
}

/// At each of these, float64 gives another pixel or value.
#[test]
fn every_step_is_rounded_to_float32() {
    let unit = [0.001_960_784_4, 0.009_803_922, 0.017_647_06];
    assert_eq!(pixels_of(&unit, [0.0, 1.0]), [0, 2, 4]);
    let signed = [-0.486_274_5, -0.470_588_24, -0.454_901_96];
    assert_eq!(pixels_of(&signed, [-1.0, 1.0]), [66, 68, 70]);
    let odd = [-0.099_215_69, -0.075_686_276, -0.074_117_646];
    assert_eq!(pixels_of(&odd, [-0.1, 0.3]), [1, 16, 16]);
    let narrow = [0.001_000_196_1, 0.001_002_156_9];
    assert_eq!(pixels_of(&narrow, [0.001, 0.0011]), [0, 5]);
    // The ends are rounded before they are subtracted.
    let ends = [0.001_022_156_9, 0.001_026_078_5];
    assert_eq!(pixels_of(&ends, [0.001, 0.0011]), [57, 67]);
    assert_eq!(values_of_all([-1.0, 1.0])[65], -0.490_196_05);
    assert_eq!(values_of_all([-0.1, 0.3])[20], -0.068_627_45);
    assert_eq!(values_of_all([0.001, 0.0011])[3], 0.001_001_176_5);
    assert_eq!(values_of_all([0.001, 0.0011])[54], 0.001_021_176_5);
}

#[test]
fn values_that_no_pixels_stand_for_are_refused() {
    let cases = [
        (json!(null), "of any range"),
        (json!([1, 1]), "in [1, 1]"),
        (json!([1, -1]), "in [1, -1]"),
        (json!([-3e38, 3e38]), &format!("in [-3{0}, 3{0}]", "0".repeat(38))),
    ];
    for (range, got) in cases {
        for (name, taken, given) in
            [("x", range.clone(), json!([0, 1])), ("y", json!([0, 1]), range)]
        {
            let error = denoised(&[0; 256], taken, given, &[0.0; 256]).unwrap_err();
            assert_eq!(error.exit_code(), 1);
            assert_eq!(
                error.to_string(),
                format!(
                    "this bundle's denoiser cannot denoise: expected {name} float32 \
                     [batch, 1, 16, 16] in a range [low, high] whose width is a float32 above 0, \
                     got one {got}: export it with such a range, or take its floats with the \
                     library's run"
                )
            );
        }
    }
}
