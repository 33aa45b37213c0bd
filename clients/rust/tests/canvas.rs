//! Samplers of images of any size: a canvas goes in, whose size is that of the images.

mod made;

use std::cell::RefCell;
use std::rc::Rc;

use aeonnx::{Bundle, Tensor, Values};
use made::{Folder, Made, made, said, with};
use serde_json::{Value, json};

type Shapes = Rc<RefCell<Vec<Vec<usize>>>>;

fn spec(name: &str, kind: &str, dtype: &str, shape: Value) -> Value {
    json!({"name": name, "kind": kind, "dtype": dtype, "shape": shape, "range": null})
}

/// What a sampler of grey images takes, and its image.
fn tensors(rows: &Value, height: &Value, width: &Value) -> [Vec<Value>; 2] {
    let inputs = vec![
        spec("seed", "seed", "int64", json!([1])),
        spec("index", "index", "int64", json!([rows])),
        spec("canvas", "canvas", "uint8", json!([rows, height, width])),
    ];
    [inputs, vec![spec("image", "image", "uint8", json!([rows, 1, height, width]))]]
}

fn any_size() -> [Vec<Value>; 2] {
    tensors(&json!("batch"), &json!("height"), &json!("width"))
}

/// A bundle of them whose one golden image is 8 high and 12 wide. Its images have their index in every
/// pixel; the shapes of the canvases that come are kept.
fn bundle(folder: &Folder, tensors: &[Vec<Value>; 2]) -> (Bundle<Made>, Made, Shapes) {
    let axis = |max: Value| json!({"multiple": 4, "min": 8, "max": max, "margin": null});
    let rows = json!({"multiple": 1, "min": 1, "max": null, "margin": 0});
    let known =
        [("batch", 1, rows), ("height", 8, axis(json!(512))), ("width", 12, axis(json!(null)))];
    let mut axes = json!({});
    let mut stored = |spec: &Value| {
        let name = spec["name"].as_str().unwrap();
        let sizes = spec["shape"].as_array().unwrap().iter().map(|size| {
            let Some((axis, golden, rule)) = known.iter().find(|(axis, ..)| size == axis) else {
                return size.as_u64().unwrap() as usize;
            };
            axes[axis] = rule.clone();
            *golden
        });
        let shape: Vec<usize> = sizes.collect();
        let width = if spec["dtype"] == "int64" { 8 } else { 1 };
        let file = folder.file(name, &vec![0; shape.iter().product::<usize>() * width]);
        let fields = json!({"dtype": spec["dtype"], "shape": shape, "tolerance": [1]});
        (name.to_string(), with(file, fields))
    };
    let [inputs, outputs] = tensors
        .each_ref()
        .map(|specs| specs.iter().map(&mut stored).collect::<serde_json::Map<_, _>>());
    let golden = json!({"inputs": inputs, "outputs": outputs});
    let shapes = Shapes::default();
    let seen = shapes.clone();
    let engine = made(move |inputs| {
        let Values::Int64(index) = &inputs[1].values else { panic!("int64") };
        let canvas = inputs[2];
        assert_eq!(canvas.values, Values::Uint8(vec![0; canvas.values.len()]));
        seen.borrow_mut().push(canvas.shape.clone());
        let [rows, height, width] = canvas.shape[..] else { panic!("a canvas has three axes") };
        let pixels = index.iter().flat_map(|i| vec![*i as u8; height * width]).collect();
        vec![Tensor::new(&[rows, 1, height, width], Values::Uint8(pixels)).unwrap()]
    });
    let both = tensors.each_ref().map(|specs| json!(specs));
    let manifest = folder.manifest("sampler", both, axes, golden);
    (folder.open(&manifest, engine.clone()).unwrap(), engine, shapes)
}

#[test]
fn images_have_the_size_of_golden_vectors_or_a_given_one() {
    let folder = Folder::new();
    let (bundle, _, shapes) = bundle(&folder, &any_size());
    let mut part = bundle.sampler().unwrap();
    assert_eq!(part.image_shape(None).unwrap(), [1, 8, 12]);
    assert_eq!(bundle.generate(&mut part, 0, 2, None, None).unwrap(), [[0; 96], [1; 96]].concat());
    assert_eq!(shapes.take(), [[2, 8, 12]]);
    let size = Some(&[16, 8][..]);
    assert_eq!(part.image_shape(size).unwrap(), [1, 16, 8]);
    let found = bundle.generate(&mut part, 0, 2, None, size).unwrap();
    assert_eq!(found, [[0; 128], [1; 128]].concat());
    assert_eq!(shapes.take(), [[2, 16, 8]]);
}

#[test]
fn large_images_are_made_few_at_once() {
    let folder = Folder::new();
    let (bundle, _, shapes) = bundle(&folder, &any_size());
    let mut part = bundle.sampler().unwrap();
    for (size, count, runs) in [
        ([64, 48], 70, vec![64, 6]),
        ([512, 512], 33, vec![16, 16, 1]),
        ([512, 16384], 2, vec![1, 1]),
    ] {
        let found = bundle.generate(&mut part, 0, count, None, Some(&size)).unwrap();
        assert!(found.chunks(size[0] * size[1]).zip(0..).all(|(image, i)| image[0] == i));
        assert_eq!(shapes.take().iter().map(|shape| shape[0]).collect::<Vec<_>>(), runs);
    }
}

/// Whose graph is fixed to one image.
#[test]
fn a_sampler_of_one_image_gives_several_of_a_size() {
    let folder = Folder::new();
    let (bundle, _, shapes) =
        bundle(&folder, &tensors(&json!(1), &json!("height"), &json!("width")));
    let mut part = bundle.sampler().unwrap();
    let found = bundle.generate(&mut part, 0, 3, None, Some(&[8, 8])).unwrap();
    assert_eq!(found, [[0; 64], [1; 64], [2; 64]].concat());
    assert_eq!(shapes.take(), [[1, 8, 8]; 3]);
}

#[test]
fn the_program_takes_a_size() {
    let folder = Folder::new();
    let (_, engine, shapes) = bundle(&folder, &any_size());
    let run = |size: &str| {
        let words = ["generate", "@", "-n", "1", "--size", size, "@/out.png", "--force"];
        said(&folder, &engine, &words)
    };
    assert_eq!(run("64x48"), (0, String::new()));
    assert_eq!(shapes.take(), [[1, 64, 48]]);
    std::fs::remove_file(folder.0.join("out.png")).unwrap();
    let rule = "expected a multiple of 4 from 8 to 512";
    let least = "expected a multiple of 4 of at least 8";
    for (size, text) in [
        ("64x48x3", "size: expected 2 numbers, height and width, got 64x48x3".to_string()),
        ("30x32", format!("size: height: {rule}, got 30: the nearest is 32")),
        ("0x32", format!("size: height: {rule}, got 0: the nearest is 8")),
        ("600x32", format!("size: height: {rule}, got 600: the nearest is 512")),
        ("64x0", format!("size: width: {least}, got 0: the nearest is 8")),
    ] {
        assert_eq!(run(size), (2, text), "{size}");
    }
    let huge = format!("8x{}0", usize::MAX);
    for size in ["", "64", "64x", "x64", "64x48x", "-8x8", "+8x8", "8.0x8", "8x 8", "axb", &huge] {
        let text = format!("--size: expected HEIGHTxWIDTH, such as 64x48, got {size}");
        assert_eq!(run(size), (2, text));
    }
    let (code, text) = run(&format!("8x{}", usize::MAX));
    let rule = format!("size: width: {least}, got {}: the nearest is ", usize::MAX);
    assert_eq!((code, text.starts_with(&rule)), (2, true), "{text}");
    let (code, text) = run("512x4000000000000");
    let larger = "this bundle's sampler cannot run: expected tensors of at most 2147483648 bytes, ";
    assert_eq!((code, text.starts_with(larger)), (1, true), "{text}");
    let words = ["generate", "@", "--size", "8x8", "-n", "9223372036854775807", "@/out.png"];
    let none = "there is no memory for 9223372036854775807 images";
    assert_eq!(said(&folder, &engine, &words), (1, none.to_string()));
    assert!(shapes.take().is_empty());
    assert!(!folder.0.join("out.png").exists());
}

#[test]
fn images_with_numbers_for_sizes_take_fewer_or_none() {
    let folder = Folder::new();
    let (wide, ..) = bundle(&folder, &tensors(&json!(1), &json!(8), &json!("width")));
    let wide = wide.sampler().unwrap();
    assert_eq!(wide.image_shape(Some(&[16])).unwrap(), [1, 8, 16]);
    let error = wide.image_shape(Some(&[8, 16])).unwrap_err();
    assert_eq!(error.to_string(), "size: expected 1 number, width, got 8x16");
    let (one, engine, _) = bundle(&folder, &tensors(&json!(1), &json!(8), &json!(12)));
    assert_eq!(one.sampler().unwrap().image_shape(None).unwrap(), [1, 8, 12]);
    let words = ["generate", "@", "--size", "8x12", "@/out.png"];
    let none = "size: expected none, the images of this bundle have one size";
    assert_eq!(said(&folder, &engine, &words), (2, none.to_string()));
}

#[test]
fn a_canvas_that_is_none_is_refused() {
    let refusal = |change: &dyn Fn(&mut Vec<Value>)| {
        let folder = Folder::new();
        let [mut inputs, outputs] = any_size();
        change(&mut inputs);
        let (bundle, ..) = bundle(&folder, &[inputs, outputs]);
        let error = bundle.sampler().err().expect("it is damaged").to_string();
        let start = "this bundle's sampler cannot generate: expected ";
        error.strip_prefix(start).expect(start).to_string()
    };
    let canvas = "canvas uint8 [batch, height, width]";
    assert_eq!(
        refusal(&|it| it[2]["dtype"] = json!("bool")),
        format!("{canvas}, got canvas bool [batch, height, width]")
    );
    for shape in [json!(["batch", "width", "height"]), json!([1, "height", "width"])] {
        let text = shape.to_string().replace('"', "").replace(',', ", ");
        assert_eq!(
            refusal(&|it| it[2]["shape"] = shape.clone()),
            format!("{canvas}, got canvas uint8 {text}")
        );
    }
    let other = spec("other", "canvas", "uint8", json!(["batch", "height", "width"]));
    assert_eq!(refusal(&|it| it.push(other.clone())), "one canvas, got two");
    assert_eq!(
        refusal(&|it| it[2]["kind"] = json!("mask")),
        "inputs of the kinds seed and index, and canvas and label at most, got canvas of mask"
    );
}
