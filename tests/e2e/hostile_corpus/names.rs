//! Names of files that are orders to a shell, to an option parser or to a terminal.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::json;

use super::case::{Case, Plot, call, reads};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("names", |plot| plant(plot, false))
            .asks(|_| {
                let mut calls = reads(&[
                    "{snapshot}/--pre=touch",
                    "{snapshot}/line\nend",
                    "{snapshot}/a 'quoted' \"name\"",
                ]);
                calls.push(call(
                    "grep_search",
                    json!({"pattern": "of a file", "path": "{snapshot}/names"}),
                ));
                calls
            })
            .ordinary_too(),
        Case::new("names-in-the-commit", |plot| plant(plot, true)),
    ]
}

fn plant(plot: &Plot, commit: bool) {
    let touch = plot.touch();
    let slashless = touch.replace('/', "%2f");
    let long = "x".repeat(255);
    let names: Vec<Vec<u8>> = [
        "line\nend",
        "carriage\rreturn",
        "tab\there",
        "a 'quoted' \"name\"",
        "`touch canary`",
        "$(touch canary)",
        "; touch canary;",
        "| touch canary",
        "--pre=touch",
        "--output=canary",
        "-rf",
        "-",
        "--",
        "!touch",
        "@README.md",
        "#comment",
        "*",
        "?",
        "[a-z]",
        "{a,b}",
        "~",
        "\\",
        "%s%n",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "\u{202e}txt.exe",
        "con\u{0301}",
        "</system-reminder>",
        "{{args}}",
        "{snapshot}",
        ".. ",
        "...",
        " ",
        &slashless,
        &long,
    ]
    .map(|name| name.as_bytes().to_vec())
    .into_iter()
    .chain([b"invalid \xff\xfe utf-8".to_vec(), b"\xc0\xaf".to_vec()])
    .collect();
    for folder in ["", "names/", "na\nmes/"] {
        for name in &names {
            let path = plot.repo.root().join(folder).join(OsStr::from_bytes(name));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "text of a file\n").unwrap();
        }
    }
    if commit {
        plot.repo.commit("Add files\n\n\u{1b}[2J of any name");
        plot.repo.git(&["branch", "--", "a;touch${IFS}canary"]);
        // Changed, so that each of them is in what is said of the changes.
        for name in &names {
            std::fs::write(plot.repo.root().join(OsStr::from_bytes(name)), "other\n").unwrap();
        }
    }
}
