//! Landlock: rules that the kernel itself keeps, for this process and all that it starts.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    PathFd, PathFdError, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope,
};

use super::{Policy, system};

/// Without the truncate right of ABI 3 an existing file could be emptied: not enough.
const NEEDED: ABI = ABI::V3;

/// What is taken as well where the kernel has it: ioctl on devices (5), scopes (6), unix sockets (9).
const WANTED: ABI = ABI::V9;

/// Whether the kernel enforces what is needed; the error says what is missing.
pub(super) fn check() -> Result<(), String> {
    match abi() {
        0 => Err("this kernel has no landlock".to_owned()),
        found if found < NEEDED as i32 => Err(format!(
            "this kernel's landlock is too old (ABI {found}, needed {})",
            NEEDED as i32
        )),
        _ => ruleset(&Policy::default())
            .map(|_| ())
            .map_err(|e| format!("landlock refuses our rules ({e})")),
    }
}

/// True from ABI 4 on.
pub(super) fn limits_network() -> bool {
    abi() >= ABI::V4 as i32
}

/// True from ABI 6 on.
pub(super) fn scopes_signals() -> bool {
    abi() >= ABI::V6 as i32
}

/// One line for people: what this kernel's version covers, and what only later ones would.
pub(super) fn describe() -> String {
    covers(abi())
}

fn covers(abi: i32) -> String {
    let parts = [
        (ABI::V4, "TCP ports"),
        (ABI::V5, "device ioctls"),
        (ABI::V6, "signals"),
    ];
    let (covered, missing): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .partition(|(since, _)| abi >= *since as i32);
    let names = |parts: Vec<(ABI, &'static str)>| parts.into_iter().map(|(_, name)| name);
    let covered: Vec<_> = std::iter::once("files").chain(names(covered)).collect();
    let missing: Vec<_> = names(missing).collect();
    let mut text = format!("landlock ABI {abi}: {}", covered.join(", "));
    if !missing.is_empty() {
        text.push_str(&format!("; not {}", missing.join(", ")));
    }
    text
}

/// The kernel's Landlock version, 0 when it has none or does not use it.
fn abi() -> i32 {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with a null attribute and this flag the call only returns a number.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0_usize,
            VERSION,
        )
    };
    i32::try_from(version).unwrap_or(0).max(0)
}

/// Confines the calling thread and all that it starts.
pub(super) fn restrict(policy: &Policy) -> Result<(), String> {
    let rules = ruleset(policy).map_err(|e| e.to_string())?;
    let rules = add_files(rules, policy).map_err(|e| e.to_string())?;
    let status = rules.restrict_self().map_err(|e| e.to_string())?;
    if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
        return Err("the kernel did not enforce the rules".to_owned());
    }
    Ok(())
}

fn ruleset(policy: &Policy) -> Result<RulesetCreated, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))?
        .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?;
    for port in &policy.connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(rules)
}

fn add_files(
    mut rules: RulesetCreated,
    policy: &Policy,
) -> Result<RulesetCreated, Box<dyn std::error::Error>> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::from_all(NEEDED) & !AccessFs::Execute;
    let device = read | AccessFs::WriteFile;
    let execute = AccessFs::ReadFile | AccessFs::Execute;
    for path in system::read(&policy.execute) {
        rules = add(rules, &path, read)?;
    }
    for path in system::write() {
        rules = add(rules, path, device)?;
    }
    for path in &policy.read {
        rules = add(rules, path, read)?;
    }
    for path in &policy.write {
        rules = add(rules, path, write)?;
    }
    for path in &policy.execute {
        rules = add(rules, path, execute)?;
        if let Some(loader) = system::loader(path) {
            rules = add(rules, &loader, execute)?;
        }
    }
    Ok(rules)
}

fn add(
    rules: RulesetCreated,
    path: &Path,
    mut access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Box<dyn std::error::Error>> {
    let fd = PathFd::new(path).map_err(|e| match e {
        PathFdError::OpenCall { source, .. } => format!("cannot open {}: {source}", path.display()),
        other => other.to_string(),
    })?;
    if !path.is_dir() {
        access &= AccessFs::from_file(NEEDED);
    }
    Ok(rules.add_rule(PathBeneath::new(fd, access))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_what_a_version_covers_and_what_it_does_not() {
        let old = "landlock ABI 3: files; not TCP ports, device ioctls, signals";
        assert_eq!(covers(3), old);
        assert_eq!(
            covers(7),
            "landlock ABI 7: files, TCP ports, device ioctls, signals"
        );
    }
}
