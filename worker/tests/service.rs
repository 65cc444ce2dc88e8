//! The unit for systemd: systemd understands it, it exposes little, and a child can be confined under what it allows.

#[path = "common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use common::{Bench, HELPER};
use seccompiler::BpfMap;
use serde_json::json;

const UNIT: &str = include_str!("../conductor-worker.service");

/// `systemd-analyze security` counts from 0 to 100.
const MOST_EXPOSURE: u32 = 17;

fn analyze(args: &[&str], unit: Option<&str>) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(args).env("SYSTEMD_COLORS", "0");
    if let Some(unit) = unit {
        let path = dir.path().join("conductor-worker.service");
        // Only what is installed can be found.
        let unit = unit.replace("=/usr/local/bin/conductor ", &format!("={HELPER} "));
        std::fs::write(&path, unit).unwrap();
        command.arg(path);
    }
    let told = command.output();
    told.unwrap_or_else(|e| panic!("systemd-analyze is needed ({e}): run `scripts/setup.sh build`"))
}

fn is_within(unit: &str, exposure: u32) -> bool {
    let threshold = format!("--threshold={exposure}");
    let args = ["security", "--offline=true", "--no-pager", &threshold];
    analyze(&args, Some(unit)).status.success()
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let told = analyze(&["verify"], Some(UNIT));
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.success() && said.is_empty(), "{said}");
    let told = analyze(
        &["verify"],
        Some(&UNIT.replace("ProtectSystem=strict", "ProtectSystem=strikt")),
    );
    assert!(!told.stderr.is_empty(), "a wrong line is not noticed");
}

#[test]
fn the_unit_exposes_little_and_would_expose_more_without_any_of_its_walls() {
    assert!(is_within(UNIT, MOST_EXPOSURE));
    for wall in [
        "User=conductor\n",
        "CapabilityBoundingSet=\n",
        "RestrictNamespaces=yes\n",
    ] {
        let weaker = UNIT.replace(wall, "");
        assert_ne!(weaker, UNIT, "{wall}");
        assert!(!is_within(&weaker, MOST_EXPOSURE), "{wall}");
    }
}

/// The values of all lines with this name.
fn values(name: &str) -> Vec<&'static str> {
    let of = |line: &'static str| line.strip_prefix(name)?.strip_prefix('=');
    UNIT.lines().filter_map(of).collect()
}

/// The calls that a word of SystemCallFilter= stands for.
fn calls(word: &str) -> BTreeSet<String> {
    if !word.starts_with('@') {
        return [word.to_owned()].into();
    }
    let told = analyze(&["syscall-filter", word], None);
    let listed = String::from_utf8(told.stdout).unwrap();
    let words = listed.lines().skip(1).map(str::trim);
    let words = words.filter(|word| !word.is_empty() && !word.starts_with('#'));
    words.flat_map(calls).collect()
}

/// What systemd would make of the unit's lines about system calls and kinds of sockets.
fn filter() -> seccompiler::BpfProgram {
    let mut allowed = BTreeSet::new();
    for line in values("SystemCallFilter") {
        match line.strip_prefix('~') {
            None => allowed.extend(line.split(' ').flat_map(calls)),
            Some(line) => {
                for word in line.split(' ') {
                    allowed = &allowed - &calls(word);
                }
            }
        }
    }
    let families = ["AF_UNIX", "AF_INET", "AF_INET6"].map(|name| {
        let line = values("RestrictAddressFamilies").concat();
        assert!(line.split(' ').any(|word| word == name), "{name}");
        match name {
            "AF_UNIX" => libc::AF_UNIX,
            "AF_INET" => libc::AF_INET,
            _ => libc::AF_INET6,
        }
    });
    let compile = |rules: serde_json::Value| -> Option<BpfMap> {
        let filter = json!({ "unit": {
            "mismatch_action": { "errno": libc::ENOSYS }, "match_action": "allow", "filter": rules,
        } });
        let arch = std::env::consts::ARCH.try_into().unwrap();
        seccompiler::compile_from_json(filter.to_string().as_bytes(), arch).ok()
    };
    // Groups name the calls of every processor.
    let known = allowed
        .iter()
        .filter(|name| *name != "socket")
        .map(|name| json!({ "syscall": name }))
        .filter(|rule| compile(json!([rule])).is_some());
    let sockets = families.map(|family| {
        let is = json!({ "index": 0, "type": "dword", "op": "eq", "val": family });
        json!({ "syscall": "socket", "args": [is] })
    });
    let rules: Vec<_> = known.chain(sockets).collect();
    assert!(rules.len() > 200, "{}", rules.len());
    compile(json!(rules)).unwrap().remove("unit").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_what_the_unit_allows_a_child_is_confined_and_works() {
    let bench = Bench::new().await;
    let doctor = |filter: seccompiler::BpfProgram| {
        let mut doctor = Command::new(HELPER);
        doctor
            .args([
                "doctor",
                "--json",
                "--database",
                "postgres://127.0.0.1:1/none",
            ])
            .arg("--state-dir")
            .arg(bench.dir.path().join("state"))
            .arg("--qwen")
            .arg(&bench.qwen.package)
            .arg("--node")
            .arg(&bench.qwen.node);
        let restrict = move || {
            let core = libc::rlimit {
                rlim_cur: 1,
                rlim_max: 1,
            };
            // SAFETY: two calls that change this process alone.
            unsafe {
                libc::umask(0o077);
                libc::setrlimit(libc::RLIMIT_CORE, &raw const core);
            }
            seccompiler::apply_filter(&filter).map_err(std::io::Error::other)
        };
        // SAFETY: what it needs was made before.
        unsafe { doctor.pre_exec(restrict) };
        let told = doctor.output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&told.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&told.stderr)))
    };
    let told = doctor(filter());
    let checks = told["checks"].as_array().unwrap();
    for layer in ["sandbox", "child"] {
        let named = |c: &&serde_json::Value| c["name"].as_str().unwrap().starts_with(layer);
        let of_layer: Vec<_> = checks.iter().filter(named).collect();
        assert!(of_layer.len() > 5, "{layer}: {told:#}");
        let failed: Vec<_> = of_layer.iter().filter(|c| c["ok"] != true).collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }
}

#[test]
fn a_child_starts_where_no_core_file_is_allowed_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(HELPER);
    let program = std::fs::canonicalize(which::which("true").unwrap()).unwrap();
    let stdin = dir.path().join("stdin");
    std::fs::File::create(&stdin)
        .unwrap()
        .write_all(b"")
        .unwrap();
    let sandbox = common::sandbox();
    let policy = conductor_worker::sandbox::Policy {
        execute: vec![program.clone()],
        cwd: Path::new("/").to_owned(),
        stdin,
        ..Default::default()
    };
    let none: [&str; 0] = [];
    let confined = sandbox.command(&policy, &program, &none).unwrap();
    child
        .args(confined.get_args())
        .stdin(std::process::Stdio::piped());
    let no_core = || {
        let core = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: one call that changes this process alone.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const core) };
        Ok(())
    };
    // SAFETY: as above.
    unsafe { child.pre_exec(no_core) };
    let mut child = child.spawn().unwrap();
    let _leash = child.stdin.take();
    assert!(child.wait().unwrap().success());
}
