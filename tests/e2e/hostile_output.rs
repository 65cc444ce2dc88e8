//! What models and people write, on the terminals of those who read it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup};
use conductor_tests::scripted::{Reply, Rule, Script};

const SOON: Duration = Duration::from_secs(30);
/// Title, clear screen, hyperlink, 8-bit control, bidirectional override, bell, back over what stands there.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}]8;;http://evil.example\u{1b}\\\u{9b}31m\u{202e}\u{7}\u{8}\u{8}\u{1b}c\u{1b}P1$q\u{1b}\\";

/// A terminal that nobody looks at: the side of the program, and ours.
fn terminal() -> (OwnedFd, File) {
    let (mut ours, mut theirs) = (0, 0);
    let size = libc::winsize {
        ws_row: 40,
        ws_col: 120,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the pointers are to integers and a structure that live through the call; a name is not asked for.
    let opened = unsafe {
        libc::openpty(
            &mut ours,
            &mut theirs,
            std::ptr::null_mut(),
            std::ptr::null(),
            &raw const size,
        )
    };
    assert_eq!(opened, 0, "a terminal can be made");
    // SAFETY: both were opened just now and belong to nobody else.
    unsafe { (OwnedFd::from_raw_fd(theirs), File::from_raw_fd(ours)) }
}

/// What a command writes to a terminal, with both its outputs there.
fn on_terminal(c: &Conductor, arguments: &[&str]) -> String {
    let (theirs, mut ours) = terminal();
    let errors = theirs.try_clone().expect("a descriptor can be cloned");
    let mut command = c.environment.command(arguments);
    command.env("TERM", "xterm").stdout(theirs).stderr(errors);
    let mut child = command.spawn().expect("the program can be started");
    // The command holds our copies of the other side: reading ends only without them.
    drop(command);
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    // A terminal whose other side is gone answers with an error.
    while let Ok(length @ 1..) = ours.read(&mut piece) {
        seen.extend_from_slice(&piece[..length]);
    }
    child.wait().expect("the program can be waited for");
    String::from_utf8(seen).expect("the program writes UTF-8")
}

/// Takes out what `watch` itself draws with: colours, and going up to draw again.
fn without_drawing(text: &str) -> String {
    let own =
        regex::Regex::new("\u{1b}\\[([0-9;]*m|[0-9]+A|J)").expect("the pattern is a constant");
    own.replace_all(text, "").into_owned()
}

#[track_caller]
fn obeys_nothing(text: &str, what: &str) {
    let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t') || c == '\u{202e}';
    assert!(!text.contains(bad), "{what}: {text:?}");
}

#[test]
fn no_terminal_obeys_what_a_model_or_a_user_wrote() {
    let answer =
        format!("## Summary\nOf {HOSTILE} use.\n\n### RA1. A {HOSTILE} claim\n\nConfidence: low\n");
    let script = Script::of([Rule::persona("research-analyst", [Reply::text(&answer)])]);
    Setup::new().script(script).run(async |c| {
        let question = format!("Is it {HOSTILE} so?");
        let run = c.launch(Launch::new("research", &question)).await;
        let watched = on_terminal(c, &["watch", &run.to_string()]);
        obeys_nothing(&without_drawing(&watched), "watch");
        c.completed(run, LONG).await;
        // What the database keeps is not relied on: the commands have to be safe by themselves.
        let spoil = "update flow_steps set error = $2, label = $2 where run_id = $1 and step_id = 'sources'";
        c.sql.execute(spoil, &[&run, &HOSTILE]).await.expect("a superuser may");
        let spoil = "update flow_steps set output = $2 where run_id = $1 and step_id = 'report'";
        c.sql.execute(spoil, &[&run, &format!("# Report {HOSTILE}\n")]).await.expect("a superuser may");
        let number = run.to_string();
        for command in [
            vec!["report", &number],
            vec!["report", &number, "--format", "json"],
            vec!["watch", &number],
            vec!["history"],
            vec!["launch", HOSTILE, "Is it so?"],
        ] {
            let shown = without_drawing(&on_terminal(c, &command));
            assert!(!shown.is_empty(), "{command:?} shows nothing");
            obeys_nothing(&shown, command[0]);
        }
        let piped = c.environment.run(&["report", &number], SOON).stdout;
        assert_eq!(String::from_utf8(piped).unwrap(), c.report(run).await, "a pipe gets every byte");
    });
}
