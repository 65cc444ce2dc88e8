//! What a child says at its start is looked at: one that offers more, or is in another mode, goes no further.

use std::io::Read;
use std::process::Stdio;

use conductor_worker::events::{Exit, Outcome};

use crate::attack::Field;
use crate::bare::{Layers, command};
use crate::common::Bench;
use crate::common::model::{Answer, Model};

/// Starts the real child with these layers and reads it as a runner does; what the parser will not have, or how it ended.
fn met(bench: &Bench, layers: Layers) -> Result<String, String> {
    let served = Model::start(vec![Answer::Text("done".to_owned())]);
    let mut command = command(bench, layers, &served);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let leash = child.stdin.take();
    let mut stdout = child.stdout.take().unwrap();
    let (mut parser, mut buffer) = (bench.parser(), [0; 4096]);
    while let Ok(read @ 1..) = stdout.read(&mut buffer) {
        parser.push(&buffer[..read]);
        if parser.violation().is_some() {
            break;
        }
    }
    // The leash: a helper then ends whatever it started.
    drop((leash, stdout));
    child.wait().unwrap();
    let violation = parser.violation().map(str::to_owned);
    let (_, outcome) = parser.finish(&Exit::default());
    match (violation, outcome) {
        (None, Outcome::Success { output, .. }) => Ok(output),
        (
            Some(violation),
            Outcome::Failure {
                message,
                retryable,
                ours,
                ..
            },
        ) => {
            assert_eq!(violation, message);
            assert!(!retryable && !ours, "another attempt would be no better");
            Err(message)
        }
        (violation, outcome) => panic!("{violation:?} {outcome:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_offers_more_or_is_in_another_mode_is_ended_with_a_clear_word() {
    let field = Field::new().await;
    let bench = &field.bench;
    let complete = Layers {
        mode: Some("plan"),
        denied_by_flag: true,
        denied_by_settings: true,
        own_configuration: true,
        kernel: Some(&bench.sandbox),
        user: None,
    };
    assert_eq!(met(bench, complete), Ok("done".to_owned()));

    let undenied = Layers {
        denied_by_flag: false,
        denied_by_settings: false,
        ..complete
    };
    let message = met(bench, undenied).unwrap_err();
    assert!(
        message.starts_with("the child offers tools that it must not: "),
        "{message}"
    );
    assert!(
        message.contains("enter_worktree") && message.contains("agent"),
        "{message}"
    );

    for mode in ["default", "auto-edit", "yolo"] {
        let other = Layers {
            mode: Some(mode),
            ..complete
        };
        let message = met(bench, other).unwrap_err();
        let expected = format!("the child is in mode {mode:?}, not in plan mode");
        assert_eq!(message, expected);
    }
    assert!(field.damage().changed.is_empty());
}
