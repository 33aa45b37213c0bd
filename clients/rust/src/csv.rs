//! Scores as a table: CSV as RFC 4180 has it, but with lines that end in LF.

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::path::Path;

use crate::{Error, Result, error};

/// What is said of one row.
pub(crate) struct Line {
    /// Of its file, or its number.
    pub(crate) name: OsString,
    pub(crate) score: f32,
    pub(crate) percentile: Option<f64>,
    pub(crate) odd: bool,
}

/// Fail unless this is the name of a table.
pub(crate) fn require_name(path: &Path) -> Result<()> {
    let name = path.as_os_str().as_encoded_bytes();
    match name.last_chunk::<4>() {
        Some(end) if end.eq_ignore_ascii_case(b".csv") => Ok(()),
        _ => {
            let place = path.display();
            Err(Error::usage(format!("{place}: expected a name that ends in .csv")))
        }
    }
}

/// The whole table; `shown` is how it has a name: `raw` or `visible`.
pub(crate) fn table(lines: &[Line], shown: fn(&OsStr) -> Vec<u8>) -> Vec<u8> {
    let mut data = b"name,score,percentile,verdict\n".to_vec();
    for line in lines {
        let percentile = line.percentile.map(number).unwrap_or_default();
        let verdict = if line.odd { "odd" } else { "normal" };
        data.extend(quoted(shown(&line.name)));
        data.extend(format!(",{},{percentile},{verdict}\n", number(line.score)).into_bytes());
    }
    data
}

/// A name as it is, for a file.
pub(crate) fn raw(name: &OsStr) -> Vec<u8> {
    name.as_encoded_bytes().to_vec()
}

/// A name as a terminal may have it.
pub(crate) fn visible(name: &OsStr) -> Vec<u8> {
    error::visible(&name.to_string_lossy()).into_bytes()
}

fn quoted(name: Vec<u8>) -> Vec<u8> {
    if !name.iter().any(|byte| b",\"\r\n".contains(byte)) {
        return name;
    }
    let mut cell = vec![b'"'];
    for byte in name {
        cell.extend(if byte == b'"' { &b"\"\""[..] } else { std::slice::from_ref(&byte) });
    }
    cell.push(b'"');
    cell
}

/// The shortest text that is this float and no other: "0.1", "1e20", "inf", "nan".
fn number(value: impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, score: f32, percentile: Option<f64>, odd: bool) -> Line {
        Line { name: name.into(), score, percentile, odd }
    }

    fn text(lines: &[Line], shown: fn(&OsStr) -> Vec<u8>) -> String {
        let text = String::from_utf8(table(lines, shown)).unwrap();
        text.strip_prefix("name,score,percentile,verdict\n").unwrap().to_string()
    }

    #[test]
    fn numbers_are_what_other_languages_read() {
        let lines = [
            line("a", 0.057_128_2, Some(93.125), false),
            line("b", 21_273_800_000.0, Some(100.0), true),
            line("c", 1e20, None, true),
            line("d", f32::INFINITY, Some(0.0), true),
            line("e", f32::NEG_INFINITY, Some(1e-9), false),
            line("f", f32::NAN, None, false),
        ];
        let expected = "a,0.0571282,93.125,normal\nb,21273800000.0,100.0,odd\nc,1e20,,odd\n\
                        d,inf,0.0,odd\ne,-inf,1e-9,normal\nf,nan,,normal\n";
        assert_eq!(text(&lines, raw), expected);
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        let cases = [
            ("a b;c'.png", "a b;c'.png"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("a\rb", "\"a\rb\""),
            ("a\nb", "\"a\nb\""),
            ("a\x1b\tb", "a\x1b\tb"),
        ];
        for (name, cell) in cases {
            assert_eq!(text(&[line(name, 1.0, None, false)], raw), format!("{cell},1.0,,normal\n"));
        }
        let on_terminal = text(&[line("a,\x1b[1m\n", 1.0, None, false)], visible);
        assert_eq!(on_terminal, "\"a,\\x1b[1m\\x0a\",1.0,,normal\n");
    }

    #[test]
    fn a_table_has_the_name_of_one() {
        for name in ["scores.csv", "a/B.CSV", ".csv"] {
            require_name(Path::new(name)).unwrap();
        }
        for name in ["x.txt", "csv", "x.csv.gz", "-", ""] {
            let error = require_name(Path::new(name)).unwrap_err();
            let said = format!("{name}: expected a name that ends in .csv");
            assert_eq!((error.exit_code(), error.to_string()), (2, said));
        }
    }
}
