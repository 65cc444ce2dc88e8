//! The roster as lines for a terminal.

use std::time::Duration;

use console::{Style, measure_text_width, truncate_str};

use super::Seen;
use super::status::Row;

const BAR: usize = 24;

/// The lines of the roster, none wider or more than `size` (lines, columns) allows. `since` is how old `seen` is:
/// what runs has gone on meanwhile.
pub fn draw(
    seen: &Seen,
    since: Duration,
    (height, width): (usize, usize),
    colors: bool,
    trouble: Option<&str>,
) -> Vec<String> {
    let run = &seen.run;
    let elapsed = run.elapsed
        + if run.is_over() {
            0.0
        } else {
            since.as_secs_f64()
        };
    let mut lines = vec![format!(
        "run {} · {} · {} · {} · {}",
        run.id,
        run.flow,
        run.band,
        run.status,
        took(elapsed)
    )];
    let tail = tail(seen, trouble, colors);
    let (shown, hidden) = most_telling(&seen.rows, height.saturating_sub(lines.len() + tail.len()));
    let columns = Columns::of(&shown);
    lines.extend(shown.iter().map(|row| columns.line(row, since, colors)));
    if hidden > 0 {
        lines.push(format!("  … and {hidden} more"));
    }
    lines.extend(tail);
    lines
        .into_iter()
        .map(|line| truncate_str(&line, width.max(20), "…").into_owned())
        .collect()
}

fn tail(seen: &Seen, trouble: Option<&str>, colors: bool) -> Vec<String> {
    let total = seen.rows.len();
    let settled = seen.rows.iter().filter(|row| row.is_settled()).count();
    let running = seen
        .rows
        .iter()
        .filter(|row| row.state == "running")
        .count();
    let tokens: i64 = seen.rows.iter().map(|row| row.tokens).sum();
    let full = (BAR * settled).checked_div(total).unwrap_or(0);
    let bar = format!(
        "{}{}",
        "━".repeat(full),
        style("dim", colors).apply_to("─".repeat(BAR - full))
    );
    let line = format!(
        "{bar} {settled}/{total} steps, {running} running, {} tokens",
        grouped(tokens)
    );
    let trouble = trouble.map(|trouble| style("bad", colors).apply_to(trouble).to_string());
    [Some(line), trouble].into_iter().flatten().collect()
}

/// What fits: if not all rows do, what runs or failed goes before what waits, and that before what is done. The order
/// of the plan stays. Returns the number left out, too.
fn most_telling(rows: &[Row], room: usize) -> (Vec<&Row>, usize) {
    if rows.len() <= room {
        return (rows.iter().collect(), 0);
    }
    let room = room.saturating_sub(1);
    let rank = |row: &Row| match row.state.as_str() {
        "running" => 0,
        "failed" => 1,
        "pending" => 2,
        _ => 3,
    };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|index| (rank(&rows[*index]), *index));
    order.truncate(room);
    order.sort_unstable();
    (
        order.iter().map(|index| &rows[*index]).collect(),
        rows.len() - room,
    )
}

struct Columns {
    step: usize,
    persona: usize,
}

impl Columns {
    fn of(rows: &[&Row]) -> Self {
        let widest = |text: fn(&Row) -> &str| {
            rows.iter()
                .map(|row| measure_text_width(text(row)))
                .max()
                .unwrap_or(0)
        };
        Columns {
            step: widest(|row| &row.step_id),
            persona: widest(persona),
        }
    }

    fn line(&self, row: &Row, since: Duration, colors: bool) -> String {
        let (mark, tone) = match row.state.as_str() {
            "running" => ("●", "live"),
            "completed" => ("✓", "good"),
            "failed" => ("✗", "bad"),
            "cancelled" => ("■", "bad"),
            "skipped" => ("–", "dim"),
            _ => ("·", "dim"),
        };
        let live = if row.state == "running" {
            since.as_secs_f64()
        } else {
            0.0
        };
        let elapsed = row
            .elapsed
            .map(|elapsed| took(elapsed + live))
            .unwrap_or_default();
        let again = if row.attempt > 1 {
            format!("attempt {}: ", row.attempt)
        } else {
            String::new()
        };
        let mut news = [row.doing.as_str(), row.progress.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join(" · ");
        if row.is_settled() && row.tokens > 0 {
            let tokens = format!("{} tokens", grouped(row.tokens));
            news = if news.is_empty() {
                tokens
            } else {
                format!("{news} · {tokens}")
            };
        }
        let line = format!(
            "  {} {}  {}  {}  {elapsed:>6}  {again}{news}",
            style(tone, colors).apply_to(mark),
            padded(&row.step_id, self.step),
            padded(persona(row), self.persona),
            style(tone, colors).apply_to(padded(&row.state, 9)),
        );
        line.trim_end().to_owned()
    }
}

fn persona(row: &Row) -> &str {
    row.persona.as_deref().unwrap_or("-")
}

fn padded(text: &str, width: usize) -> String {
    format!(
        "{text}{}",
        " ".repeat(width.saturating_sub(measure_text_width(text)))
    )
}

fn style(tone: &str, colors: bool) -> Style {
    let style = Style::new().force_styling(colors);
    match tone {
        "live" => style.cyan(),
        "good" => style.green(),
        "bad" => style.red(),
        _ => style.dim(),
    }
}

/// The last words: how the run ended and what to type next.
pub fn farewell(seen: &Seen) -> String {
    let run = &seen.run;
    let why = run
        .error
        .as_deref()
        .map(|error| format!(": {error}"))
        .unwrap_or_default();
    format!(
        "run {} {} after {}{why}\nread it with: conductor report {}\n",
        run.id,
        run.status,
        took(run.elapsed),
        run.id
    )
}

/// Seconds for people: `41s`, `1m05s`, `2h03m`.
pub fn took(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
    }
}

/// 1234567 as `1,234,567`.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::cli::watch::status::Run;

    pub fn row(step: &str, persona: &str, state: &str) -> Row {
        Row {
            step_id: step.into(),
            persona: Some(persona.to_owned()).filter(|p| !p.is_empty()),
            state: state.into(),
            elapsed: None,
            attempt: 1,
            doing: String::new(),
            tokens: 0,
            progress: String::new(),
        }
    }

    pub fn seen(rows: Vec<Row>) -> Seen {
        let run = Run {
            id: 7,
            status: "running".into(),
            flow: "architectural-analysis".into(),
            band: "medium".into(),
            elapsed: 71.0,
            error: None,
        };
        Seen { run, rows }
    }

    fn some_rows() -> Vec<Row> {
        let mut done = row("structure", "structural-analyst", "completed");
        (done.elapsed, done.tokens, done.progress) = (Some(41.0), 12345, "8120 characters".into());
        let mut live = row("behavior", "behavioral-analyst", "running");
        (live.elapsed, live.attempt) = (Some(9.0), 2);
        (live.doing, live.progress) = ("grep_search retry".into(), "3 tool calls".into());
        let mut waits = row("fold", "", "pending");
        waits.doing = "waits for behavior".into();
        vec![done, live, waits]
    }

    #[test]
    fn the_roster_shows_each_step_and_a_progress_line() {
        let shown = draw(
            &seen(some_rows()),
            Duration::from_secs(2),
            (40, 120),
            false,
            None,
        )
        .join("\n");
        let expected = "\
run 7 · architectural-analysis · medium · running · 1m13s
  ✓ structure  structural-analyst  completed     41s  8120 characters · 12,345 tokens
  ● behavior   behavioral-analyst  running       11s  attempt 2: grep_search retry · 3 tool calls
  · fold       -                   pending            waits for behavior
━━━━━━━━──────────────── 1/3 steps, 1 running, 12,345 tokens";
        assert_eq!(shown, expected);
    }

    #[test]
    fn nothing_is_wider_or_higher_than_the_terminal() {
        let mut rows: Vec<Row> = (0..30)
            .map(|n| row(&format!("step-{n}"), "p", "completed"))
            .collect();
        rows[17] = row("the-live-one", "p", "running");
        rows[17].doing = "漢".repeat(300);
        let trouble = Some("the server is away");
        let lines = draw(&seen(rows), Duration::ZERO, (10, 40), true, trouble);
        assert_eq!(lines.len(), 10);
        assert!(lines.iter().all(|line| measure_text_width(line) <= 40));
        let text = lines.join("\n");
        assert!(
            text.contains("the-live-one") && text.contains("… and 24 more"),
            "{text}"
        );
        assert!(text.contains("the server is away"));
    }

    #[test]
    fn a_tiny_terminal_does_no_harm() {
        for height in 0..6 {
            draw(
                &seen(some_rows()),
                Duration::ZERO,
                (height, 0),
                false,
                Some("trouble"),
            );
        }
        draw(&seen(Vec::new()), Duration::ZERO, (24, 80), false, None);
    }

    #[test]
    fn the_last_words_say_how_it_ended() {
        let mut seen = seen(some_rows());
        seen.run.status = "failed".into();
        seen.run.error = Some("no angle completed".into());
        assert_eq!(
            farewell(&seen),
            "run 7 failed after 1m11s: no angle completed\nread it with: conductor report 7\n"
        );
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 999, 1000, 1234567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0.0, 59.9, 60.0, 3599.0, 7380.0].map(took),
            ["0s", "59s", "1m00s", "59m59s", "2h03m"]
        );
    }
}
