//! Citations are checked against what was read: what is there holds, what is not is named with the reason.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use conductor_worker::citations::{MAX_CITATIONS, check};
use serde_json::{Value, json};

const MAX_FILE: u64 = 16 << 20;

fn found(text: &str, folder: &Path) -> Value {
    check(text, folder, MAX_FILE).unwrap()
}

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("src")).unwrap();
    fs::create_dir_all(dir.path().join("_context")).unwrap();
    let lines: String = (1..=40).map(|n| format!("let line_{n} = {n};\n")).collect();
    fs::write(dir.path().join("src/a.rs"), lines).unwrap();
    fs::write(dir.path().join("_context/log.txt"), "one commit\n").unwrap();
    dir
}

#[test]
fn a_missing_file_a_line_past_the_end_and_invented_words_are_broken() {
    let dir = project();
    let text = "- `src/ghost.rs:3` \"let ghost = true;\"\n\
                - `src/a.rs:41`\n\
                - `src/a.rs:20` \"let line_20 = 21;\"\n\
                - `src/a.rs:20-22` \"let line_21 = 21;\" and `_context/log.txt:1` \"one commit\"\n";
    let wanted = json!({"total": 5, "broken": [
        {"cited": "src/ghost.rs:3", "why": "no such file"},
        {"cited": "src/a.rs:41", "why": "the file has 40 lines"},
        {"cited": "src/a.rs:20", "why": "the quoted words are not near that line"},
    ]});
    assert_eq!(found(text, dir.path()), wanted);
}

#[test]
fn an_output_without_citations_has_none() {
    let dir = project();
    let wanted = json!({"total": 0, "broken": []});
    for text in [
        "",
        "NO FINDINGS\n",
        "```\nsrc/ghost.rs:3\n```\n",
        "http://localhost:8080 at 12:30",
    ] {
        assert_eq!(found(text, dir.path()), wanted, "{text}");
    }
}

#[test]
fn nothing_outside_the_snapshot_is_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret.txt"), "the secret word\n").unwrap();
    let root = dir.path().join("snapshot");
    fs::create_dir(&root).unwrap();
    symlink("../secret.txt", root.join("link.txt")).unwrap();
    symlink("..", root.join("up")).unwrap();
    let secret = dir.path().join("secret.txt");
    let text = format!(
        "`link.txt:1` \"the secret word\", `up/secret.txt:1`, `../secret.txt:1`, `{}:1`",
        secret.display()
    );
    let found = found(&text, &root);
    assert_eq!(found["total"], 4);
    let broken = found["broken"].as_array().unwrap();
    assert_eq!(broken.len(), 4, "{found}");
    assert!(
        broken.iter().all(|it| it["why"] == "outside the project"),
        "{found}"
    );
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let dir = project();
    let fifo = dir.path().join("src/pipe.rs");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    fs::create_dir(dir.path().join("src/folder.rs")).unwrap();
    let found = found("`src/pipe.rs:1` `src/folder.rs:1`", dir.path());
    let why: Vec<&Value> = found["broken"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["why"])
        .collect();
    assert_eq!(why, ["not a file", "not a file"]);
}

#[test]
fn only_so_many_are_checked_and_the_result_says_so() {
    let dir = project();
    let text: String = (1..=MAX_CITATIONS + 1)
        .map(|n| format!("src/a.rs:{n} "))
        .collect();
    let many = found(&text, dir.path());
    assert_eq!(many["total"], MAX_CITATIONS);
    assert_eq!(many["broken"].as_array().unwrap().len(), MAX_CITATIONS - 40);
    assert!(
        many["note"]
            .as_str()
            .unwrap()
            .starts_with("not every citation was checked")
    );
    let again = "src/a.rs:1 ".repeat(MAX_CITATIONS * 2);
    assert_eq!(found(&again, dir.path()), json!({"total": 1, "broken": []}));
    let quotes: String = (0..=MAX_CITATIONS)
        .map(|n| format!("src/a.rs:1 \"word {n}\"\n"))
        .collect();
    assert!(found(&quotes, dir.path())["note"].is_string());
}

#[test]
fn a_file_that_is_too_large_is_neither_good_nor_broken() {
    let dir = project();
    fs::write(dir.path().join("src/b.rs"), "x\n".repeat(1000)).unwrap();
    let found = check("`src/a.rs:1` `src/b.rs:9999`", dir.path(), 1500).unwrap();
    assert_eq!((&found["total"], &found["broken"]), (&json!(1), &json!([])));
    assert!(found["note"].is_string());
}

#[test]
fn a_hostile_output_costs_bounded_time() {
    let dir = project();
    fs::write(dir.path().join("src/newlines.txt"), "\n".repeat(8 << 20)).unwrap();
    fs::write(dir.path().join("src/one-line.txt"), "x y ".repeat(2 << 20)).unwrap();
    let cited: String = (1..=1500)
        .map(|n| {
            format!(
                "src/newlines.txt:{n}-8000000 \"x y {n}\" src/one-line.txt:1 \"z {n}\" a/b{n}:{n}\n"
            )
        })
        .collect();
    let text = cited + &"src/a.rs:1 \"x\" ".repeat(100_000);
    let began = Instant::now();
    let found = found(&text, dir.path());
    assert!(found["total"].as_u64().unwrap() > 1000);
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{:?}",
        began.elapsed()
    );
}

#[derive(serde::Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Expected {
    good: BTreeMap<String, String>,
    broken: BTreeMap<String, String>,
}

#[test]
fn outputs_as_models_write_them_get_the_expected_verdicts() {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../flows/tests/citations");
    let expected = fs::read_to_string(folder.join("expected.toml")).unwrap();
    let expected: BTreeMap<String, Expected> = toml::from_str(&expected).unwrap();
    let mut wrong = Vec::new();
    for (name, expected) in expected {
        let text = fs::read_to_string(folder.join(format!("{name}.md"))).unwrap();
        let found = found(&text, &folder.join("project"));
        let broken: BTreeMap<String, String> = found["broken"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                (
                    it["cited"].as_str().unwrap().into(),
                    it["why"].as_str().unwrap().into(),
                )
            })
            .collect();
        if found["total"] != expected.good.len() + expected.broken.len()
            || broken != expected.broken
        {
            wrong.push(format!("{name}: {found:#}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
