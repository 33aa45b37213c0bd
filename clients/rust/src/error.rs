//! Failures: one line to show, and the exit code.

use std::any::Any;
use std::fmt::{self, Display, Formatter, Write};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bundle, file or array is not what it must be.
    Failed,
    /// An argument has no such value.
    Usage,
    /// The engine does not know an operator of the graph.
    Unsupported,
    /// The machine lacks something: a library, or one that is new enough.
    Environment,
}

/// Every failure of this library.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    text: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Control characters in the text are written as `\xNN`.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: visible(&text.into()) }
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(Kind::Failed, text)
    }

    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Kind::Usage, text)
    }

    /// The same, said of a file.
    pub(crate) fn of(self, path: &Path) -> Self {
        Self::new(self.kind, format!("{}: {}", path.display(), self.text))
    }

    pub fn exit_code(&self) -> i32 {
        match self.kind {
            Kind::Failed | Kind::Unsupported => 1,
            Kind::Usage => 2,
            Kind::Environment => 4,
        }
    }
}

impl Display for Error {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// A text whose control characters are written as `\xNN`: names in files can hold some, and a terminal
/// would obey them.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c.is_control() {
            true => write!(shown, "\\x{:02x}", u32::from(c)).expect("a string takes all"),
            false => shown.push(c),
        }
    }
    shown
}

/// What an engine or a parser said, in one line: they quote what they were given, and write several.
pub(crate) fn one_line(error: impl Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// For programs: what panics is caught, and becomes an error of one line.
pub(crate) fn silence_panics() {
    panic::set_hook(Box::new(|_| {}));
}

/// What code of others gives; where it panics on damaged input, that is an error of it.
pub(crate) fn caught<T>(code: impl FnOnce() -> T) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| one_line(said(panic.as_ref())))
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied());
    // Behind the first line there may be a trace.
    text.and_then(|text| text.lines().next()).unwrap_or("it gave up")
}
