//! The library's own flows and personas.

mod common;

use std::collections::BTreeSet;

use common::{documents, launch, template};
use conductor_flows::{
    Band, Contract, Definition, Kind, Launch, Personas, Role, builtin_flow, builtin_flows,
    builtin_personas, builtin_problems, expand, waves,
};

#[test]
fn every_embedded_file_is_right() {
    let problems: Vec<String> = builtin_problems()
        .iter()
        .map(|problem| format!("{problem}; {}", problem.cure()))
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(builtin_flows().len() >= 4);
}

#[test]
fn flows_come_in_the_launchers_order_and_are_found_by_name() {
    let order: Vec<_> = builtin_flows()
        .iter()
        .map(|flow| (flow.head().category, flow.name()))
        .collect();
    assert!(order.is_sorted());
    for flow in builtin_flows() {
        assert_eq!(builtin_flow(flow.name()), Some(flow));
        assert!(!flow.head().contracts.is_empty(), "{}", flow.name());
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
fn what_follows_a_flow_is_no_flow_of_its_own() {
    for flow in builtin_flows() {
        assert_ne!(flow.head().next.as_deref(), Some(flow.name()));
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
    for persona in builtin_personas().all() {
        let decided = decided.iter().find(|(name, _)| *name == persona.name);
        assert_eq!(
            decided.map(|(_, prefix)| *prefix),
            Some(persona.prefix.as_str()),
            "{}",
            persona.name
        );
    }
}

/// Angles by band, as decided.
#[test]
fn rosters_are_the_decided_ones() {
    let roster = |flow: &str, band: Band| -> Vec<String> {
        let expansion = expand(
            builtin_flow(flow).unwrap(),
            &launch(band),
            builtin_personas(),
        )
        .unwrap();
        let agents = expansion
            .plan
            .steps
            .iter()
            .filter(|step| step.kind == Kind::Agent);
        agents
            .map(|step| format!("{}:{}", step.id, step.persona.as_deref().unwrap()))
            .collect()
    };
    let validation = "validation:adversarial-validator";
    let architecture = [
        "structure:structural-analyst",
        "behavior:behavioral-analyst",
        "concurrency:concurrency-analyst",
        "topology:system-architect",
        "synthesis:software-architect",
        validation,
    ];
    let without = |left: &[&str]| -> Vec<&str> {
        architecture
            .iter()
            .copied()
            .filter(|it| !left.iter().any(|id| it.starts_with(id)))
            .collect()
    };
    assert_eq!(
        roster("architectural-analysis", Band::Small),
        without(&["behavior", "concurrency", "topology"])
    );
    assert_eq!(
        roster("architectural-analysis", Band::Medium),
        without(&["concurrency", "topology"])
    );
    assert_eq!(roster("architectural-analysis", Band::Large), architecture);
    assert_eq!(
        roster("research", Band::Large),
        [
            "sources:research-analyst",
            "codebase:codebase-explorer",
            "options:research-analyst",
            "prior-art:research-analyst",
            validation
        ]
    );
    assert_eq!(
        roster("gap-analysis", Band::Large),
        [
            "gap:gap-analyzer",
            "sweep:junior-developer",
            "current-state:evidence-based-investigator",
            validation
        ]
    );
    assert_eq!(
        roster("plan-a-feature", Band::Large),
        [
            "scope:project-manager",
            "questions:junior-developer",
            "experience:user-experience-designer",
            "edges:edge-case-explorer",
            "abuse:adversarial-security-analyst",
            "synthesis:project-manager",
            validation
        ]
    );
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
                for launch in [bare, full] {
                    check(flow, &launch);
                }
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
    assert_eq!(
        waves(plan)[0]
            .iter()
            .filter(|step| step.role == Role::Angle)
            .count(),
        waves(plan)[0].len()
    );
    let agents = plan.steps.iter().filter(|step| step.kind == Kind::Agent);
    assert!(agents.clone().count() <= flow.agents(launch.band));
    for step in agents {
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
        for contract in Contract::ALL {
            let reviews = step.role == Role::Validator;
            let has = |reviews| {
                let text = conductor_flows::prompt::contract_text(*contract, reviews);
                prompt.contains(text.lines().next().expect("it is not empty"))
            };
            let wanted = plan.contracts.contains(contract);
            assert_eq!(
                (has(reviews), has(!reviews)),
                (wanted, false),
                "{place}: {contract}"
            );
        }
    }
}
