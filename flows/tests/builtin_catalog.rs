//! The library's own flows and personas.

mod common;
#[path = "common/decided.rs"]
mod decided;

use std::collections::BTreeSet;

use common::{documents, launch, template};
use conductor_flows::plan::PlanStep;
use conductor_flows::{
    Band, Contract, Definition, ErrorKind, Launch, Personas, Role, builtin_flow, builtin_flows,
    builtin_personas, builtin_problems, expand, waves,
};
use decided::decided;

#[test]
fn every_embedded_file_is_right() {
    let problems: Vec<String> = builtin_problems()
        .iter()
        .map(|problem| format!("{problem}; {}", problem.cure()))
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
    assert_eq!(builtin_flows().len(), 22);
    assert_eq!(builtin_personas().all().count(), 23);
}

#[test]
fn flows_come_in_the_launchers_order_and_are_found_by_name() {
    let order: Vec<(String, &str)> = builtin_flows()
        .iter()
        .map(|flow| (flow.head().category.to_string(), flow.name()))
        .collect();
    let decided: Vec<(String, &str)> = decided()
        .iter()
        .map(|flow| (flow.category.to_owned(), flow.name))
        .collect();
    assert_eq!(order, decided);
    for flow in builtin_flows() {
        assert_eq!(builtin_flow(flow.name()), Some(flow));
    }
    assert_eq!(builtin_flow("no-such-flow"), None);
}

#[test]
fn every_persona_of_a_flow_exists_and_every_persona_is_found() {
    for flow in builtin_flows() {
        for persona in flow.personas() {
            assert!(
                builtin_personas().get(persona).is_some(),
                "{persona} of {}",
                flow.name()
            );
        }
    }
    let names = builtin_personas().names();
    assert!(names.is_sorted());
    assert!(
        names
            .iter()
            .all(|name| builtin_personas().get(name).is_some())
    );
}

#[test]
fn every_persona_appears_in_a_flow() {
    for name in builtin_personas().names() {
        let uses = |flow: &Definition| flow.personas().contains(&name.as_str());
        assert!(builtin_flows().iter().any(uses), "{name}");
    }
}

#[test]
fn what_follows_a_flow_is_another_flow_of_the_library() {
    for flow in builtin_flows() {
        let next = flow.head().next.as_deref();
        let next = next.unwrap_or_else(|| panic!("{} names no next flow", flow.name()));
        assert_ne!(next, flow.name());
        assert!(builtin_flow(next).is_some(), "{next} after {}", flow.name());
    }
}

#[test]
fn personas_have_a_short_body_and_a_prefix_of_their_own() {
    let mut prefixes = BTreeSet::new();
    for persona in builtin_personas().all() {
        let words = persona.body.split_whitespace().count();
        assert!(
            (150..=450).contains(&words),
            "{} has {words} words",
            persona.name
        );
        assert!(
            prefixes.insert(persona.prefix.clone()),
            "{} is used twice",
            persona.prefix
        );
        assert!(!persona.description.ends_with('.') && persona.description.len() <= 200);
        assert!(
            !persona.body.starts_with(['/', '@', '!']),
            "{}",
            persona.name
        );
    }
}

#[test]
fn prefixes_are_the_decided_ones() {
    let decided = [
        ("adversarial-security-analyst", "SEC"),
        ("adversarial-validator", "V"),
        ("behavioral-analyst", "B"),
        ("codebase-explorer", "D"),
        ("concurrency-analyst", "C"),
        ("content-auditor", "CA"),
        ("data-engineer", "DE"),
        ("devops-engineer", "DOR"),
        ("edge-case-explorer", "EC"),
        ("evidence-based-investigator", "E"),
        ("gap-analyzer", "GAP"),
        ("information-architect", "IA"),
        ("junior-developer", "JD"),
        ("on-call-engineer", "OCE"),
        ("project-manager", "PM"),
        ("project-scanner", "PS"),
        ("research-analyst", "RA"),
        ("risk-analyst", "R"),
        ("software-architect", "SA"),
        ("structural-analyst", "S"),
        ("system-architect", "SYS"),
        ("test-engineer", "T"),
        ("user-experience-designer", "UX"),
    ];
    let found: Vec<(&str, &str)> = builtin_personas()
        .all()
        .map(|persona| (persona.name.as_str(), persona.prefix.as_str()))
        .collect();
    assert_eq!(found, decided);
}

#[test]
fn definitions_are_the_decided_ones() {
    for decided in decided() {
        let name = decided.name;
        let flow = builtin_flow(name).unwrap_or_else(|| panic!("{name} is missing"));
        let head = flow.head();
        assert_eq!(head.category.to_string(), decided.category, "{name}");
        let contracts: Vec<String> = head.contracts.iter().map(ToString::to_string).collect();
        assert_eq!(contracts, decided.contracts, "{name}");
        let json = flow.to_json();
        let synthesizer = json["synthesizer"]["persona"].as_str();
        assert_eq!(synthesizer, decided.synthesizer, "{name}");
        let entries = json["angles"].as_array().or(json["steps"].as_array());
        let first = entries.unwrap().iter().filter(|entry| {
            entry["persona"].is_string() && entry["needs"].as_array().is_none_or(Vec::is_empty)
        });
        let angles: Vec<Vec<&str>> = first
            .map(|entry| {
                let keys = ["id", "persona", "band", "when"];
                keys.iter().filter_map(|key| entry[key].as_str()).collect()
            })
            .collect();
        assert_eq!(angles, decided.angles, "{name}");
    }
}

/// The agents of a run, and the personas of fan-outs, which have a step for each element.
fn agents(steps: &[PlanStep]) -> impl Iterator<Item = &PlanStep> {
    steps.iter().filter(|step| step.persona.is_some())
}

#[test]
fn a_run_has_the_agents_of_its_band() {
    for decided in decided() {
        for band in Band::ALL {
            let flow = builtin_flow(decided.name).unwrap();
            let plan = expand(flow, &launch(*band), builtin_personas())
                .unwrap()
                .plan;
            let found: Vec<String> = agents(&plan.steps)
                .map(|step| format!("{}:{}", step.id, step.persona.as_deref().unwrap()))
                .collect();
            let joins = |angle: &&Vec<&str>| angle[2].parse::<Band>().unwrap() <= *band;
            let angles = decided.angles.iter().filter(joins);
            let mut wanted: Vec<String> = angles.map(|it| format!("{}:{}", it[0], it[1])).collect();
            wanted.extend(decided.synthesizer.map(|it| format!("synthesis:{it}")));
            wanted.push(match decided.name {
                "code-review" => "verify:adversarial-validator".to_owned(),
                _ => "validation:adversarial-validator".to_owned(),
            });
            assert_eq!(found, wanted, "{} at {band}", decided.name);
        }
    }
}

#[test]
fn research_has_no_codebase_angle_without_a_project() {
    let without = Launch {
        project: None,
        ..launch(Band::Small)
    };
    let expansion = expand(
        builtin_flow("research").unwrap(),
        &without,
        builtin_personas(),
    )
    .unwrap();
    assert!(expansion.plan.step("codebase").is_none());
    assert_eq!(expansion.plan.step("fold").unwrap().needs, ["sources"]);
}

#[test]
fn every_flow_expands_at_every_band_with_and_without_everything() {
    for flow in builtin_flows() {
        for band in Band::ALL {
            for fast in [false, true] {
                let bare = Launch {
                    project: None,
                    fast,
                    ..launch(*band)
                };
                let full = Launch {
                    base: Some("main"),
                    documents: documents(),
                    fast,
                    ..launch(*band)
                };
                let document = Launch {
                    documents: documents(),
                    ..bare
                };
                if flow.head().needs_document {
                    let error = expand(flow, &bare, builtin_personas()).unwrap_err();
                    assert_eq!(
                        error.kind(),
                        ErrorKind::NoDocument.as_str(),
                        "{}",
                        flow.name()
                    );
                } else {
                    check(flow, &bare);
                }
                check(flow, &document);
                check(flow, &full);
            }
        }
    }
}

/// What must hold for every prompt of every flow.
fn check(flow: &Definition, launch: &Launch) {
    let expansion = expand(flow, launch, builtin_personas())
        .unwrap_or_else(|error| panic!("{}: {error}", flow.name()));
    let plan = &expansion.plan;
    assert_eq!(
        plan.step("report").map(|step| step.role),
        Some(Role::Render)
    );
    let general = matches!(flow, Definition::General(_));
    let first = if general { Role::Step } else { Role::Angle };
    assert!(waves(plan)[0].iter().all(|step| step.role == first));
    assert!(agents(&plan.steps).count() <= flow.agents(launch.band));
    let merges = |id: &String| {
        plan.steps
            .iter()
            .any(|other| other.role == Role::MergeFindings && other.needs.contains(id))
    };
    for step in agents(&plan.steps) {
        let prompt = template(&expansion, &step.id);
        let system = &expansion.texts[step.persona_hash.as_ref().unwrap()];
        let place = format!("{}/{} at {}", flow.name(), step.id, launch.band);
        assert!(prompt.starts_with("# "), "{place}");
        assert!(prompt.contains(launch.question), "{place}");
        let ending = &prompt[prompt
            .rfind("# The form of your reply")
            .expect("it ends so")..];
        assert!(ending.contains("No plan"), "{place}");
        for text in [prompt, system.as_str()] {
            assert!(!text.contains("{snapshot}"), "{place}");
            assert!(
                launch.project.is_some() || !text.contains("\u{1}snapshot"),
                "{place}"
            );
            assert!(!text.contains('\r') && text.len() < 40_000, "{place}");
        }
        let reviews = step.persona.as_deref() == Some("adversarial-validator");
        for contract in Contract::ALL {
            let has = |reviews| {
                let text = conductor_flows::prompt::contract_text(*contract, reviews);
                prompt.contains(text.lines().next().expect("it is not empty"))
            };
            let judges = step.foreach.is_some();
            let advises = *contract == Contract::Yagni && (merges(&step.id) || judges);
            assert!(
                !advises || prompt.contains("YAGNI contract, advisory"),
                "{place}"
            );
            let wanted = plan.contracts.contains(contract) && !advises;
            assert_eq!(
                (has(reviews), has(!reviews)),
                (wanted, false),
                "{place}: {contract}"
            );
        }
    }
}
