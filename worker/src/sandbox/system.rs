//! What any program needs of the system to start: libraries, loader, a few files of /etc, /proc and /dev.

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
    "/usr/local/lib",
    "/nix/store",
    "/gnu/store",
    "/usr/share/ca-certificates",
    "/usr/share/locale",
    "/usr/share/zoneinfo",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki/tls",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/timezone",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/version",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
];

/// May be written as well.
const WRITE: &[&str] = &["/dev/null"];

/// The paths of the system that exist on this machine.
pub(super) fn read() -> impl Iterator<Item = &'static Path> {
    READ.iter().map(Path::new).filter(|p| p.exists())
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
