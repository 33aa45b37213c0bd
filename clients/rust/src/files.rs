//! Files, read and written so that the files of an untrusted folder can do no harm.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, Metadata, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// As many links as an operating system follows before it gives up.
const LINKS: usize = 40;

/// The content of a regular file. `fits` checks its size before anything is read.
pub(crate) fn read(path: &Path, fits: impl Fn(u64) -> Result<()>) -> Result<Vec<u8>> {
    let place = path.display();
    let (file, bytes) = regular(path)?;
    fits(bytes)?;
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut data = Vec::new();
    let room = data.try_reserve_exact(size);
    room.map_err(|_| Error::failed(format!("{place}: there is no memory for {size} bytes")))?;
    file.take(bytes).read_to_end(&mut data).map_err(|error| unreadable(path, &error))?;
    fits(data.len() as u64)?; // it may have been cut since
    Ok(data)
}

/// Whether a regular file begins with these bytes.
pub(crate) fn begins_with(path: &Path, bytes: &[u8]) -> Result<bool> {
    let (file, _) = regular(path)?;
    let mut start = Vec::new();
    let read = file.take(bytes.len() as u64).read_to_end(&mut start);
    read.map(|_| start == bytes).map_err(|error| unreadable(path, &error))
}

/// A regular file, open, and its size.
fn regular(path: &Path) -> Result<(File, u64)> {
    let irregular = || Error::failed(format!("{} is not a regular file", path.display()));
    let file = open(path).map_err(|error| match fs::metadata(path) {
        Ok(found) if !found.is_file() => irregular(), // a socket, which cannot even be opened
        _ => unreadable(path, &error),
    })?;
    let found = file.metadata().map_err(|error| unreadable(path, &error))?;
    if found.is_file() { Ok((file, found.len())) } else { Err(irregular()) }
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::failed(format!("cannot read {}: {error}", path.display()))
}

/// For `read`: at most so many bytes.
pub(crate) fn at_most(path: &Path, limit: u64) -> impl Fn(u64) -> Result<()> {
    move |size| match size {
        size if size <= limit => Ok(()),
        size => Err(Error::failed(format!(
            "{} is {size} bytes, expected at most {limit}",
            path.display()
        ))),
    }
}

// A FIFO that nobody writes to would hold the program for ever.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    match fs::metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(ErrorKind::InvalidInput.into()),
    }
}

/// Where what is written under a name goes.
enum Target {
    /// A device, a FIFO or a socket: written through, never replaced.
    Stream,
    /// A regular file, behind any links, with what is there already.
    File(PathBuf, Option<Metadata>),
}

/// Refuse a name that cannot be written to, before any work is done for it: a folder, or, without
/// `force`, a file that is there already.
pub(crate) fn require_writable(path: &Path, force: bool) -> Result<()> {
    target(path, force).map(|_| ())
}

/// Write a file whole or not at all. One that is there is replaced with `force` only, and keeps its
/// mode; links stay, and what they point to is written.
pub(crate) fn write(path: &Path, data: &[u8], force: bool) -> Result<()> {
    let written = match target(path, force)? {
        Target::Stream => OpenOptions::new().write(true).open(path).and_then(|mut stream| {
            stream.write_all(data)?;
            stream.flush()
        }),
        Target::File(target, there) => replace(&target, there.as_ref(), data),
    };
    written.map_err(|error| unwritable(path, &error.to_string()))
}

fn target(path: &Path, force: bool) -> Result<Target> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(unwritable(path, "it is a folder")),
        Ok(found) if !found.is_file() => Ok(Target::Stream),
        Ok(_) if !force => Err(Error::failed(format!(
            "{} exists already: pass --force to replace it, or name another",
            path.display()
        ))),
        Ok(found) => Ok(Target::File(behind_links(path)?, Some(found))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Target::File(behind_links(path)?, None))
        }
        Err(error) => Err(unwritable(path, &error.to_string())),
    }
}

/// What a name means in the end; it need not be there.
fn behind_links(path: &Path) -> Result<PathBuf> {
    let mut found = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::read_link(&found) {
            Ok(next) => found = found.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(found),
        }
    }
    Err(unwritable(path, "it has too many links"))
}

fn replace(target: &Path, there: Option<&Metadata>, data: &[u8]) -> io::Result<()> {
    let name = target.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy();
    let mark = RandomState::new().build_hasher().finish() as u32;
    // A name may have 255 bytes, and the hidden one is longer.
    let hidden = match name.len() {
        0..=240 => format!(".{name}.{mark:08x}.part"),
        _ => format!(".{}.{mark:08x}.part", name.chars().take(50).collect::<String>()),
    };
    let part = target.with_file_name(hidden);
    let written = created(&part, there).and_then(|mut file| {
        file.write_all(data)?;
        if let Some(there) = there {
            file.set_permissions(there.permissions())?;
        }
        file.sync_all()?;
        drop(file);
        fs::rename(&part, target)
    });
    if written.as_ref().is_err_and(|error| error.kind() != ErrorKind::AlreadyExists) {
        let _ = fs::remove_file(&part); // it may not even be there
    }
    written
}

/// A new file, never a link's target; nobody else may read what will replace a private one.
fn created(part: &Path, there: Option<&Metadata>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if there.is_some() {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = there;
    options.open(part)
}

fn unwritable(path: &Path, reason: &str) -> Error {
    Error::failed(format!("cannot write {}: {reason}", path.display()))
}
