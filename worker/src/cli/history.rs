//! `conductor history`: a thin call of `flow_history`.

use clap::Args;
use console::{measure_text_width, truncate_str};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::output::{self, one_line};
use super::people::{Client, Problem};
use super::{DatabaseArgs, watch};
use crate::db::Failure;

/// List the newest runs
#[derive(Args, Debug)]
pub struct HistoryArgs {
    #[command(flatten)]
    pub(super) database: DatabaseArgs,
    /// Only runs of this project
    #[arg(long, short, value_name = "NAME")]
    project: Option<String>,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=1000))]
    limit: i32,
}

const HEAD: [&str; 9] = [
    "RUN", "STATUS", "FLOW", "BAND", "PROJECT", "LAUNCHED", "TOOK", "TOKENS", "QUESTION",
];
/// Numbers stand to the right.
const RIGHT: [usize; 3] = [0, 6, 7];

/// Prints a table, the newest run first.
pub async fn run(mut client: Client, args: HistoryArgs) -> Result<u8, Problem> {
    let rows = client
        .rows(
            "select run_id::text, status, flow, band, coalesce(project_name, '-'), \
             to_char(created_at, 'YYYY-MM-DD HH24:MI'), extract(epoch from elapsed)::float8, tokens::text, question \
             from conductor.flow_history($1, $2)",
            &[(&args.project, Type::TEXT), (&args.limit, Type::INT4)],
        )
        .await?;
    let lines = rows
        .iter()
        .map(cells)
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::from)?;
    if lines.is_empty() {
        eprintln!("no runs yet: conductor launch FLOW QUESTION");
        return Ok(0);
    }
    let term = console::Term::stdout();
    let width = if term.is_term() {
        Some(term.size().1.into())
    } else {
        None
    };
    output::print(&table(&lines, width));
    Ok(0)
}

fn cells(row: &Row) -> Result<[String; 9], tokio_postgres::Error> {
    let mut cells: [String; 9] = Default::default();
    for (index, cell) in cells.iter_mut().enumerate() {
        *cell = match index {
            6 => row
                .try_get::<_, Option<f64>>(index)?
                .map(watch::took)
                .unwrap_or_default(),
            _ => one_line(&row.try_get::<_, Option<String>>(index)?.unwrap_or_default()),
        };
    }
    Ok(cells)
}

fn table(lines: &[[String; 9]], width: Option<usize>) -> String {
    let head = HEAD.map(str::to_owned);
    let all: Vec<&[String; 9]> = std::iter::once(&head).chain(lines).collect();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            all.iter()
                .map(|line| measure_text_width(&line[column]))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in all {
        let mut shown = String::new();
        for (column, cell) in line.iter().enumerate() {
            let space = " ".repeat(widths[column] - measure_text_width(cell));
            shown += &if RIGHT.contains(&column) {
                format!("{space}{cell}  ")
            } else {
                format!("{cell}{space}  ")
            };
        }
        let shown = shown.trim_end();
        text += &width.map_or(shown.into(), |width| truncate_str(shown, width, "…"));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_and_long_questions_are_cut() {
        let line = |run: &str, question: &str| {
            [
                run,
                "completed",
                "research",
                "small",
                "-",
                "2026-01-02 03:04",
                "1m05s",
                "1234",
                question,
            ]
            .map(str::to_owned)
        };
        let lines = [
            line("12", "wie geht das? 漢字"),
            line("7", &"x".repeat(200)),
        ];
        let shown = table(&lines, Some(100));
        let expected = "\
RUN  STATUS     FLOW      BAND   PROJECT  LAUNCHED           TOOK  TOKENS  QUESTION
 12  completed  research  small  -        2026-01-02 03:04  1m05s    1234  wie geht das? 漢字
  7  completed  research  small  -        2026-01-02 03:04  1m05s    1234  xxxxxxxxxxxxxxxxxxxxxxxx…
";
        assert_eq!(shown, expected);
    }
}
