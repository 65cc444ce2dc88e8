//! A process that holds keys and passwords leaves none of them behind.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// One byte is no room for a core file, and unlike none it also keeps one from a program that the system pipes it to.
const NO_CORE_BYTES: u64 = 1;

/// No core file of this process, nor of what it starts. Undumpable it is also closed to other processes of its own user:
/// its memory and its environment, where a key may stand, are root's alone.
///
/// # Errors
/// When the kernel refuses either; the text is for people.
pub fn seal() -> Result<(), String> {
    leave_no_core().map_err(|e| format!("core files cannot be limited: {e}"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| format!("this process cannot be made undumpable: {e}"))
}

/// No core file of this process and of what it starts from now on.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn leave_no_core() -> rustix::io::Result<()> {
    // Whoever started us may have allowed even less, which nobody can take back.
    let allowed = getrlimit(Resource::Core).maximum;
    let bytes = Some(allowed.map_or(NO_CORE_BYTES, |allowed| allowed.min(NO_CORE_BYTES)));
    let limit = Rlimit {
        current: bytes,
        maximum: bytes,
    };
    setrlimit(Resource::Core, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::dumpable_behavior;

    /// Not a test of its own: what it does to a process is done to one of its own.
    #[test]
    fn in_a_process_of_its_own() {
        if std::env::var_os("CONDUCTOR_TEST_SEALED").is_none() {
            return;
        }
        seal().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let core = getrlimit(Resource::Core);
        assert!(core.maximum.is_some_and(|bytes| bytes <= NO_CORE_BYTES));
        assert_eq!(core.current, core.maximum);
        // Twice is once, also where less was allowed to begin with.
        let nothing = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        setrlimit(Resource::Core, nothing).unwrap();
        seal().unwrap();
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
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
