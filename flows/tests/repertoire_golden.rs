//! Every plan and every prompt of the library's flows, compared with the files in
//! `golden/repertoire/`: one file per flow and band, and in `shared/` each text that several
//! prompts have in common, once. `UPDATE_GOLDEN=1 cargo test` writes them anew.
//!
//! A prompt is written as its parts. Joined by an empty line they are the prompt, byte for byte,
//! so nothing in a prompt can change without a change in these files.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use common::{documents, launch, template};
use conductor_flows::{
    Band, Definition, Expansion, Launch, PlanStep, Role, builtin_flows, builtin_personas,
    builtin_problems, expand, waves,
};

/// Stands at the head of every file of a flow.
const KEY: &str = "The parts of a prompt, joined by an empty line, are the prompt. A part is a file, \
or stands here behind `|`. The sign `␁` stands for U+0001, which encloses what is put in later.";

/// Room for 22 flows at three bands; a repertoire above it cannot be reviewed.
const MOST_BYTES: usize = 900_000;

/// Every validator is told this, so it is a part of its own.
const VALIDATOR_BRIEF: &str = include_str!("../src/contracts/validator-brief.md");

/// Paths below `golden/repertoire/` and what stands there.
type Files = BTreeMap<String, String>;

#[test]
fn plans_and_prompts_are_those_that_were_reviewed() {
    let found = repertoire();
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/repertoire");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        update(&room, &found).expect("the golden folder can be written");
    }
    let wanted = read(&room);
    let mut problems = Vec::new();
    for (name, text) in &found {
        match wanted.get(name) {
            None => problems.push(format!("{name} is missing")),
            Some(golden) if golden != text => problems.push(difference(name, golden, text)),
            Some(_) => {}
        }
    }
    let stale = wanted.keys().filter(|name| !found.contains_key(*name));
    problems.extend(stale.map(|name| format!("{name} belongs to no flow, band or prompt")));
    assert!(
        problems.is_empty(),
        "{} differences; UPDATE_GOLDEN=1 writes the files anew, then review what changed:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

#[test]
fn every_flow_has_a_file_for_every_band() {
    let found = repertoire();
    for flow in builtin_flows() {
        for band in Band::ALL {
            let name = format!("{}.{band}.md", flow.name());
            assert!(found.contains_key(&name), "{name}");
        }
    }
    let of_flows = found.keys().filter(|name| !name.starts_with("shared/"));
    assert_eq!(of_flows.count(), 22 * Band::ALL.len());
}

#[test]
fn the_parts_of_a_prompt_are_the_prompt() {
    let found = repertoire();
    for flow in builtin_flows() {
        for band in Band::ALL {
            let file = &found[&format!("{}.{band}.md", flow.name())];
            let expansion = expanded(flow, *band);
            for step in expansion
                .plan
                .steps
                .iter()
                .filter(|it| it.persona.is_some())
            {
                let place = format!("{} of {} at {band}", step.id, flow.name());
                let (system, prompt) = read_back(file, &step.id, &found).expect(&place);
                assert!(
                    system == visible(system_prompt(&expansion, step)),
                    "{place}"
                );
                assert!(prompt == visible(template(&expansion, &step.id)), "{place}");
            }
        }
    }
}

#[test]
fn the_files_stay_small_enough_to_be_reviewed() {
    let bytes: usize = repertoire().values().map(String::len).sum();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}

/// What the golden files should hold. Nothing is made from half a library.
fn repertoire() -> Files {
    assert!(builtin_problems().is_empty(), "{:#?}", builtin_problems());
    assert_eq!(builtin_flows().len(), 22);
    let mut shared = Shared::default();
    let mut files = Files::new();
    for flow in builtin_flows() {
        for band in Band::ALL {
            let text = page(&expanded(flow, *band), &mut shared);
            files.insert(format!("{}.{band}.md", flow.name()), text);
        }
    }
    files.extend(shared.0);
    files
}

/// The one launch of which all files tell.
fn expanded(flow: &Definition, band: Band) -> Expansion {
    let launch = Launch {
        base: Some("main"),
        documents: if flow.head().needs_document {
            documents()
        } else {
            &[]
        },
        ..launch(band)
    };
    expand(flow, &launch, builtin_personas()).expect("a flow of the library expands")
}

/// The file of one flow at one band.
fn page(expansion: &Expansion, shared: &mut Shared) -> String {
    let plan = &expansion.plan;
    let mut head = serde_json::to_value(plan).expect("a plan is JSON");
    head.as_object_mut().expect("it is a table").remove("steps");
    let mut out = format!(
        "# {}, band {}\n\n{KEY}\n\n## Plan\n\n",
        plan.flow, plan.band
    );
    for (key, value) in head.as_object().expect("it is a table") {
        writeln!(out, "- {key}: {value}").expect("a string takes everything");
    }
    out.push_str("\n## Waves\n\n");
    for wave in waves(plan) {
        let ids: Vec<&str> = wave.iter().map(|step| step.id.as_str()).collect();
        writeln!(out, "{}. {}", wave[0].wave, ids.join(", ")).expect("a string takes everything");
    }
    out.push_str("\n## Steps\n\n");
    for step in &plan.steps {
        let mut row = serde_json::to_value(step).expect("a step is JSON");
        let row = row.as_object_mut().expect("it is a table");
        // The texts themselves follow; their hashes would only change with them.
        row.retain(|key, value| !key.ends_with("_hash") && !value.is_null() && key != "id");
        let row: Vec<String> = row.iter().map(|(key, it)| format!("{key} {it}")).collect();
        writeln!(out, "- {}: {}", step.id, row.join(", ")).expect("a string takes everything");
    }
    for step in plan.steps.iter().filter(|step| step.persona.is_some()) {
        let system = visible(system_prompt(expansion, step));
        let persona = step.persona.as_deref().expect("an agent has a persona");
        write!(out, "\n## {}\n\nSystem prompt:\n", step.id).expect("a string takes everything");
        refer(
            &mut out,
            &shared.put(&format!("persona.{persona}"), &system),
        );
        out.push_str("\nPrompt:\n");
        let prompt = visible(template(expansion, &step.id));
        for part in parts(
            prompt
                .strip_suffix('\n')
                .expect("a prompt ends its last line"),
        ) {
            match name(part, expansion, step) {
                Some(name) => refer(&mut out, &shared.put(&name, part)),
                None => part.split('\n').for_each(|line| {
                    out.push_str(format!("| {line}").trim_end());
                    out.push('\n');
                }),
            }
        }
    }
    out
}

fn refer(out: &mut String, file: &str) {
    writeln!(out, "- {file}").expect("a string takes everything");
}

fn system_prompt<'a>(expansion: &'a Expansion, step: &PlanStep) -> &'a str {
    let hash = step.persona_hash.as_ref();
    &expansion.texts[hash.expect("an agent has a system prompt")]
}

/// Signs that people can see.
fn visible(text: &str) -> String {
    assert!(!text.contains('␁'), "the sign would stand for two things");
    let trailing = text.lines().find(|line| line.ends_with([' ', '\t']));
    assert_eq!(trailing, None, "blanks at the end of a line are invisible");
    text.replace('\u{1}', "␁")
}

/// The sections of a prompt, the common brief of validators apart.
fn parts(prompt: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut from = 0;
    let heads = prompt.match_indices("\n\n# ").map(|(at, _)| at);
    for end in heads.chain([prompt.len()]) {
        let section = &prompt[from..end];
        let brief = VALIDATOR_BRIEF.trim();
        match section.split_once(&format!("\n\n{brief}\n\n")) {
            Some((head, own)) => {
                let start = head.len() + 2;
                parts.extend([head, &section[start..start + brief.len()], own]);
            }
            None => parts.push(section),
        }
        from = (end + 2).min(prompt.len());
    }
    parts
}

/// The name of a part that several prompts may have in common; other parts stand where they are.
fn name(part: &str, expansion: &Expansion, step: &PlanStep) -> Option<String> {
    let plan = &expansion.plan;
    let merged =
        |other: &PlanStep| other.role == Role::MergeFindings && other.needs.contains(&step.id);
    let writes_findings = plan.steps.iter().any(merged);
    let judges = step.persona.as_deref() == Some("adversarial-validator");
    if part == VALIDATOR_BRIEF.trim() {
        return Some("brief.every-validator".to_owned());
    }
    let own_brief = || format!("brief.{}.{}", plan.flow, step.id);
    let Some(title) = part.strip_prefix("# ") else {
        return Some(own_brief());
    };
    let title = title.lines().next().unwrap_or_default();
    Some(match title.split(": ").next().unwrap_or_default() {
        "Your part" if part.contains('\n') => own_brief(),
        "The question" => "question".to_owned(),
        "How much to do" => format!("effort.{}", plan.band),
        "The project" if plan.needs_document => "project.with-documents".to_owned(),
        "The project" => "project".to_owned(),
        "Provided documents" => "documents".to_owned(),
        "Contracts" => {
            let names: Vec<&str> = plan.contracts.iter().map(|it| it.as_str()).collect();
            let side = match (judges, writes_findings) {
                (true, _) => "review",
                (false, true) => "findings",
                (false, false) => "produce",
            };
            format!("contracts.{side}.{}", names.join("-"))
        }
        "The form of your reply" if writes_findings => format!("form.{}.{}", plan.flow, step.id),
        "The form of your reply" => "form".to_owned(),
        _ => return None,
    })
}

/// Texts in files of their own.
#[derive(Default)]
struct Shared(Files);

impl Shared {
    /// Puts a text into the file of this name; another text of the same name gets a number.
    fn put(&mut self, name: &str, text: &str) -> String {
        let text = format!("{text}\n");
        for number in 1.. {
            let file = match number {
                1 => format!("shared/{name}.md"),
                _ => format!("shared/{name}.{number}.md"),
            };
            match self.0.get(&file) {
                Some(found) if *found != text => {}
                Some(_) => return file,
                None => {
                    self.0.insert(file.clone(), text);
                    return file;
                }
            }
        }
        unreachable!("there is a number for every text")
    }
}

/// The system prompt and the prompt of a step, out of the files.
fn read_back(page: &str, step: &str, files: &Files) -> Option<(String, String)> {
    let (_, rest) = page.split_once(&format!("\n## {step}\n\nSystem prompt:\n- "))?;
    let (system, rest) = rest.split_once("\n\nPrompt:\n")?;
    let mut parts: Vec<String> = Vec::new();
    let mut inside = false;
    for line in rest.lines().take_while(|line| !line.is_empty()) {
        if let Some(file) = line.strip_prefix("- ") {
            parts.push(files.get(file)?.strip_suffix('\n')?.to_owned());
            inside = false;
            continue;
        }
        let line = line.strip_prefix('|')?;
        let line = line.strip_prefix(' ').unwrap_or(line);
        match parts.last_mut() {
            Some(part) if inside && !line.starts_with("# ") => {
                part.push('\n');
                part.push_str(line);
            }
            _ => parts.push(line.to_owned()),
        }
        inside = true;
    }
    let system = files.get(system)?.strip_suffix('\n')?.to_owned();
    Some((system, parts.join("\n\n") + "\n"))
}

/// Where two texts part.
fn difference(name: &str, golden: &str, found: &str) -> String {
    let (mut old, mut new) = (golden.split('\n'), found.split('\n'));
    let mut number = 1;
    loop {
        match (old.next(), new.next()) {
            (None, None) => return format!("{name} differs"),
            (was, is) if was != is => {
                let end = "(the end)";
                let (was, is) = (was.unwrap_or(end), is.unwrap_or(end));
                return format!("{name}:{number}\n  was: {was}\n  is:  {is}");
            }
            _ => number += 1,
        }
    }
}

/// All Markdown files of the folder and of its `shared`.
fn read(room: &Path) -> Files {
    let mut files = Files::new();
    for (prefix, folder) in [("", room.to_owned()), ("shared/", room.join("shared"))] {
        for path in markdown(&folder).unwrap_or_default() {
            let file = path.file_name().expect("a listed file has a name");
            let text = fs::read_to_string(&path).expect("a golden file is text");
            files.insert(format!("{prefix}{}", file.to_string_lossy()), text);
        }
    }
    files
}

fn markdown(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "md") {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Writes what changed and removes what nothing refers to.
fn update(room: &Path, files: &Files) -> io::Result<()> {
    fs::create_dir_all(room.join("shared"))?;
    for (name, golden) in read(room) {
        match files.get(&name) {
            None => fs::remove_file(room.join(name))?,
            Some(text) if *text != golden => fs::write(room.join(name), text)?,
            Some(_) => {}
        }
    }
    for (name, text) in files {
        let path = room.join(name);
        if !path.exists() {
            fs::write(path, text)?;
        }
    }
    Ok(())
}
