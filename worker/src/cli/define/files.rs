//! The files that were named, read and held to a size.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cli::output::escaped;

/// Largest file that is read, in bytes.
const MOST: u64 = 1 << 20;

/// What a file defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// NAME.toml
    Flow,
    /// NAME.md
    Persona,
}

/// A file as it was read.
#[derive(Debug)]
pub struct File {
    /// As it was named, made harmless.
    pub shown: String,
    /// Its name without folders.
    pub name: String,
    pub form: Form,
    pub text: String,
}

/// Reads the files, of which each must have one of these forms. Returns what could be read, and for every other file
/// why not, ready to be printed.
pub fn read(paths: &[PathBuf], forms: &[Form]) -> (Vec<File>, Vec<String>) {
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    for path in paths {
        match read_one(path, forms) {
            Ok(file) => files.push(file),
            Err((problem, cure)) => {
                let shown = escaped(&path.to_string_lossy());
                wrong.push(format!("{shown}: {problem}\nhelp: {cure}\n"));
            }
        }
    }
    (files, wrong)
}

fn read_one(path: &Path, forms: &[Form]) -> Result<File, (String, String)> {
    let fail = |problem: &str, cure: &str| Err((problem.to_owned(), cure.to_owned()));
    let form = match path.extension().and_then(OsStr::to_str) {
        Some("toml") => Form::Flow,
        Some("md") => Form::Persona,
        _ => {
            return fail(
                "neither a flow nor a persona",
                "name a flow NAME.toml and a persona NAME.md",
            );
        }
    };
    if !forms.contains(&form) {
        return fail(
            "this is a flow",
            "use conductor flow check and conductor flow add",
        );
    }
    let Some(name) = path.file_name().and_then(OsStr::to_str) else {
        return fail(
            "the file's name is not UTF-8",
            "rename the file to the id of what it defines",
        );
    };
    let refused = |error: std::io::Error| {
        (
            format!("cannot be read: {error}"),
            "check the path and the rights".to_owned(),
        )
    };
    // Opening a pipe would wait for whoever writes into it.
    if !std::fs::metadata(path).map_err(refused)?.is_file() {
        return fail("not a regular file", "name the file itself");
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(refused)?;
    file.take(MOST + 1)
        .read_to_end(&mut bytes)
        .map_err(refused)?;
    if bytes.len() as u64 > MOST {
        return fail(
            "larger than 1 MiB",
            "a definition holds instructions; give material to the launch as documents",
        );
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        (
            format!("line {line} is not UTF-8"),
            "save the file as UTF-8".to_owned(),
        )
    })?;
    Ok(File {
        shown: escaped(&path.to_string_lossy()),
        name: name.to_owned(),
        form,
        text,
    })
}
