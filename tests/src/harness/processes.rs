//! Processes that belong to a folder: what runs in it or was started with it in hand.

use std::path::Path;
use std::time::{Duration, Instant};

/// A process, as far as a failed test must name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    pub command: String,
}

/// Processes whose working folder, command line or environment names this folder; not this one.
pub fn of_folder(folder: &Path) -> Vec<Process> {
    let needle = folder.as_os_str().as_encoded_bytes();
    let own = std::process::id().cast_signed();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own && names(*pid, needle))
        .filter_map(read)
        .collect()
}

fn names(pid: i32, folder: &[u8]) -> bool {
    let file = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let working = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    holds(working.as_os_str().as_encoded_bytes(), folder)
        || holds(&file("cmdline"), folder)
        || holds(&file("environ"), folder)
}

/// Whether a path stands in a text and does not go on there with another name: `/a/1` is not in `/a/12`.
fn holds(text: &[u8], path: &[u8]) -> bool {
    let found = text.windows(path.len()).enumerate();
    found.filter(|(_, window)| *window == path).any(|(at, _)| {
        text.get(at + path.len())
            .is_none_or(|next| !next.is_ascii_alphanumeric())
    })
}

/// None if it has ended, a zombie included.
pub fn read(pid: i32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    Some(Process {
        pid,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        command: String::from_utf8_lossy(&command).replace('\0', " "),
    })
}

/// Sends a signal to one process; false if there is none.
pub fn signal(pid: i32, signal: i32) -> bool {
    // SAFETY: kill(2) takes two integers and touches no memory of ours.
    pid > 0 && unsafe { libc::kill(pid, signal) } == 0
}

/// Processor time that the first thread of a process has had so far, in seconds.
pub fn processor_time(pid: i32) -> Option<f64> {
    let schedule = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let nanoseconds: u64 = schedule.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds).as_secs_f64())
}

/// The largest resident size that a process has had so far, in bytes.
pub fn peak_memory(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Sets the largest resident size back to the present one, so that a test measures its own part.
pub fn reset_peak_memory(pid: i32) {
    let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// Waits until no process belongs to this folder; what is left when `limit` has passed.
pub fn wait_until_none(folder: &Path, limit: Duration) -> Vec<Process> {
    let end = Instant::now() + limit;
    loop {
        let left = of_folder(folder);
        if left.is_empty() || Instant::now() >= end {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills whatever belongs to this folder.
pub fn kill_all(folder: &Path) {
    for process in of_folder(folder) {
        signal(process.pid, libc::SIGKILL);
    }
    wait_until_none(folder, Duration::from_secs(5));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_folder_is_not_found_in_a_longer_name() {
        assert!(holds(b"--state=/tmp/x/test_1/state", b"/tmp/x/test_1"));
        assert!(holds(b"/tmp/x/test_1", b"/tmp/x/test_1"));
        assert!(!holds(b"/tmp/x/test_12/state", b"/tmp/x/test_1"));
    }

    #[test]
    fn finds_what_works_in_a_folder_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("sleep")
            .arg("60")
            .current_dir(folder.path())
            .spawn()
            .unwrap();
        let pid = child.id().cast_signed();
        let found = of_folder(folder.path());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].pid, pid);
        assert!(peak_memory(pid).unwrap() > 0);
        kill_all(folder.path());
        child.wait().unwrap();
        assert_eq!(of_folder(folder.path()), []);
    }
}
