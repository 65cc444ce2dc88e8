//! What is wrong with a file and where, and what a right one would run.

use conductor_flows::{
    Band, Category, Definition, Document, Launch, Personas, Plan, PlanStep, expand, waves,
};
use console::measure_text_width;

use super::check::{Checked, Elsewhere, Wrong};
use super::files::{File, Form};
use crate::cli::output::{escaped, one_line};

/// Characters that are shown of a line, at most, before and after what is wrong in it.
const AROUND: usize = 60;

/// An error with its place, the line there, and what to do about it.
pub fn wrong(wrong: &Wrong, files: &[File], elsewhere: &Elsewhere) -> String {
    let (file, error) = (&files[wrong.file], &wrong.error);
    let place = wrong
        .place
        .map(|place| format!(":{}:{}", place.line, place.column))
        .unwrap_or_default();
    let value = error
        .value()
        .map(|value| format!(" \"{}\"", escaped(value)))
        .unwrap_or_default();
    let field = match escaped(error.field()) {
        field if field.is_empty() || field.starts_with("line ") => String::new(),
        field => format!(" in {field}"),
    };
    let mut text = format!(
        "{}{place}: {}{value}{field}\n",
        file.shown,
        escaped(error.problem())
    );
    text += &excerpt(wrong, file).unwrap_or_default();
    text += &format!("help: {}\n", escaped(error.cure()));
    if wrong.wants_persona() {
        let why = match wrong.broken {
            Some(broken) => format!(
                "{}, which would define it, is wrong itself",
                files[broken].shown
            ),
            None => looked_for(files, elsewhere),
        };
        text += &format!("note: {why}\n");
    }
    text
}

/// Where a persona was looked for.
fn looked_for(files: &[File], elsewhere: &Elsewhere) -> String {
    let given = files
        .iter()
        .filter(|file| file.form == Form::Persona)
        .count();
    let files = match given {
        0 => String::new(),
        1 => " and the persona file".to_owned(),
        _ => format!(" and the {given} persona files"),
    };
    let server = match elsewhere {
        Elsewhere::NotNamed => "; no database is named (--database)".to_owned(),
        Elsewhere::NotAsked => "; the database was not asked".to_owned(),
        Elsewhere::Silent(why) => format!("; the database does not answer: {}", one_line(why)),
        Elsewhere::Defined(personas) => {
            format!(", and the {} defined in the database", personas.len())
        }
    };
    let builtin = conductor_flows::builtin_personas().names().len();
    format!("it was looked for among the {builtin} built-in personas{files}{server}")
}

/// The line, and carets below what is wrong in it.
fn excerpt(wrong: &Wrong, file: &File) -> Option<String> {
    let place = wrong.place?;
    let line: Vec<char> = file.text.lines().nth(place.line - 1)?.chars().collect();
    let start = (place.column - 1).min(line.len());
    let end = (start + place.length).min(line.len());
    let from = start.saturating_sub(AROUND);
    let to = end.min(start + 2 * AROUND);
    let until = (to + AROUND).min(line.len());
    let part = |range: &[char]| escaped(&range.iter().collect::<String>().replace('\t', " "));
    let (before, meant, after) = (
        part(&line[from..start]),
        part(&line[start..to]),
        part(&line[to..until]),
    );
    let (lead, tail) = (
        if from > 0 { "…" } else { "" },
        if until < line.len() { "…" } else { "" },
    );
    let number = place.line.to_string();
    let gutter = " ".repeat(number.len());
    let blank = " ".repeat(measure_text_width(lead) + measure_text_width(&before));
    let carets = "^".repeat(measure_text_width(&meant).max(1));
    Some(format!(
        "{gutter} |\n{number} | {lead}{before}{meant}{after}{tail}\n{gutter} | {blank}{carets}\n"
    ))
}

/// What each right file holds, in the order of the files.
pub fn right(checked: &Checked, files: &[File]) -> Vec<String> {
    let personas = checked.personas.iter().map(|(at, persona)| {
        let description = one_line(&persona.description);
        let text = format!(
            "{}: persona {} ({}), {description}\n",
            files[*at].shown, persona.name, persona.prefix
        );
        (*at, text)
    });
    let flows = checked
        .flows
        .iter()
        .map(|(at, flow)| (*at, self::flow(flow, &files[*at], &checked.known)));
    let mut all: Vec<(usize, String)> = personas.chain(flows).collect();
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, text)| text).collect()
}

fn flow(flow: &Definition, file: &File, personas: &dyn Personas) -> String {
    let head = flow.head();
    let category: Category = head.category;
    let description = one_line(&head.description);
    let mut text = format!(
        "{}: flow {}, {category}: {description}\n",
        file.shown, head.name
    );
    let mut former: Option<(Band, Vec<String>)> = None;
    for band in Band::ALL {
        let lines = match plan(flow, *band, personas) {
            Ok(plan) => wave_lines(&plan),
            Err(problem) => vec![one_line(&problem)],
        };
        match &former {
            Some((same, before)) if *before == lines => {
                text += &format!("  {band:<6}  as {same}\n")
            }
            _ => {
                for (number, line) in lines.iter().enumerate() {
                    let name = if number == 0 { band.as_str() } else { "" };
                    text += &format!("  {name:<6}  {line}\n");
                }
                former = Some((*band, lines));
            }
        }
    }
    text
}

/// The plan of a launch for which every launch fact holds.
fn plan(flow: &Definition, band: Band, personas: &dyn Personas) -> Result<Plan, String> {
    let documents = [Document {
        name: "document.md".to_owned(),
        text: "A document.".to_owned(),
    }];
    let launch = Launch {
        question: "What would run?",
        band,
        fast: false,
        project: Some("project"),
        base: Some("main"),
        documents: &documents,
    };
    let expansion = expand(flow, &launch, personas)
        .map_err(|error| format!("{}: {}", error.problem(), error.cure()))?;
    Ok(expansion.plan)
}

fn wave_lines(plan: &Plan) -> Vec<String> {
    let waves = waves(plan);
    let lines = waves.iter().enumerate().map(|(number, steps)| {
        let steps: Vec<String> = steps.iter().map(|step| shown(step)).collect();
        format!("{}. {}", number + 1, steps.join(", "))
    });
    lines.collect()
}

fn shown(step: &PlanStep) -> String {
    let who = step
        .persona
        .as_deref()
        .map_or_else(|| step.role.as_str().to_owned(), str::to_owned);
    let each = step
        .foreach
        .as_deref()
        .map(|list| format!(", for each of {list}"))
        .unwrap_or_default();
    let when = step
        .when
        .as_deref()
        .map(|field| format!(", if {field}"))
        .unwrap_or_default();
    format!("{} ({who}{each}{when})", step.id)
}
