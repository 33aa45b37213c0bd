//! What can go wrong: a line for people, and the code to leave a program with.

use std::fmt::{self, Display, Formatter};

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
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        // Engines and parsers quote what they were given, and write several lines.
        let text: String = text.into();
        let words = text.split(|c: char| c.is_whitespace() || c.is_control());
        let text = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        Self { kind, text }
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(Kind::Failed, text)
    }

    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Kind::Usage, text)
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
