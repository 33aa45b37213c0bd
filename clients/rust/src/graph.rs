//! What a graph must not hold, found in its bytes before an engine sees them.
//!
//! Only protobuf's wire format is read: field numbers and wire types. The numbers are those of
//! onnx.proto.

use crate::{Error, Result};

/// Refuse a graph of what bundles never hold: operators of other domains, subgraphs, functions,
/// training information, sparse weights, weights in other files. `file` is its name in errors.
pub(crate) fn require_plain(file: &str, content: &[u8]) -> Result<()> {
    model(content).map_err(|found| {
        Error::failed(match found {
            Found::Never(what) => format!("{file}: a bundle never holds {what}"),
            Found::Damage(reason) => format!("{file} is not an ONNX graph: {reason}"),
        })
    })
}

enum Found {
    Never(String),
    Damage(&'static str),
}

type Walked = std::result::Result<(), Found>;

fn model(content: &[u8]) -> Walked {
    let mut graphs = 0;
    each(content, |field, value| match field {
        7 => {
            graphs += 1;
            graph(value.bytes()?)
        }
        8 => each(value.bytes()?, |field, value| match field {
            1 => domain(value.bytes()?),
            _ => Ok(()),
        }),
        20 => never("training information"),
        25 => never("functions"),
        _ => Ok(()),
    })?;
    if graphs == 0 { Err(Found::Damage("it holds no graph")) } else { Ok(()) }
}

fn graph(content: &[u8]) -> Walked {
    each(content, |field, value| match field {
        1 => node(value.bytes()?),
        5 => tensor(value.bytes()?),
        15 => never("sparse weights"),
        _ => Ok(()),
    })
}

fn node(content: &[u8]) -> Walked {
    let mut operator = "";
    // Its name first: it may stand behind its attributes.
    each(content, |field, value| match field {
        4 => {
            let name = std::str::from_utf8(value.bytes()?);
            operator = name.map_err(|_| Found::Damage("an operator's name is not text"))?;
            match operator {
                "Loop" | "If" | "Scan" | "SequenceMap" => subgraph(operator),
                _ => Ok(()),
            }
        }
        7 => domain(value.bytes()?),
        _ => Ok(()),
    })?;
    each(content, |field, value| match field {
        5 => attribute(value.bytes()?, operator),
        _ => Ok(()),
    })
}

fn attribute(content: &[u8], operator: &str) -> Walked {
    each(content, |field, value| match field {
        5 | 10 => tensor(value.bytes()?),
        6 | 11 => subgraph(operator),
        22 | 23 => never("sparse weights"),
        20 => match value.number()? {
            5 | 10 => subgraph(operator), // GRAPH, GRAPHS
            11 | 12 => never("sparse weights"),
            _ => Ok(()),
        },
        _ => Ok(()),
    })
}

fn tensor(content: &[u8]) -> Walked {
    each(content, |field, value| match field {
        13 => never("weights in other files"),
        14 if value.number()? != 0 => never("weights in other files"),
        _ => Ok(()),
    })
}

fn domain(name: &[u8]) -> Walked {
    match name {
        b"" | b"ai.onnx" => Ok(()),
        other => never(&format!("operators of the domain \"{}\"", String::from_utf8_lossy(other))),
    }
}

fn subgraph(operator: &str) -> Walked {
    never(&format!("a subgraph ({operator})"))
}

fn never(what: &str) -> Walked {
    Err(Found::Never(what.to_string()))
}

/// The value of a field, by its wire type.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

impl<'a> Value<'a> {
    fn bytes(&self) -> std::result::Result<&'a [u8], Found> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Found::Damage("a field has another type")),
        }
    }

    fn number(&self) -> std::result::Result<u64, Found> {
        match self {
            Self::Number(number) => Ok(*number),
            _ => Err(Found::Damage("a field has another type")),
        }
    }
}

/// Every field of a message, in the order of its bytes.
fn each<'a>(mut rest: &'a [u8], mut visit: impl FnMut(u64, Value<'a>) -> Walked) -> Walked {
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut rest)?),
            1 => taken(&mut rest, 8).map(|_| Value::Fixed)?,
            2 => {
                let length = varint(&mut rest)?;
                Value::Bytes(taken(&mut rest, length)?)
            }
            5 => taken(&mut rest, 4).map(|_| Value::Fixed)?,
            _ => return Err(Found::Damage("a field has no known type")),
        };
        match tag >> 3 {
            field @ 1..0x2000_0000 => visit(field, value)?,
            _ => return Err(Found::Damage("a field has no such number")),
        }
    }
    Ok(())
}

fn varint(rest: &mut &[u8]) -> std::result::Result<u64, Found> {
    let mut number = 0;
    for place in 0..10 {
        let byte = taken(rest, 1)?[0];
        number |= u64::from(byte & 0x7f).wrapping_shl(7 * place);
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Found::Damage("a number is too long"))
}

fn taken<'a>(rest: &mut &'a [u8], length: u64) -> std::result::Result<&'a [u8], Found> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (taken, left) = rest.split_at_checked(length).ok_or(Found::Damage("it is cut"))?;
    *rest = left;
    Ok(taken)
}
