//! Bubblewrap, where the kernel's Landlock is missing or too old: a mount namespace with only the policy's paths.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Policy, system};

/// The installed bubblewrap, once it was seen to work.
pub(super) fn find() -> Result<PathBuf, String> {
    let path = which::which("bwrap").map_err(|_| "bubblewrap is not installed".to_owned())?;
    let tried = Command::new(&path)
        .args(["--unshare-pid", "--ro-bind", "/", "/", "/bin/true"])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("bubblewrap does not start ({e})"))?;
    if tried.status.success() {
        Ok(path)
    } else {
        Err(format!(
            "bubblewrap does not work here ({})",
            String::from_utf8_lossy(&tried.stderr).trim()
        ))
    }
}

/// Everything between `bwrap` and the program.
pub(super) fn arguments(policy: &Policy) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    let flags = [
        "--die-with-parent",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--cap-drop",
        "ALL",
    ];
    args.extend(flags.map(OsString::from));
    args.extend(["--proc", "/proc", "--dev", "/dev"].map(OsString::from));
    let system = system::read(&policy.execute);
    for path in &system {
        bind(&mut args, "--ro-bind", path);
    }
    for path in &policy.read {
        bind(&mut args, "--ro-bind", path);
    }
    for path in &policy.execute {
        bind(&mut args, "--ro-bind", path);
        // Most loaders lie in a folder that is there already.
        if let Some(loader) =
            system::loader(path).filter(|l| !system.iter().any(|s| l.starts_with(s)))
        {
            bind(&mut args, "--ro-bind", &loader);
        }
    }
    for path in &policy.write {
        bind(&mut args, "--bind", path);
    }
    // What holds the mounts together is memory that nobody needs to write.
    args.extend(["--remount-ro", "/"].map(OsString::from));
    args.extend([OsString::from("--chdir"), policy.cwd.clone().into()]);
    args
}

fn bind(args: &mut Vec<OsString>, how: &str, path: &Path) {
    args.extend([OsString::from(how), path.into(), path.into()]);
}
