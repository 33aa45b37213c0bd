//! Parts of any size: solved axes, padded pictures, and tiles.

mod made;

use std::collections::HashMap;

use aeonnx::{Bundle, Picture, Result, Tensor, Values};
use made::{Folder, Made, floats, made, rows, with};
use serde_json::{Value, json};

/// The mean of a place and its 8 neighbours, those outside being 0.
fn blurred(x: &Tensor) -> Tensor {
    let (high, wide, values) = (x.shape[2], x.shape[3], floats(x));
    let mut found = Vec::with_capacity(values.len());
    for first in (0..values.len()).step_by(high * wide) {
        for row in 0..high {
            for column in 0..wide {
                let mut sum = 0.0;
                for y in row.saturating_sub(1)..(row + 2).min(high) {
                    let line = &values[first + y * wide..][..wide];
                    sum +=
                        line[column.saturating_sub(1)..(column + 2).min(wide)].iter().sum::<f32>();
                }
                found.push(sum / 9.0);
            }
        }
    }
    Tensor::new(&x.shape, Values::Float32(found)).unwrap()
}

fn axis(multiple: u64, min: u64, max: Value, margin: Value) -> Value {
    json!({"multiple": multiple, "min": min, "max": max, "margin": margin})
}

fn spec(name: &str, kind: &str, shape: Value, range: Value) -> Value {
    json!({"name": name, "kind": kind, "dtype": "float32", "shape": shape, "range": range})
}

/// A denoiser of pictures of any size that blurs; `size` is its golden height and width.
fn blur(folder: &Folder, axis: &Value, size: usize) -> (Result<Bundle<Made>>, Made) {
    let spec = |name| spec(name, "image", json!(["batch", 1, "height", "width"]), json!([0, 255]));
    let shape = [1, 1, size, size];
    let zeros = |name| folder.array(name, &shape, &vec![0.0; size * size]);
    let golden = json!({
        "inputs": {"x": zeros("x.bin")},
        "outputs": {"y": with(zeros("y.bin"), json!({"tolerance": [1]}))},
    });
    let axes = with(rows(), json!({"height": axis, "width": axis}));
    let tensors = [json!([spec("x")]), json!([spec("y")])];
    let engine = made(|inputs| vec![blurred(inputs[0])]);
    let manifest = folder.manifest("denoiser", tensors, axes, golden);
    (folder.open(&manifest, engine.clone()), engine)
}

fn picture(high: usize, wide: usize) -> Picture {
    let pixels = (0..high * wide).map(|i| (i * i / 7 + i * 31) as u8).collect();
    Picture { shape: [1, high, wide], pixels }
}

/// A picture padded to `sizes`, blurred as a whole and cropped.
fn expected(picture: &Picture, sizes: [usize; 2]) -> Vec<u8> {
    let [_, high, wide] = picture.shape;
    // There and back again, from one end to the other.
    let mirrored = |place: usize, size: usize| {
        let back = (1..size.saturating_sub(1)).rev();
        (0..size).chain(back).cycle().nth(place).unwrap()
    };
    let mut padded = Vec::new();
    for row in 0..sizes[0] {
        for column in 0..sizes[1] {
            let at = mirrored(row, high) * wide + mirrored(column, wide);
            padded.push(f32::from(picture.pixels[at]));
        }
    }
    let padded = Tensor::new(&[1, 1, sizes[0], sizes[1]], Values::Float32(padded)).unwrap();
    let found = blurred(&padded);
    let rows = floats(&found).chunks(sizes[1]).take(high).flat_map(|row| &row[..wide]);
    rows.map(|value| (value / 255.0 * 255.0).round_ties_even() as u8).collect()
}

#[test]
fn a_picture_of_any_size_is_padded_and_cropped() {
    let folder = Folder::new();
    let (bundle, engine) = blur(&folder, &axis(4, 8, json!(null), json!(1)), 8);
    let bundle = bundle.unwrap();
    let mut denoiser = bundle.denoiser().unwrap();
    let cases = [([1, 1], [8, 8]), ([8, 8], [8, 8]), ([9, 3], [12, 8]), ([37, 53], [40, 56])];
    for ([high, wide], sizes) in cases {
        let picture = picture(high, wide);
        let found = bundle.denoise(&mut denoiser, &picture).unwrap();
        assert_eq!(found.shape, picture.shape);
        assert_eq!(found.pixels, expected(&picture, sizes), "{high}x{wide}");
        assert_eq!(engine.seen.take()[0].shape, [1, 1, sizes[0], sizes[1]]);
    }
}

#[test]
fn a_large_picture_runs_in_tiles() {
    let folder = Folder::new();
    let (bundle, engine) = blur(&folder, &axis(4, 8, json!(null), json!(3)), 8);
    let bundle = bundle.unwrap();
    let picture = picture(2051, 2066);
    let found = bundle.denoise(&mut bundle.denoiser().unwrap(), &picture).unwrap();
    assert!(found.pixels == expected(&picture, [2052, 2068]));
    let seen = engine.seen.take();
    assert_eq!(seen.len(), 25); // 504 places of each axis at a time
    assert!(seen.iter().all(|tile| tile.shape[2] <= 512 && tile.shape[3] <= 512));
}

#[test]
fn where_any_place_can_change_outputs_the_whole_runs() {
    let folder = Folder::new();
    let (bundle, engine) = blur(&folder, &axis(1, 1, json!(null), json!(null)), 8);
    let bundle = bundle.unwrap();
    let picture = picture(2049, 2049);
    let found = bundle.denoise(&mut bundle.denoiser().unwrap(), &picture).unwrap();
    assert!(found.pixels == expected(&picture, [2049, 2049]));
    assert_eq!(engine.seen.take().len(), 1);
}

#[test]
fn run_takes_any_size_in_tiles_and_all_rows() {
    let folder = Folder::new();
    let (bundle, engine) = blur(&folder, &axis(1, 2, json!(null), json!(1)), 8);
    let mut part = bundle.unwrap().part("denoiser", "fp32").unwrap();
    let (high, wide) = (2050, 2060);
    let values = (0..2 * high * wide).map(|i| (i % 251) as f32).collect();
    let x = Tensor::new(&[2, 1, high, wide], Values::Float32(values)).unwrap();
    let expected = blurred(&x);
    let found = part.run(&HashMap::from([("x".to_string(), x)])).unwrap();
    assert!(found["y"] == expected);
    let seen = engine.seen.take();
    assert_eq!(seen.len(), 2 * 25);
    assert_eq!(seen.iter().map(|tile| tile.shape[3]).max(), Some(512));
}

#[test]
fn sizes_that_the_axes_do_not_allow_are_refused() {
    let folder = Folder::new();
    let (bundle, engine) = blur(&folder, &axis(8, 16, json!(64), json!(1)), 16);
    let bundle = bundle.unwrap();
    let mut part = bundle.denoiser().unwrap();
    let error = bundle.denoise(&mut part, &picture(65, 16)).unwrap_err().to_string();
    let rule = "a multiple of 8 from 16 to 64";
    let said = format!("denoiser: x: height: expected {rule}, got 65: the nearest is 64");
    assert_eq!(error, said);
    let mut run = |shape: &[usize]| {
        let values = Values::Float32(vec![0.0; shape.iter().product()]);
        let x = Tensor::new(shape, values).unwrap();
        part.run(&HashMap::from([("x".to_string(), x)])).unwrap_err().to_string()
    };
    for (shape, said) in [
        (&[1, 1, 41, 16][..], format!("height: expected {rule}, got 41: the nearest is 40")),
        (&[1, 1, 16, 8], format!("width: expected {rule}, got 8: the nearest is 16")),
        (&[0, 1, 16, 16], "batch: expected a size of at least 1, got 0: the nearest is 1".into()),
        (&[16, 16], "expected float32 [batch, 1, height, width], got float32 [16, 16]".into()),
        (
            &[1, 2, 8, 8],
            "expected float32 [batch, 1, height, width], got float32 [1, 2, 8, 8]".into(),
        ),
    ] {
        assert_eq!(run(shape), format!("denoiser: x: {said}"));
    }
    assert!(engine.seen.take().is_empty());
    let broken = Picture { shape: [1, 16, 16], pixels: vec![0; 255] };
    let error = bundle.denoise(&mut part, &broken).unwrap_err().to_string();
    assert_eq!(error, "expected a picture of [1, 16, 16], got 255 values");
}

/// A part that takes signals, which it gives as they are.
#[test]
fn a_long_signal_runs_in_long_tiles() {
    let folder = Folder::new();
    let spec = |name| spec(name, "signal", json!(["batch", 1, "n"]), json!(null));
    let zeros = |name| folder.array(name, &[1, 1, 4], &[0.0; 4]);
    let golden = json!({
        "inputs": {"x": zeros("x.bin")},
        "outputs": {"y": with(zeros("y.bin"), json!({"tolerance": [1]}))},
    });
    let axes = with(rows(), json!({"n": axis(1, 1, json!(null), json!(2))}));
    let tensors = [json!([spec("x")]), json!([spec("y")])];
    let engine = made(|inputs| vec![inputs[0].clone()]);
    let manifest = folder.manifest("encoder", tensors, axes, golden);
    let bundle = folder.open(&manifest, engine.clone()).unwrap();
    let mut part = bundle.part("encoder", "fp32").unwrap();
    for (size, tiles) in [(1 << 22, 1), ((1 << 22) + 1, 17)] {
        let values = Values::Float32((0..size).map(|i| i as f32).collect());
        let x = Tensor::new(&[1, 1, size], values).unwrap();
        let found = part.run(&HashMap::from([("x".to_string(), x.clone())])).unwrap();
        assert!(found["y"] == x);
        let seen = engine.seen.take();
        assert_eq!(seen.len(), tiles);
        assert_eq!(seen[tiles / 2].shape[2], size.min(if tiles == 1 { size } else { 1 << 18 }));
    }
}

/// Outputs that are longer than the axis are cut to the usual length: a tile is shorter then.
#[test]
fn tiles_are_measured_where_they_are_longest() {
    let folder = Folder::new();
    let spec = |name, shape| spec(name, "signal", shape, json!(null));
    let golden = json!({
        "inputs": {"x": folder.array("x.bin", &[1, 1, 4], &[0.0; 4])},
        "outputs": {"y": with(folder.array("y.bin", &[1, 1, 16], &[0.0; 16]), json!({"tolerance": [1]}))},
    });
    let axes = with(rows(), json!({"n": axis(1, 1, json!(null), json!(2))}));
    let x = spec("x", json!(["batch", 1, "n"]));
    let tensors = [json!([x]), json!([spec("y", json!(["batch", 1, "4*n"]))])];
    let engine = made(|inputs| {
        let Values::Float32(values) = &inputs[0].values else { unreachable!() };
        let four = values.iter().flat_map(|value| [*value; 4]).collect();
        vec![Tensor::new(&[1, 1, 4 * values.len()], Values::Float32(four)).unwrap()]
    });
    let manifest = folder.manifest("encoder", tensors, axes, golden);
    let bundle = folder.open(&manifest, engine.clone()).unwrap();
    let mut part = bundle.part("encoder", "fp32").unwrap();
    let size = (1 << 20) + 1; // the output has four values more than run as a whole
    let x = Tensor::new(&[1, 1, size], Values::Float32(vec![1.0; size])).unwrap();
    assert_eq!(part.run(&HashMap::from([("x".to_string(), x)])).unwrap()["y"].shape[2], 4 * size);
    assert!(engine.seen.take().iter().all(|x| x.shape[2] <= 1 << 16));
}

/// What two inputs share has one size, and scaled sizes follow it.
#[test]
fn axes_follow_from_all_inputs() {
    let folder = Folder::new();
    let specs = json!([
        spec("z", "latent", json!(["batch", "frames"]), json!(null)),
        spec("mask", "mask", json!(["batch", "2*frames"]), json!(null)),
    ]);
    let output = json!([spec("y", "other", json!(["batch", "frames/3"]), json!(null))]);
    let array = |name, wide: usize| folder.array(name, &[1, wide], &vec![0.0; wide]);
    let golden = json!({
        "inputs": {"z": array("z.bin", 6), "mask": array("mask.bin", 12)},
        "outputs": {"y": with(array("y.bin", 2), json!({"tolerance": [1]}))},
    });
    let axes = with(rows(), json!({"frames": axis(3, 3, json!(null), json!(null))}));
    let manifest = folder.manifest("decoder", [specs, output], axes, golden);
    let engine = made(|inputs| {
        let wide = inputs[0].shape[1] / 3;
        vec![Tensor::new(&[inputs[0].shape[0], wide], Values::Float32(vec![1.0; wide])).unwrap()]
    });
    let mut part = folder.open(&manifest, engine).unwrap().part("decoder", "fp32").unwrap();
    let mut run = |z: usize, mask: usize| {
        let array =
            |wide: usize| Tensor::new(&[1, wide], Values::Float32(vec![0.0; wide])).unwrap();
        let inputs = [("z".to_string(), array(z)), ("mask".to_string(), array(mask))];
        part.run(&HashMap::from(inputs))
    };
    assert_eq!(run(9, 18).unwrap()["y"].shape, [1, 3]);
    for (z, mask, said) in [
        (9, 24, "frames: expected one size in all inputs, got 9 in z and 12 in mask"),
        (9, 17, "mask: expected a multiple of 2 for 2*frames, got 17"),
        (8, 16, "z: frames: expected a multiple of 3 of at least 3, got 8: the nearest is 9"),
    ] {
        assert_eq!(run(z, mask).unwrap_err().to_string(), format!("decoder: {said}"));
    }
    let mut alone =
        folder.open(&manifest, made(|_| vec![])).unwrap().part("decoder", "fp32").unwrap();
    let z = Tensor::new(&[1, 3], Values::Float32(vec![0.0; 3])).unwrap();
    let error = alone.run(&HashMap::from([("z".to_string(), z)])).unwrap_err().to_string();
    let wanted = "z float32 [batch, frames], mask float32 [batch, 2*frames]";
    assert_eq!(error, format!("decoder: expected the inputs {wanted}, got z"));
}

/// Axes that a hostile manifest could say: nothing of their size is ever allocated.
#[test]
fn huge_axes_are_refused() {
    let most = (1_u64 << 53) - 1;
    for (axis, said) in [
        (
            axis(1, most, json!(null), json!(0)),
            "height: expected a size of at least 9007199254740991",
        ),
        (
            axis(most, most, json!(null), json!(most)),
            "height: expected a multiple of 9007199254740991",
        ),
        (axis(1, 9, json!(9), json!(1)), "height: expected a size from 9 to 9, got 8"),
    ] {
        let folder = Folder::new();
        let error = blur(&folder, &axis, 8).0.err().expect("8 is too small").to_string();
        let place = format!("parts.denoiser.fp32.golden[0].inputs.x: {said}");
        assert!(error.contains(&place), "{error}");
    }
    // A golden size that is allowed bounds the smallest, so a margin is all that is left.
    let folder = Folder::new();
    let (bundle, _) = blur(&folder, &axis(1, 1, json!(most), json!(most)), 8);
    let bundle = bundle.unwrap();
    let picture = picture(2049, 2049);
    let found = bundle.denoise(&mut bundle.denoiser().unwrap(), &picture).unwrap();
    assert!(found.pixels == expected(&picture, [2049, 2049]));
}
