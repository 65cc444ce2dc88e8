//! `conductor flow check` and `conductor persona check`, without a server.
#![cfg(feature = "cli")]

use std::path::Path;
use std::process::{Command, Output};

const FLOW: &str = "name = \"my-flow\"\ncategory = \"analysis\"\ndescription = \"Looks at leases.\"\n\n\
    [[angles]]\nid = \"structure\"\npersona = \"structural-analyst\"\nbrief = \"Look.\"\n\n\
    [[angles]]\nid = \"own\"\npersona = \"lease-expert\"\nband = \"medium\"\nbrief = \"Look, too.\"\n";
const PERSONA: &str =
    "---\nname: lease-expert\ndescription: Knows leases.\nprefix: LX\n---\nYou know leases.\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a command in the folder, with nothing in its environment that names a server.
    fn run(&self, arguments: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_conductor"))
            .args(arguments)
            .env_clear()
            .current_dir(self.path())
            .output()
            .expect("the program can be started");
        Said(output)
    }
}

struct Said(Output);

impl Said {
    fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}

#[test]
fn a_right_flow_shows_what_would_run_at_each_band() {
    let folder = Folder::of(&[("my-flow.toml", FLOW), ("lease-expert.md", PERSONA)]);
    let said = folder.run(&["flow", "check", "my-flow.toml", "lease-expert.md"]);
    assert_eq!(said.code(), Some(0), "{}", said.err());
    let expected = "\
my-flow.toml: flow my-flow, analysis: Looks at leases.
  small   1. structure (structural-analyst)
          2. fold (fold)
          3. validation (adversarial-validator)
          4. report (render)
  medium  1. structure (structural-analyst), own (lease-expert)
          2. fold (fold)
          3. validation (adversarial-validator)
          4. report (render)
  large   as medium
lease-expert.md: persona lease-expert (LX), Knows leases.
";
    assert_eq!(said.out(), expected);
    assert_eq!(said.err(), "");
}

#[test]
fn a_wrong_value_is_shown_with_line_column_and_cure() {
    let wrong = FLOW.replace("structural-analyst", "structural-analist");
    let folder = Folder::of(&[("my-flow.toml", &wrong), ("lease-expert.md", PERSONA)]);
    let said = folder.run(&["flow", "check", "my-flow.toml", "lease-expert.md"]);
    assert_eq!(said.code(), Some(2));
    let start = "\
my-flow.toml:7:11: unknown persona \"structural-analist\" in angles[0].persona
  |
7 | persona = \"structural-analist\"
  |           ^^^^^^^^^^^^^^^^^^^^
help: did you mean structural-analyst?
note: it was looked for among the ";
    assert!(said.err().starts_with(start), "{}", said.err());
    assert!(
        said.err().ends_with(
            "built-in personas and the persona file; no database is named (--database)\n"
        ),
        "{}",
        said.err()
    );
}

#[test]
fn the_errors_of_all_files_are_told_and_the_right_ones_shown() {
    let folder = Folder::of(&[
        ("my-flow.toml", FLOW),
        ("lease-expert.md", PERSONA),
        ("broken.toml", "name = \n"),
        ("nameless.md", "---\ndescription: d\n---\nBody.\n"),
        ("research.toml", &FLOW.replace("my-flow", "research")),
        ("other-name.toml", FLOW),
        ("notes.txt", "x"),
    ]);
    std::fs::create_dir(folder.path().join("folder.toml")).unwrap();
    std::fs::write(folder.path().join("latin.toml"), b"name = 1\n# \xe9\n").unwrap();
    let files = [
        "my-flow.toml",
        "lease-expert.md",
        "broken.toml",
        "nameless.md",
        "research.toml",
        "other-name.toml",
        "notes.txt",
        "folder.toml",
        "latin.toml",
        "absent.md",
    ];
    let said = folder.run(&[&["flow", "check"], files.as_slice()].concat());
    assert_eq!(said.code(), Some(2));
    assert!(said.out().contains("flow my-flow") && said.out().contains("persona lease-expert"));
    for start in [
        "broken.toml:1:",
        "nameless.md:1:1: a persona needs this in name",
        "research.toml:1:8: a built-in flow has this name: \"research\" in name",
        "other-name.toml:1:8: the file has another name than the flow \"my-flow\" in name",
        "notes.txt: neither a flow nor a persona",
        "folder.toml: not a regular file",
        "latin.toml: line 2 is not UTF-8",
        "absent.md: cannot be read: ",
    ] {
        assert!(
            said.err().lines().any(|line| line.starts_with(start)),
            "{start}\n{}",
            said.err()
        );
    }
    let cures = said
        .err()
        .lines()
        .filter(|line| line.starts_with("help: "))
        .count();
    assert_eq!(cures, 8, "{}", said.err());
    assert!(
        said.err()
            .contains("help: rename the file to my-flow.toml, or the flow")
    );
}

#[test]
fn a_persona_that_is_wrong_itself_is_named_as_the_cause() {
    let broken = PERSONA.replace("prefix: LX", "prefix: lx");
    let folder = Folder::of(&[("my-flow.toml", FLOW), ("lease-expert.md", &broken)]);
    let said = folder.run(&["flow", "check", "my-flow.toml", "lease-expert.md"]);
    assert_eq!(said.code(), Some(2));
    assert!(
        said.err()
            .contains("lease-expert.md:4:9: not a prefix \"lx\" in prefix"),
        "{}",
        said.err()
    );
    assert!(
        said.err()
            .contains("note: lease-expert.md, which would define it, is wrong itself"),
        "{}",
        said.err()
    );
}

#[test]
fn a_server_that_does_not_answer_does_not_keep_a_check_from_its_work() {
    let folder = Folder::of(&[("my-flow.toml", FLOW), ("lease-expert.md", PERSONA)]);
    let nowhere = ["--database", "host=/nowhere user=u"];
    let right = folder.run(
        &[
            &["flow", "check"],
            nowhere.as_slice(),
            &["my-flow.toml", "lease-expert.md"],
        ]
        .concat(),
    );
    assert_eq!((right.code(), right.err()), (Some(0), String::new()));
    let wrong = folder.run(&[&["flow", "check"], nowhere.as_slice(), &["my-flow.toml"]].concat());
    assert_eq!(wrong.code(), Some(2));
    assert!(
        wrong
            .err()
            .contains("the database does not answer: /nowhere"),
        "{}",
        wrong.err()
    );
    let added = folder.run(
        &[
            &["flow", "add"],
            nowhere.as_slice(),
            &["my-flow.toml", "lease-expert.md"],
        ]
        .concat(),
    );
    assert_eq!(added.code(), Some(2));
    assert!(
        added.err().contains("cannot reach the server"),
        "{}",
        added.err()
    );
}

#[test]
fn what_is_wrong_by_itself_is_not_even_sent() {
    let folder = Folder::of(&[("my-flow.toml", "name = 1\n")]);
    let said = folder.run(&[
        "flow",
        "add",
        "--database",
        "host=/nowhere user=u",
        "my-flow.toml",
    ]);
    assert_eq!(said.code(), Some(2));
    assert!(
        said.err().starts_with("my-flow.toml:1:1: ") && !said.err().contains("server"),
        "{}",
        said.err()
    );
}

#[test]
fn two_files_of_one_name_and_files_that_are_too_large_are_refused() {
    let folder = Folder::of(&[
        ("lease-expert.md", PERSONA),
        ("large.md", &"x".repeat((1 << 20) + 1)),
    ]);
    std::fs::create_dir(folder.path().join("more")).unwrap();
    std::fs::write(folder.path().join("more/lease-expert.md"), PERSONA).unwrap();
    let said = folder.run(&[
        "persona",
        "check",
        "lease-expert.md",
        "more/lease-expert.md",
        "large.md",
    ]);
    assert_eq!(said.code(), Some(2));
    assert!(
        said.err().contains(
            "more/lease-expert.md:2:7: lease-expert.md has the same name: \"lease-expert\""
        ),
        "{}",
        said.err()
    );
    assert!(
        said.err().contains("large.md: larger than 1 MiB"),
        "{}",
        said.err()
    );
}

#[test]
fn a_flow_is_no_persona() {
    let folder = Folder::of(&[("my-flow.toml", FLOW)]);
    let said = folder.run(&["persona", "check", "my-flow.toml"]);
    assert_eq!(said.code(), Some(2));
    assert!(
        said.err().contains("use conductor flow check"),
        "{}",
        said.err()
    );
}

#[test]
fn nothing_in_a_file_or_its_name_reaches_the_terminal_as_a_command() {
    let hostile = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}";
    let name = format!("{hostile}.toml");
    let texts = [
        format!("\"{hostile}\" = 1\n"),
        "name = \"a\\u001b[2J\\u202e\"\ncategory = \"analysis\"\ndescription = \"d\"\nangles = []\n".to_owned(),
        FLOW.replace("my-flow", "\\u001b[2J"),
        FLOW.replace("structural-analyst", "x\\u001b]0;t\\u0007\u{202e}"),
        format!("# {hostile}\nname = {hostile}"),
    ];
    for text in &texts {
        let folder = Folder::of(&[(&name, text)]);
        let said = folder.run(&["flow", "check", &name]);
        assert_eq!(said.code(), Some(2), "{text:?}");
        let all = said.out() + &said.err();
        let obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!all.contains(obeyed), "{all:?}");
    }
    let described = FLOW
        .replace(
            "Looks at leases.",
            "Looks\\u202e\u{85}at\\tleases\\u2028now",
        )
        .replace("lease-expert", "structural-analyst");
    let folder = Folder::of(&[("my-flow.toml", &described)]);
    let said = folder.run(&["flow", "check", "my-flow.toml"]);
    assert!(
        !said
            .out()
            .contains(['\u{202e}', '\u{85}', '\t', '\u{2028}']),
        "{:?}",
        said.out()
    );
}

#[test]
fn a_long_line_is_shown_around_what_is_wrong() {
    let long = format!(
        "angles = [{}{{ id = \"B\" }}]\n",
        "{ id = \"a\", persona = \"structural-analyst\", brief = \"漢\" }, "
    );
    let text = format!("name = \"my-flow\"\ncategory = \"analysis\"\ndescription = \"d\"\n{long}");
    let folder = Folder::of(&[("my-flow.toml", &text)]);
    let said = folder.run(&["flow", "check", "my-flow.toml"]);
    let lines: Vec<String> = said.err().lines().map(str::to_owned).collect();
    assert!(
        lines[0].starts_with("my-flow.toml:4:77: not an id \"B\" in angles[1].id"),
        "{}",
        said.err()
    );
    assert!(
        lines[2].starts_with("4 | …") && lines[2].chars().count() < 200,
        "{}",
        lines[2]
    );
    // The carets stand below the value: what is before it is one column wider than it has characters.
    let before = lines[2].split("\"B\"").next().unwrap().chars().count() + 1;
    assert_eq!(
        lines[3].find('^'),
        Some(before),
        "{}\n{}",
        lines[2],
        lines[3]
    );
}
