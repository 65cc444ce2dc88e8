//! Embeds every definition and every persona, so that adding one is adding one file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let room = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    let mut code = String::new();
    embed(&mut code, "FLOWS", &room.join("definitions"), "toml")?;
    embed(&mut code, "PERSONAS", &room.join("../personas"), "md")?;
    fs::write(out.join("embedded.rs"), code)
}

/// Writes a constant of `(file name, text)` pairs, sorted by file name.
fn embed(code: &mut String, name: &str, folder: &Path, extension: &str) -> io::Result<()> {
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    writeln!(code, "const {name}: &[(&str, &str)] = &[").expect("a string takes everything");
    for path in files {
        println!("cargo:rerun-if-changed={}", path.display());
        let file = path
            .file_name()
            .expect("a listed file has a name")
            .to_string_lossy();
        writeln!(
            code,
            "    ({:?}, include_str!({:?})),",
            file,
            path.display().to_string()
        )
        .expect("a string takes everything");
    }
    writeln!(code, "];").expect("a string takes everything");
    Ok(())
}
