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
