//! What any program needs of the system to start: its loader and the shared libraries.
//!
//! Nothing else was needed by node, qwen, ripgrep and a shell: no names of users and hosts (the model is reached by
//! number), no certificates, no time zones, nothing of /proc, /sys or /dev but `/dev/null`.

use std::io::Read;
use std::path::{Path, PathBuf};

/// Read by every confined process; what does not exist here is left out.
const READ: &[&str] = &[
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/etc/ld.so.cache",
];

/// Whole systems in one folder: read where a program lies in it.
const STORES: &[&str] = &["/nix/store", "/gnu/store"];

/// Besides libraries there are other people's programs and packages: only the libraries themselves are read.
const LOCAL: &str = "/usr/local/lib";

/// May be written as well.
const WRITE: &[&str] = &["/dev/null"];

/// The paths of the system that exist on this machine and that these programs may need.
pub(super) fn read(programs: &[PathBuf]) -> Vec<PathBuf> {
    let of_a_program = |store: &&&str| programs.iter().any(|program| program.starts_with(**store));
    let stores = STORES.iter().filter(of_a_program);
    let whole = READ.iter().chain(stores).map(PathBuf::from);
    let whole = whole.filter(|path| path.exists());
    whole.chain(libraries(Path::new(LOCAL))).collect()
}

/// The shared libraries in a folder and in the folders for one architecture below it.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let inside = |path: &Path| -> Vec<PathBuf> {
        let found = entries(path).map(|entry| entry.path());
        found
            .filter(|path| is_library(path) && path.is_file())
            .collect()
    };
    let multiarch = entries(folder)
        .filter(|entry| entry.file_name().to_string_lossy().ends_with("-linux-gnu"))
        .flat_map(|entry| inside(&entry.path()));
    inside(folder).into_iter().chain(multiarch).collect()
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".so") || name.contains(".so.")
}

/// The devices that may be written.
pub(super) fn write() -> impl Iterator<Item = &'static Path> {
    WRITE.iter().map(Path::new)
}

/// The program that the kernel loads to start `program`: the interpreter that its ELF header names.
pub(super) fn loader(program: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    std::fs::File::open(program)
        .ok()?
        .take(8192)
        .read_to_end(&mut head)
        .ok()?;
    interpreter(&head)
}

fn interpreter(elf: &[u8]) -> Option<PathBuf> {
    const PT_INTERP: u32 = 3;
    // 64-bit little-endian only: nothing else runs node today.
    if elf.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let u16_at = |at: usize| Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    let u64_at =
        |at: usize| usize::try_from(u64::from_le_bytes(elf.get(at..at + 8)?.try_into().ok()?)).ok();
    let (table, size, count) = (
        u64_at(32)?,
        usize::from(u16_at(54)?),
        usize::from(u16_at(56)?),
    );
    for entry in 0..count {
        let at = table.checked_add(entry.checked_mul(size)?)?;
        let kind = u32::from_le_bytes(elf.get(at..at.checked_add(4)?)?.try_into().ok()?);
        if kind == PT_INTERP {
            let start = u64_at(at + 8)?;
            let name = elf.get(start..start.checked_add(u64_at(at + 32)?)?)?;
            let name = name.split(|&b| b == 0).next()?;
            return Some(PathBuf::from(std::str::from_utf8(name).ok()?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_local_libraries_only_themselves_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let multiarch = dir.path().join("x86_64-linux-gnu");
        let packages = dir.path().join("node_modules");
        for folder in [&multiarch, &packages] {
            std::fs::create_dir(folder).unwrap();
        }
        let library = dir.path().join("libnode.so.127");
        let other = multiarch.join("libz.so");
        for file in [
            &library,
            &other,
            &dir.path().join("secret.so-not"),
            &dir.path().join("notes.txt"),
            &packages.join("addon.so"),
        ] {
            std::fs::write(file, "").unwrap();
        }
        assert_eq!(libraries(dir.path()), [library, other]);
        assert!(libraries(Path::new("/nonexistent")).is_empty());
    }

    #[test]
    fn nothing_of_the_system_names_users_hosts_or_processes() {
        for path in read(&[PathBuf::from("/usr/bin/node")]) {
            let libraries = ["/lib", "/usr/lib", "/usr/local/lib"];
            assert!(
                path == Path::new("/etc/ld.so.cache")
                    || libraries
                        .iter()
                        .any(|lib| path.to_string_lossy().starts_with(lib)),
                "{path:?}"
            );
        }
    }

    #[test]
    fn finds_the_loader_of_a_dynamic_program() {
        let loader = loader(Path::new("/bin/sh")).expect("a shell is dynamically linked");
        assert!(loader.to_string_lossy().contains("ld"), "{loader:?}");
    }

    #[test]
    fn has_no_loader_for_what_is_not_elf_or_is_cut() {
        let shell = std::fs::read("/bin/sh").unwrap();
        assert_eq!(interpreter(b"#!/bin/sh\n"), None);
        for cut in [0, 5, 40, 60, 70, 130] {
            assert_eq!(interpreter(&shell[..cut]), None);
        }
    }
}
