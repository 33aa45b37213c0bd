//! The program's verbs run and generate: what is read and written, texts and exit codes.

mod made;

use std::fs;

use aeonnx::{Tensor, Values};
use made::{Folder, Made, floats, made, npy, rows, said, with};
use serde_json::{Value, json};

/// A bundle whose scorer takes x [batch, 2] in [0, 1] and gives twice that, and the sum.
fn scorer(folder: &Folder) -> Made {
    scorer_of(folder, json!({}))
}

/// The same, with other fields of x.
fn scorer_of(folder: &Folder, fields: Value) -> Made {
    let spec = |name, shape: Value, range: Value| {
        json!({
            "name": name, "kind": "other", "dtype": "float32", "shape": shape, "range": range,
        })
    };
    let x = with(spec("x", json!(["batch", 2]), json!([0, 1])), fields);
    let inputs = json!([x]);
    let outputs = json!([
        spec("twice", json!(["batch", 2]), json!(null)),
        spec("sum", json!(["batch"]), json!(null)),
    ]);
    let stored = |name, shape: &[usize]| {
        let values = vec![0.0; shape.iter().product()];
        with(folder.array(name, shape, &values), json!({"tolerance": [1]}))
    };
    let golden = json!({
        "inputs": {"x": stored("x.bin", &[1, 2])},
        "outputs": {"twice": stored("twice.bin", &[1, 2]), "sum": stored("sum.bin", &[1])},
    });
    let engine = made(|inputs| {
        let values = floats(inputs[0]);
        let twice = values.iter().map(|value| value * 2.0).collect();
        let sums: Vec<_> = values.chunks(2).map(|row| row[0] + row[1]).collect();
        vec![
            Tensor::new(&inputs[0].shape, Values::Float32(twice)).unwrap(),
            Tensor::new(&[sums.len()], Values::Float32(sums)).unwrap(),
        ]
    });
    let manifest = folder.manifest("scorer", [inputs, outputs], rows(), golden);
    folder.open(&manifest, engine.clone()).unwrap();
    engine
}

#[test]
fn run_reads_and_writes_npy_files() {
    let folder = Folder::new();
    let engine = scorer(&folder);
    fs::write(folder.0.join("in.npy"), npy("(2, 2)", &[0.0, 0.25, 0.5, 1.0])).unwrap();
    let words = ["run", "@", "scorer", "x=@/in.npy", "sum=@/sum.npy", "twice=@/twice.npy"];
    assert_eq!(said(&folder, &engine, &words), (0, String::new()));
    let found = |name: &str| {
        let data = fs::read(folder.0.join(name)).unwrap();
        assert_eq!(data.len() % 64, if name == "sum.npy" { 8 } else { 16 });
        let (values, _) = data[128..].as_chunks::<4>();
        values.iter().map(|value| f32::from_le_bytes(*value)).collect::<Vec<_>>()
    };
    assert_eq!(found("sum.npy"), [0.25, 1.5]);
    assert_eq!(found("twice.npy"), [0.0, 0.5, 1.0, 2.0]);
    let again = (1, "@/sum.npy exists already: pass --force to replace it, or name another".into());
    assert_eq!(said(&folder, &engine, &words), again);
    assert_eq!(said(&folder, &engine, &[&words[..], &["--force"]].concat()), (0, String::new()));
}

#[test]
fn run_says_what_is_wrong() {
    let folder = Folder::new();
    let engine = scorer(&folder);
    for (name, shape, values) in [
        ("good.npy", "(1, 2)", [0.0, 1.0]),
        ("flat.npy", "(2,)", [0.0, 1.0]),
        ("far.npy", "(1, 2)", [-3.0, 7.0]),
        ("nan.npy", "(1, 2)", [0.0, f32::NAN]),
        ("cut.npy", "(1, 3)", [0.0, 1.0]),
    ] {
        fs::write(folder.0.join(name), npy(shape, &values)).unwrap();
    }
    let cases: [(&[&str], i32, &str); 13] = [
        (
            &["x=@/good.npy", "y=@/o.npy"],
            2,
            "scorer has no input or output y, it has: x, twice, sum",
        ),
        (&["sum=@/o.npy"], 2, "scorer needs x=FILE"),
        (&["x=@/good.npy"], 2, "name an output, such as twice=twice.npy"),
        (&["x=@/good.npy", "x=@/flat.npy", "sum=@/o.npy"], 2, "x is given twice"),
        (&["x=@/good.npy", "sum="], 2, "expected NAME=FILE, got sum="),
        (&["x=@/good.npy", "o.npy"], 2, "expected NAME=FILE, got o.npy"),
        (&["x=@/good.npy", "sum=@/o.npy", "--fast"], 2, "there is no option --fast"),
        (
            &["x=@/flat.npy", "sum=@/o.npy"],
            1,
            "scorer: x: expected float32 [batch, 2], got float32 [2]",
        ),
        (&["x=@/far.npy", "sum=@/o.npy"], 1, "scorer: x: expected values in [0, 1], got -3 to 7"),
        (
            &["x=@/nan.npy", "sum=@/o.npy"],
            1,
            "scorer: x: expected finite values, got NaN or infinity",
        ),
        (&["x=@/none.npy", "sum=@/o.npy"], 1, "@/none.npy does not exist"),
        (
            &["x=@/cut.npy", "sum=@/o.npy"],
            1,
            "@/cut.npy is not a readable .npy file: float32 [1, 3] is another number of bytes than \
             the 8 it has",
        ),
        (&["x=@/good.npy", "sum=@"], 1, "cannot write @: it is a folder"),
    ];
    for (words, code, text) in cases {
        let words = [&["run", "@", "scorer"], words].concat();
        assert_eq!(said(&folder, &engine, &words), (code, text.to_string()), "{words:?}");
    }
    assert_eq!(said(&folder, &engine, &["run", "@"]).0, 2);
    let no_part = said(&folder, &engine, &["run", "@", "encoder", "x=@/good.npy", "z=@/z.npy"]);
    assert!(no_part.1.starts_with("this bundle has no part \"encoder\", it has: scorer."));
    assert!(engine.seen.take().is_empty());
    assert!(!folder.0.join("o.npy").exists());
}

#[test]
fn nan_stands_for_a_missing_value_where_there_may_be_some() {
    let folder = Folder::new();
    let engine = scorer_of(&folder, json!({"missing": true}));
    let finite = "scorer: x: expected finite values, got NaN or infinity";
    let cases = [
        ([f32::NAN, 1.0], 0, ""),
        ([0.0, f32::NAN], 0, ""),
        ([f32::NAN, f32::NAN], 0, ""),
        ([f32::NAN, 7.0], 1, "scorer: x: expected values in [0, 1], got 7 to 7"),
        ([f32::NAN, f32::INFINITY], 1, finite),
        ([f32::NEG_INFINITY, f32::NAN], 1, finite),
    ];
    for (values, code, text) in cases {
        fs::write(folder.0.join("x.npy"), npy("(1, 2)", &values)).unwrap();
        let words = ["run", "@", "scorer", "x=@/x.npy", "sum=@/sum.npy", "--force"];
        assert_eq!(said(&folder, &engine, &words), (code, text.to_string()), "{values:?}");
    }
    assert_eq!(engine.seen.take().len(), 3);
}

/// Runs x of this kind and range with values of x.
fn ran(kind: &str, range: &Value, values: &[f32]) -> (i32, String) {
    let folder = Folder::new();
    let engine = scorer_of(&folder, json!({"kind": kind, "range": range}));
    fs::write(folder.0.join("x.npy"), npy("(1, 2)", values)).unwrap();
    said(&folder, &engine, &["run", "@", "scorer", "x=@/x.npy", "sum=@/sum.npy"])
}

#[test]
fn codes_are_not_negative_without_a_range() {
    let negative = "scorer: x: expected values of 0 or more, got -1";
    assert_eq!(ran("codes", &json!(null), &[5.0, -1.0]), (1, negative.to_string()));
    let good = (0, String::new());
    assert_eq!(ran("codes", &json!(null), &[0.0, 1e9]), good);
    assert_eq!(ran("codes", &json!([-1, 9]), &[5.0, -1.0]), good);
    assert_eq!(ran("other", &json!(null), &[5.0, -1.0]), good);
}

#[test]
fn the_range_is_rounded_to_float32() {
    let range = json!([-0.7, 0.1]); // in float32 one is below, the other above
    assert_eq!(ran("other", &range, &[-0.7, 0.1]), (0, String::new()));
    let above = "scorer: x: expected values in [-0.7, 0.1], got 0 to 0.10000001";
    assert_eq!(ran("other", &range, &[0.0, 0.1_f32.next_up()]), (1, above.to_string()));
    assert_eq!(ran("other", &range, &[0.0, (-0.7_f32).next_down()]).0, 1);
}

/// A bundle whose sampler gives images of one pixel, that of its label.
fn sampler(folder: &Folder, rows_at_once: &Value, labelled: bool) -> Made {
    let spec = |name, kind, shape: Value, range: Value| {
        json!({
            "name": name, "kind": kind, "dtype": "int64", "shape": shape, "range": range,
        })
    };
    let mut inputs = vec![
        spec("seed", "seed", json!([1]), json!(null)),
        spec("index", "index", json!([rows_at_once]), json!(null)),
    ];
    let numbers = |name| with(folder.file(name, &[0; 8]), json!({"dtype": "int64", "shape": [1]}));
    let mut stored = json!({"seed": numbers("seed.bin"), "index": numbers("index.bin")});
    if labelled {
        inputs.push(spec("label", "label", json!([rows_at_once]), json!([0, 9])));
        stored = with(stored, json!({"label": numbers("label.bin")}));
    }
    let image = with(
        spec("image", "image", json!([rows_at_once, 1, 1, 1]), json!([0, 255])),
        json!({"dtype": "uint8"}),
    );
    let pixel = json!({"dtype": "uint8", "shape": [1, 1, 1, 1], "tolerance": [1]});
    let golden = json!({
        "inputs": stored, "outputs": {"image": with(folder.file("image.bin", &[0]), pixel)},
    });
    let engine = made(|inputs| {
        let Values::Int64(values) = &inputs[inputs.len() - 1].values else { panic!("int64") };
        let pixels = values.iter().map(|value| *value as u8).collect();
        vec![Tensor::new(&[values.len(), 1, 1, 1], Values::Uint8(pixels)).unwrap()]
    });
    let axes = if rows_at_once == "batch" { rows() } else { json!({}) };
    let manifest = folder.manifest("sampler", [json!(inputs), json!([image])], axes, golden);
    folder.open(&manifest, engine.clone()).unwrap();
    engine
}

#[test]
fn generate_gives_all_images_the_label() {
    let folder = Folder::new();
    let engine = sampler(&folder, &json!("batch"), true);
    let bundle = aeonnx::Bundle::open(&folder.0, engine.clone()).unwrap();
    let mut part = bundle.sampler().unwrap();
    assert_eq!(bundle.generate(&mut part, 3, 70, Some(7), None).unwrap(), [7; 70]);
    assert_eq!(engine.seen.take()[0].values, Values::Int64(vec![3]));
    let run = |words: &[&str]| {
        said(&folder, &engine, &[&["generate", "@", "-n", "2", "@/out.png"], words].concat())
    };
    assert_eq!(run(&["--label", "9"]), (0, String::new()));
    assert!(folder.0.join("out.png").exists());
    let needs = "this sampler needs --label, 0 to 9";
    assert_eq!(run(&["--force"]), (2, needs.to_string()));
    let other = "--label: expected a whole number from 0 to 9, got 10";
    assert_eq!(run(&["--force", "--label", "10"]), (2, other.to_string()));
    let place = folder.0.join("manifest.json");
    let manifest = fs::read_to_string(&place).unwrap();
    fs::write(&place, manifest.replace("\"range\":[0,9]", "\"range\":null")).unwrap();
    assert_eq!(run(&["--force", "--label", "10"]), (0, String::new()));
    let negative = "--label: expected a whole number of 0 or more, got -1";
    assert_eq!(run(&["--force", "--label", "-1"]), (2, negative.to_string()));
}

#[test]
fn a_sampler_without_labels_takes_none() {
    let folder = Folder::new();
    let engine = sampler(&folder, &json!("batch"), false);
    let words = ["generate", "@", "--label", "1", "@/out.png"];
    let said = said(&folder, &engine, &words);
    assert_eq!(said, (2, "this sampler takes no --label: leave it out".to_string()));
}

/// Whose graph is fixed to one image: the seed, of the same shape, is for all of them.
#[test]
fn a_sampler_of_one_image_gives_several() {
    let folder = Folder::new();
    let engine = sampler(&folder, &json!(1), false);
    let bundle = aeonnx::Bundle::open(&folder.0, engine.clone()).unwrap();
    let found = bundle.generate(&mut bundle.sampler().unwrap(), 5, 3, None, None).unwrap();
    assert_eq!(found, [0, 1, 2]); // pixels of the indices
    assert!(engine.seen.take().iter().all(|seed| seed.values == Values::Int64(vec![5])));
}
