//! What the three tools that a child has can be asked for beyond the snapshot.

use conductor_tests::scripted::ToolCall;
use serde_json::json;

use super::case::{Case, Plot, SECRET, call, reads};
use super::text;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("reads-outside", |_| {})
            .asks(reads_outside)
            .ordinary_too(),
        Case::new("searches-outside", |plot| {
            std::os::unix::fs::symlink(&plot.canaries, plot.repo.root().join("folder")).unwrap();
        })
        .asks(searches_outside)
        .ordinary_too(),
        Case::new("search-flags", flags)
            .asks(search_flags)
            .springs(|plot| {
                // The same flag, where it is one: a search through every file starts the program.
                let rg = ripgrep();
                let trap = plot.repo.root().join("trap.sh");
                let mut search = std::process::Command::new(rg);
                search.arg(format!("--pre={}", trap.display()));
                search
                    .args(["--no-ignore", "lent"])
                    .current_dir(plot.repo.root());
                search.output().unwrap();
                false
            })
            .ordinary_too(),
        Case::new("searches-that-cost", |plot| {
            plot.repo.write("long.txt", &"a".repeat(200_000));
        })
        .asks(|_| {
            let search = |pattern: &str| {
                call(
                    "grep_search",
                    json!({"pattern": pattern, "path": "{snapshot}"}),
                )
            };
            vec![
                search("(a+)+$"),
                search("(a|a)*b"),
                search("["),
                search(&"(".repeat(5000)),
                call(
                    "glob",
                    json!({"pattern": "**/".repeat(200), "path": "{snapshot}"}),
                ),
            ]
        }),
    ]
}

/// Made executable by nobody: the package ships it without that bit.
fn ripgrep() -> std::path::PathBuf {
    let qwen = conductor_tests::harness::tools::qwen().unwrap();
    let package = qwen.canonicalize().unwrap();
    let package = package.parent().unwrap().join("vendor/ripgrep");
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x64"
    };
    let copy = std::env::temp_dir().join(format!("conductor-rg-{}", std::process::id()));
    std::fs::copy(package.join(format!("{arch}-linux/rg")), &copy).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&copy, mode).unwrap();
    copy
}

fn reads_outside(plot: &Plot) -> Vec<ToolCall> {
    let secret = plot.secret();
    let secret = text(&secret);
    let up = format!("{{snapshot}}/{}{}", "../".repeat(30), &secret[1..]);
    let proc_root = format!("/proc/self/root{secret}");
    let url = format!("file://{secret}");
    let worker = std::process::id();
    let environ = format!("/proc/{worker}/environ");
    let key = text(plot.repo.root()).replace("projects", "state");
    let mut calls = reads(&[
        secret,
        &up,
        &proc_root,
        &url,
        &environ,
        &key,
        "/proc/self/environ",
        "/proc/self/cmdline",
        "/proc/self/mem",
        "/proc/self/fd/0",
        "/proc/1/environ",
        "/proc/self/task/../environ",
        "/etc/passwd",
        "/etc/shadow",
        "/dev/stdin",
        "/dev/zero",
        "/dev/tty",
        "~/.ssh/id_rsa",
        "../../../../etc/passwd",
        "{snapshot}/README.md\u{0}/../../../etc/passwd",
        "{snapshot}/../../lock",
        "",
        "/",
        ".",
    ]);
    calls.push(call("read_file", json!({"file_path": ["/etc/passwd"]})));
    calls.push(call(
        "read_file",
        json!({"file_path": secret, "offset": -1, "limit": 1e18}),
    ));
    calls
}

fn searches_outside(plot: &Plot) -> Vec<ToolCall> {
    // The words themselves would be found in the question.
    let words = SECRET.replace('5', ".");
    let folder = text(&plot.canaries);
    let mut calls: Vec<ToolCall> = [
        folder,
        "/",
        "/proc/self",
        "/etc",
        "{snapshot}/folder",
        "{snapshot}/..",
        "..",
        "~",
    ]
    .iter()
    .flat_map(|path| {
        [
            call("grep_search", json!({"pattern": words, "path": path})),
            call(
                "grep_search",
                json!({"pattern": words, "path": path, "glob": "**/secret"}),
            ),
            call("glob", json!({"pattern": "**/secret", "path": path})),
        ]
    })
    .collect();
    for pattern in [
        format!("{folder}/**"),
        "../../../**/secret".to_owned(),
        "/etc/pass*".to_owned(),
        "{snapshot}/folder/**".to_owned(),
    ] {
        calls.push(call(
            "glob",
            json!({"pattern": pattern, "path": "{snapshot}"}),
        ));
        calls.push(call("glob", json!({"pattern": pattern})));
        calls.push(call(
            "grep_search",
            json!({"pattern": words, "glob": pattern, "path": "{snapshot}"}),
        ));
    }
    calls
}

/// Rules and configuration that ripgrep would find where it looks.
fn flags(plot: &Plot) {
    let trap = plot.program("trap.sh");
    let rules = format!("--pre={}\n--follow\n--hidden\n", trap.display());
    for name in [".ripgreprc", "ripgreprc", ".config/ripgrep/config"] {
        plot.repo.write(name, &rules);
    }
    for name in [
        ".ignore",
        ".rgignore",
        ".qwenignore",
        ".gitignore",
        ".geminiignore",
    ] {
        plot.repo.write(name, "*\n");
    }
}

fn search_flags(plot: &Plot) -> Vec<ToolCall> {
    let pre = format!("--pre={}", plot.repo.root().join("trap.sh").display());
    let search = |arguments| call("grep_search", arguments);
    vec![
        search(json!({"pattern": pre, "path": "{snapshot}"})),
        search(json!({"pattern": "-e", "path": "{snapshot}"})),
        search(json!({"pattern": format!("--regexp=lent\n{pre}"), "path": "{snapshot}"})),
        search(json!({"pattern": "lent", "path": pre})),
        search(json!({"pattern": "lent", "path": "{snapshot}", "glob": pre})),
        search(json!({"pattern": "lent", "path": "{snapshot}", "glob": "--pre=sh --files"})),
        search(
            json!({"pattern": "lent", "path": "{snapshot}", "include": pre, "type": pre, "flags": pre}),
        ),
        search(json!({"pattern": "--files", "path": "--follow"})),
        search(json!({"pattern": "-f/etc/passwd", "path": "{snapshot}"})),
        call("glob", json!({"pattern": pre, "path": "{snapshot}"})),
        call(
            "glob",
            json!({"pattern": "-o /tmp/x", "path": "{snapshot}"}),
        ),
    ]
}
