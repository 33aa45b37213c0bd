//! The program's verb score: files, the table, texts and exit codes.

mod made;

use std::fs;

use aeonnx::{Picture, Tensor, Values, picture};
use made::{Folder, Made, floats, made, npy, rows, said, with};
use serde_json::{Value, json};

/// A bundle whose scorer gives the mean of each row of x: of images of one pixel in [0, 1], or of pairs.
fn scorer(folder: &Folder, kind: &str) -> Made {
    let spec = |name: &str, kind: &str, shape: Value| json!({"name": name, "kind": kind, "dtype": "float32", "shape": shape, "range": [0, 1]});
    let sizes = if kind == "image" { vec![1, 1, 1] } else { vec![2] };
    let whole = [vec![1], sizes.clone()].concat();
    let x = folder.array("x.bin", &whole, &vec![0.0; whole.iter().product()]);
    let error = with(folder.array("error.bin", &[1], &[0.0]), json!({"tolerance": [1]}));
    let golden = json!({"inputs": {"x": x}, "outputs": {"error": error}});
    let shape = sizes.into_iter().map(|size| json!(size));
    let shape: Vec<_> = [json!("batch")].into_iter().chain(shape).collect();
    let inputs = json!([spec("x", kind, json!(shape))]);
    let outputs = json!([spec("error", "score", json!(["batch"]))]);
    let mut manifest = folder.manifest("scorer", [inputs, outputs], rows(), golden);
    let quantiles: Vec<_> = (0..=100).map(|place| f64::from(place) / 100.0).collect();
    let variant = &mut manifest["parts"]["scorer"]["fp32"];
    variant["percentiles"] = json!({"error": {"p95": 0.9375}});
    variant["normal"] = json!({"error": {"quantiles": quantiles}});
    let engine = made(|inputs| {
        let (values, count) = (floats(inputs[0]), inputs[0].shape[0]);
        let rows = values.chunks(values.len() / count);
        let means = rows.map(|row| row.iter().sum::<f32>() / row.len() as f32).collect();
        vec![Tensor::new(&[count], Values::Float32(means)).unwrap()]
    });
    folder.open(&manifest, engine.clone()).unwrap();
    engine
}

fn draw(folder: &Folder, name: &str, pixel: u8) {
    let picture = Picture { shape: [1, 1, 1], pixels: vec![pixel] };
    picture::write(&folder.0.join(name), &picture, true).unwrap();
}

fn table(folder: &Folder) -> String {
    let text = fs::read_to_string(folder.0.join("scores.csv")).unwrap();
    text.replace(&folder.0.display().to_string(), "@")
}

const TABLE: [&str; 2] = ["-o", "@/scores.csv"];

/// The verb with these words.
fn score(folder: &Folder, engine: &Made, words: &[&str]) -> (i32, String) {
    said(folder, engine, &[&["score", "@"], words].concat())
}

#[test]
fn pictures_are_scored_one_at_a_time() {
    let folder = Folder::new();
    let engine = scorer(&folder, "image");
    draw(&folder, "black, \"0\".png", 0);
    draw(&folder, "white.png", 255);
    let words = ["@/black, \"0\".png", "@/white.png", "--threshold", "p95", "-o", "@/scores.csv"];
    assert_eq!(score(&folder, &engine, &words), (0, String::new()));
    let expected = "name,score,percentile,verdict\n\"@/black, \"\"0\"\".png\",0.0,0.0,normal\n\
                    @/white.png,1.0,100.0,odd\n";
    assert_eq!(table(&folder), expected);
    assert_eq!(engine.seen.take().len(), 2);
    let again = "@/scores.csv exists already: pass --force to replace it, or name another";
    assert_eq!(score(&folder, &engine, &words), (1, again.to_string()));
    assert!(engine.seen.take().is_empty());
    let forced = ["@/white.png", "--force", "--threshold", "2", "-o", "@/scores.csv"];
    assert_eq!(score(&folder, &engine, &forced), (0, String::new()));
    assert!(table(&folder).ends_with("verdict\n@/white.png,1.0,100.0,normal\n"));
}

#[test]
fn rows_of_arrays_are_told_by_their_numbers() {
    let folder = Folder::new();
    let engine = scorer(&folder, "vector");
    fs::write(folder.0.join("a.npy"), npy("(2, 2)", &[0.0, 0.0, 7.0, 8.0])).unwrap();
    fs::write(folder.0.join("b"), npy("(1, 2)", &[0.125, 0.125])).unwrap();
    let words = |files: &[&'static str]| [files, &TABLE, &["--threshold", "-1"]].concat();
    assert_eq!(score(&folder, &engine, &words(&["@/a.npy"])), (0, String::new()));
    assert!(table(&folder).ends_with("verdict\n0,0.0,0.0,odd\n1,7.5,100.0,odd\n"));
    let words = [words(&["@/a.npy", "@/b"]), vec!["--force"]].concat();
    assert_eq!(score(&folder, &engine, &words), (0, String::new()));
    let rows = "@/a.npy:0,0.0,0.0,odd\n@/a.npy:1,7.5,100.0,odd\n@/b:0,0.125,12.5,odd\n";
    assert!(table(&folder).ends_with(rows), "{}", table(&folder));
}

#[test]
fn a_failure_at_any_file_leaves_no_table() {
    let folder = Folder::new();
    let engine = scorer(&folder, "image");
    draw(&folder, "good.png", 3);
    fs::write(folder.0.join("x.txt"), "a text").unwrap();
    let wide = Picture { shape: [1, 1, 2], pixels: vec![0, 0] };
    picture::write(&folder.0.join("wide.png"), &wide, false).unwrap();
    fs::write(folder.0.join("nan.npy"), npy("(1, 1, 1, 1)", &[f32::NAN])).unwrap();
    fs::write(folder.0.join("none.npy"), npy("(0, 1, 1, 1)", &[])).unwrap();
    fs::create_dir(folder.0.join("parts")).unwrap();
    let cases = [
        ("parts", " is a folder: name the pictures in it, such as @/parts/*.png"),
        ("gone.png", " does not exist"),
        ("x.txt", " is not a readable PNG, JPEG or BMP image: it is of another kind"),
        ("wide.png", ": expected 1x1 pixels, got 2x1: resize it first"),
        ("nan.npy", ": scorer: x: expected finite values, got NaN or infinity"),
        ("none.npy", ": scorer: x: batch: expected a size of at least 1, got 0: the nearest is 1"),
    ];
    for (name, text) in cases {
        let file = format!("@/{name}");
        let words = [&["@/good.png", &file], &TABLE[..], &["--threshold", "1"]].concat();
        assert_eq!(score(&folder, &engine, &words), (1, format!("{file}{text}")));
        assert!(!folder.0.join("scores.csv").exists());
    }
    let alone = score(&folder, &engine, &["@/nan.npy", "--threshold", "1"]);
    let said = "scorer: x: expected finite values, got NaN or infinity";
    assert_eq!(alone, (1, said.to_string()));
}

#[test]
fn what_no_picture_is_takes_arrays() {
    let folder = Folder::new();
    let engine = scorer(&folder, "vector");
    draw(&folder, "in.png", 0);
    let found = score(&folder, &engine, &["@/in.png", "--threshold", "1"]);
    let text = "@/in.png: this scorer takes vector [batch, 2]: give a .npy file of rows";
    assert_eq!(found, (1, text.to_string()));
}

/// Before any file is read.
#[test]
fn arguments_are_checked_first() {
    let folder = Folder::new();
    let engine = scorer(&folder, "image");
    let cases: [(&[&str], i32, &str); 8] = [
        (&[], 2, "expected BUNDLE FILE..."),
        (&["gone.png", "-o", "x.txt"], 2, "x.txt: expected a name that ends in .csv"),
        (&["gone.png"], 2, "threshold: expected p95 or a number, got p99"),
        (&["gone.png", "--threshold"], 2, "--threshold: expected a value"),
        (&["gone.png", "--threshold", "1", "--fast"], 2, "there is no option --fast"),
        (&["gone.png", "--label", "1"], 2, "this scorer takes no --label: leave it out"),
        (
            &["gone.png", "--threshold", "1", "-o", "@/x.CSV"],
            1,
            "cannot write @/x.CSV: it is a folder",
        ),
        (&["gone.png", "--threshold", "1"], 1, "gone.png does not exist"),
    ];
    fs::create_dir(folder.0.join("x.CSV")).unwrap();
    for (words, code, text) in cases {
        let found = score(&folder, &engine, words);
        assert_eq!(found, (code, text.to_string()), "{words:?}");
    }
}
