//! Things in a tree that are no plain files, and too much of what is.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::case::{Case, Plot, SECRET, reads};

const SPARSE: u64 = 2 << 30;
/// As deep as a path can be said in one piece.
const LEVELS: usize = 1800;
const MANY: usize = 4_000;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("links-out", links)
            .asks(|_| {
                reads(&[
                    "{snapshot}/absolute",
                    "{snapshot}/relative",
                    "{snapshot}/chain",
                    "{snapshot}/environ",
                    "{snapshot}/folder/secret",
                    "{snapshot}/root/etc/passwd",
                    "{snapshot}/loop",
                    "{snapshot}/of-git/config",
                ])
            })
            .springs(|plot| {
                let read = |name: &str| std::fs::read_to_string(plot.repo.root().join(name));
                ["absolute", "relative", "chain", "folder/secret"]
                    .map(read)
                    .iter()
                    .all(|read| read.as_ref().is_ok_and(|text| text.contains(SECRET)))
            })
            .ordinary_too(),
        Case::new("links-in-the-commit", |plot| {
            links(plot);
            plot.repo.commit("Add links");
        }),
        Case::new("fifos-sockets-devices", no_files)
            .asks(|_| {
                reads(&[
                    "{snapshot}/fifo",
                    "{snapshot}/src/lease.rs",
                    "{snapshot}/zero",
                ])
            })
            .ordinary_too(),
        Case::new("sparse-giant", |plot| {
            let giant = std::fs::File::create(plot.repo.root().join("giant")).unwrap();
            giant.set_len(SPARSE).unwrap();
        })
        .asks(|_| reads(&["{snapshot}/giant"])),
        Case::new("deep-nesting", |plot| {
            let deep = plot.repo.root().join("d/".repeat(LEVELS));
            std::fs::create_dir_all(&deep).unwrap();
            std::fs::write(deep.join("f"), "deep\n").unwrap();
        }),
        Case::new("very-many-files", |plot| {
            let many = plot.repo.root().join("many");
            std::fs::create_dir(&many).unwrap();
            for number in 0..MANY {
                std::fs::write(many.join(number.to_string()), "x").unwrap();
            }
        }),
        Case::new("no-repository", |plot| {
            let root = plot.repo.root();
            links(plot);
            no_files(plot);
            std::fs::remove_dir_all(root.join(".git")).unwrap();
        })
        .ordinary_too(),
        Case::new("closed-files", |plot| {
            plot.repo.write("closed/file", "x\n");
            let closed = std::os::unix::fs::PermissionsExt::from_mode(0o000);
            std::fs::set_permissions(plot.repo.root().join("closed"), closed).unwrap();
        }),
    ]
}

fn links(plot: &Plot) {
    let root = plot.repo.root();
    let up = pathdiff(root, &plot.secret());
    for (name, target) in [
        ("absolute", plot.secret().as_path()),
        ("relative", &up),
        ("chain", Path::new("chain-1")),
        ("chain-1", Path::new("chain-2")),
        ("chain-2", &plot.secret()),
        ("environ", Path::new("/proc/self/environ")),
        ("descriptors", Path::new("/proc/self/fd")),
        ("folder", &plot.canaries),
        ("root", Path::new("/")),
        ("loop", Path::new("loop")),
        ("dangling", Path::new("../nowhere")),
        ("of-git", Path::new(".git")),
        ("README", Path::new("README.md")),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
}

/// From one folder to another place, by `..`.
fn pathdiff(from: &Path, to: &Path) -> std::path::PathBuf {
    let up = from.components().skip(1).map(|_| Path::new(".."));
    let mut path: std::path::PathBuf = up.collect();
    path.push(to.strip_prefix("/").unwrap());
    path
}

fn no_files(plot: &Plot) {
    let root = plot.repo.root();
    let node = |name: &str, kind: libc::mode_t, device: libc::dev_t| {
        let path = CString::new(root.join(name).as_os_str().as_bytes()).unwrap();
        // SAFETY: a string with its end, and two numbers.
        unsafe { libc::mknod(path.as_ptr(), kind | 0o666, device) == 0 }
    };
    assert!(node("fifo", libc::S_IFIFO, 0));
    std::fs::remove_file(root.join("src/lease.rs")).unwrap();
    assert!(node("src/lease.rs", libc::S_IFIFO, 0));
    assert!(node(".gitignore", libc::S_IFIFO, 0));
    // Only root may make these, and not everywhere.
    let _ = node("zero", libc::S_IFCHR, libc::makedev(1, 5));
    let _ = node("disk", libc::S_IFBLK, libc::makedev(7, 0));
    // It stays when the listener is gone.
    drop(UnixListener::bind(root.join("socket")).unwrap());
    symlink(&plot.listeners.socket, root.join("socket-elsewhere")).unwrap();
}
