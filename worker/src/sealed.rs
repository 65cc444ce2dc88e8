//! A process that holds keys and passwords leaves none of them behind.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core file of this process, by two means: a size of nothing stops those that the kernel writes, and being
/// undumpable those that it pipes to a collector. Undumpable it is also closed to other processes of its own user: its
/// memory and its environment, where a key may stand, are root's alone.
///
/// # Errors
/// When the kernel refuses either; the text is for people.
pub fn seal() -> Result<(), String> {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, nothing).map_err(|e| format!("core files cannot be limited: {e}"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| format!("this process cannot be made undumpable: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{dumpable_behavior, getrlimit};

    /// Not a test of its own: what it does to a process is done to one of its own.
    #[test]
    fn in_a_process_of_its_own() {
        if std::env::var_os("CONDUCTOR_TEST_SEALED").is_none() {
            return;
        }
        seal().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        println!("it is sealed");
    }

    #[test]
    fn neither_the_kernel_nor_a_collector_gets_a_core_file() {
        let ran = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "sealed::tests::in_a_process_of_its_own",
                "--nocapture",
            ])
            .env("CONDUCTOR_TEST_SEALED", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(
            ran.status.success() && said.contains("it is sealed"),
            "{ran:?}"
        );
    }
}
