//! Commands as people type them: whatever the line holds, the focus arrives byte for byte.

mod common;

use common::fuzz::tried;
use conductor_flows::command::{Command, NoCommand};
use proptest::prelude::*;

#[test]
fn options_stand_before_the_focus_and_the_rest_is_the_focus() {
    let parsed = Command::parse(" /flow research --band large --fast  why -- so? ");
    let wanted = Command {
        flow: "research",
        band: Some("large"),
        fast: true,
        question: "why -- so?",
    };
    assert_eq!(parsed, Ok(wanted));
    for (line, error) in [
        ("", NoCommand::Other("")),
        ("/flows x", NoCommand::Other("/flows x")),
        ("/flow", NoCommand::NoName),
        ("/flow --fast", NoCommand::NoName),
        ("/flow x --band", NoCommand::NoBand),
        ("/flow x --band  ", NoCommand::NoBand),
        ("/flow x --quick y", NoCommand::UnknownOption("--quick")),
        ("/flow x ---", NoCommand::UnknownOption("---")),
    ] {
        assert_eq!(Command::parse(line), Err(error), "{line:?}");
    }
}

#[test]
fn what_is_quoted_of_a_wrong_line_is_short_and_harmless() {
    let line = format!("\u{1b}[31m{}", "x ".repeat(1 << 20));
    let said = Command::parse(&line).unwrap_err().to_string();
    assert!(
        said.chars().count() < 250 && !said.contains('\u{1b}'),
        "{said:?}"
    );
    let option = format!("/flow x --{}", "y".repeat(1 << 20));
    assert!(Command::parse(&option).unwrap_err().to_string().len() < 250);
}

/// Blanks of every kind that Unicode knows.
fn blanks() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec![
            ' ', '\t', '\n', '\r', '\u{a0}', '\u{2003}', '\u{2028}', '\u{3000}',
        ]),
        1..4,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #![proptest_config(tried(1000))]

    #[test]
    fn a_focus_arrives_byte_for_byte(
        focus in any::<String>(),
        flow in "[a-z][a-z0-9-]{0,12}",
        band in prop::option::of("[a-z]{1,8}"),
        fast in any::<bool>(),
        dashes in any::<bool>(),
        blank in blanks(),
    ) {
        let focus = focus.trim();
        let mut line = format!("{blank}/flow{blank}{flow}");
        if let Some(band) = &band {
            line += &format!("{blank}--band{blank}{band}");
        }
        if fast {
            line += &format!("{blank}--fast");
        }
        if dashes || focus.starts_with("--") {
            line += &format!("{blank}--");
        }
        line += &format!("{blank}{focus}{blank}");
        let wanted = Command { flow: &flow, band: band.as_deref(), fast, question: focus };
        prop_assert_eq!(Command::parse(&line), Ok(wanted));
    }

    #[test]
    fn any_line_is_a_command_or_says_why_not(
        words in prop::collection::vec(prop_oneof![
            Just("/flow".to_owned()), Just("--band".to_owned()), Just("--fast".to_owned()), Just("--".to_owned()),
            Just("research".to_owned()), Just("---".to_owned()), Just("\u{2028}".to_owned()), any::<String>(),
        ], 0..8),
        blank in blanks(),
    ) {
        let line = words.join(&blank);
        match Command::parse(&line) {
            Ok(command) => {
                // All of it are parts of the line, and nothing behind the options is lost.
                prop_assert!(line.trim_end().ends_with(command.question));
                prop_assert!(!command.flow.is_empty() && !command.flow.contains(char::is_whitespace));
                prop_assert!(command.band.is_none_or(|band| !band.is_empty()));
                prop_assert_eq!(command.question, command.question.trim());
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
