//! `conductor doctor --attack`: attacks on the sandbox of this very machine, and who refused them.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::output;
use crate::attack::{Attempt, attack};
use crate::checks;
use crate::child::Toolbox;
use crate::config::Config;
use crate::sandbox::Sandbox;
use crate::snapshot::remove_tree;

/// Attacks and prints; 0 when everything was refused, 1 when something got through or could not be tried.
pub fn run(config: &Config, as_json: bool) -> ExitCode {
    let scratch = config
        .state_dir
        .join(format!("doctor-{}", std::process::id()));
    let runtime = super::runtime();
    let tried = runtime.block_on(try_everything(config, &scratch));
    runtime.shutdown_timeout(Duration::from_millis(100));
    if let Err(error) = remove_tree(&scratch) {
        tracing::warn!(%error, folder = %scratch.display(), "a folder could not be removed");
    }
    let (sandbox, attempts) = match tried {
        Ok(tried) => tried,
        Err(reason) => {
            if as_json {
                output::print(&format!("{:#}\n", json!({"ok": false, "error": reason})));
            } else {
                eprintln!("error: {}", output::one_line(&reason));
            }
            return ExitCode::FAILURE;
        }
    };
    let through = attempts.iter().filter(|attempt| !attempt.held).count();
    if as_json {
        let told = json!({"ok": through == 0, "sandbox": sandbox, "attempts": attempts});
        output::print(&format!("{told:#}\n"));
    } else {
        output::print(&format!("{}\n", output::one_line(&sandbox)));
        output::print(&table(&attempts, output::supports_color()));
        let summary = match through {
            0 => format!("all {} attempts were refused", attempts.len()),
            _ => format!(
                "{through} of {} attempts got through or could not be made: let no worker run on this machine",
                attempts.len()
            ),
        };
        output::print(&format!("{summary}\n"));
    }
    if through == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn try_everything(
    config: &Config,
    scratch: &std::path::Path,
) -> Result<(String, Vec<Attempt>), String> {
    let (lines, qwen) = checks::find_qwen(config).await;
    let missing = || {
        let reasons = lines.iter().filter(|line| !line.ok);
        reasons
            .map(checks::Line::reason)
            .collect::<Vec<_>>()
            .join("; ")
    };
    let qwen = qwen.ok_or_else(missing)?;
    let git = checks::git().ok_or("git: not found on the PATH (install git)")?;
    let sandbox = Sandbox::detect(None).map_err(|e| e.to_string())?;
    let toolbox = Toolbox::prepare(&qwen, &scratch.join("toolbox")).map_err(|e| e.to_string())?;
    let attempts = attack(&qwen, &sandbox, &toolbox, &git, scratch)
        .await
        .map_err(|e| e.to_string())?;
    Ok((sandbox.describe(), attempts))
}

/// One line an attempt: what was left to refuse it, what was tried, who refused it.
fn table(attempts: &[Attempt], colors: bool) -> String {
    let width = |of: fn(&Attempt) -> &str| {
        attempts
            .iter()
            .map(|a| of(a).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (layers, attacks) = (width(|a| a.layer), width(|a| &a.attack));
    let row = |attempt: &Attempt| {
        let mark = match (attempt.held, colors) {
            (true, false) => "✓".to_owned(),
            (false, false) => "✗".to_owned(),
            (true, true) => "\u{1b}[32m✓\u{1b}[0m".to_owned(),
            (false, true) => "\u{1b}[31m✗\u{1b}[0m".to_owned(),
        };
        let outcome = match (&attempt.refused_by, attempt.held) {
            (Some(by), true) => by.clone(),
            _ => format!("NOT REFUSED: {}", output::one_line(&attempt.detail)),
        };
        format!(
            "{mark} {:layers$}  {:attacks$}  {outcome}\n",
            attempt.layer, attempt.attack
        )
    };
    let head = format!("  {:layers$}  {:attacks$}  refused by\n", "layer", "attack");
    std::iter::once(head)
        .chain(attempts.iter().map(row))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_got_through_cannot_be_overlooked() {
        let attempt = |held: bool| Attempt {
            layer: "kernel",
            attack: "write a file".to_owned(),
            held,
            refused_by: held.then(|| "landlock".to_owned()),
            detail: "it was \u{1b}[2Jdone".to_owned(),
        };
        let text = table(&[attempt(true), attempt(false)], false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "  layer   attack        refused by",
                "✓ kernel  write a file  landlock",
                "✗ kernel  write a file  NOT REFUSED: it was done",
            ]
        );
    }
}
