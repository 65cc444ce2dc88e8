//! From a definition and a launch to a plan.

mod common;

use common::{agent, code, documents, expanded, general, launch, read, template};
use conductor_flows::{
    Band, Expansion, FlowError, Join, Kind, Launch, Persona, Personas, Role, expand, quoted_steps,
    waves,
};

fn ids(expansion: &Expansion) -> Vec<&str> {
    expansion
        .plan
        .steps
        .iter()
        .map(|step| step.id.as_str())
        .collect()
}

fn needs<'a>(expansion: &'a Expansion, step: &str) -> Vec<&'a str> {
    expansion
        .plan
        .step(step)
        .unwrap()
        .needs
        .iter()
        .map(String::as_str)
        .collect()
}

fn flow(steps: &str, launch: &Launch) -> Expansion {
    expanded(&read(&general(steps)).unwrap(), launch)
}

const SPINE: &str = r#"
name = "x"
category = "analysis"
description = "A flow."
contracts = ["yagni", "evidence"]
next = "research"
[[angles]]
id = "one"
persona = "reader"
brief = "Read {snapshot}/src."
[[angles]]
id = "two-more"
persona = "reader"
band = "medium"
brief = "Read more."
[[angles]]
id = "three"
persona = "reader"
when = "documents"
brief = "Read documents."
[synthesizer]
persona = "writer"
brief = "Write."
[validator]
brief = "Doubt the writer."
"#;

fn spine(launch: &Launch) -> Expansion {
    expanded(&read(SPINE).unwrap(), launch)
}

#[test]
fn a_spine_becomes_angles_fold_synthesis_validation_report() {
    let expansion = spine(&launch(Band::Medium));
    assert_eq!(
        ids(&expansion),
        [
            "one",
            "two-more",
            "fold",
            "synthesis",
            "validation",
            "report"
        ]
    );
    let fold = expansion.plan.step("fold").unwrap();
    assert_eq!(
        (fold.kind, fold.role, fold.join),
        (Kind::Code, Role::Fold, Join::Any)
    );
    assert_eq!(needs(&expansion, "fold"), ["one", "two-more"]);
    assert_eq!(needs(&expansion, "synthesis"), ["fold"]);
    assert_eq!(needs(&expansion, "validation"), ["synthesis", "fold"]);
    assert_eq!(needs(&expansion, "report"), ["validation"]);
    let sizes: Vec<usize> = waves(&expansion.plan).iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 1, 1, 1, 1]);
    assert_eq!(expansion.plan.step("two-more").unwrap().label, "Two more");
    assert_eq!(
        expansion.plan.step("one").unwrap().prefix.as_deref(),
        Some("RD")
    );
    assert_eq!(expansion.plan.next.as_deref(), Some("research"));
}

#[test]
fn angles_above_the_band_or_without_their_fact_have_no_step() {
    assert_eq!(ids(&spine(&launch(Band::Small)))[..2], ["one", "fold"]);
    let with = Launch {
        documents: documents(),
        ..launch(Band::Small)
    };
    assert_eq!(ids(&spine(&with))[..3], ["one", "three", "fold"]);
}

#[test]
fn a_fold_is_quoted_by_its_inputs_one_by_one() {
    let expansion = spine(&launch(Band::Medium));
    assert_eq!(
        quoted_steps(template(&expansion, "synthesis")),
        ["one", "two-more"]
    );
    assert_eq!(
        quoted_steps(template(&expansion, "validation")),
        ["synthesis", "one", "two-more"]
    );
    assert!(quoted_steps(template(&expansion, "one")).is_empty());
}

#[test]
fn what_was_left_out_is_said_to_those_who_judge() {
    let expansion = spine(&launch(Band::Small));
    let gap = "Not looked at in this run: Two more, Three.";
    assert!(template(&expansion, "synthesis").contains(gap));
    assert!(!template(&expansion, "one").contains(gap));
}

#[test]
fn every_validator_has_the_common_brief_and_the_flows_own() {
    let expansion = spine(&launch(Band::Small));
    let prompt = template(&expansion, "validation");
    let (common, own) = (
        prompt.find("Attack").unwrap(),
        prompt.find("Doubt the writer.").unwrap(),
    );
    assert!(common < own);
}

#[test]
fn nothing_left_to_run_says_what_to_do() {
    let only_medium = SPINE.replacen(
        "[[angles]]\nid = \"one\"",
        "[[angles]]\nband = \"large\"\nid = \"one\"",
        1,
    );
    let definition = read(&only_medium).unwrap();
    let error = expand(&definition, &launch(Band::Small), &common::Few).unwrap_err();
    assert_eq!(
        (error.kind(), error.value()),
        ("nothing_to_run", Some("small"))
    );
    assert!(error.cure().contains("documents"), "{}", error.cure());
    let steps = agent("a", "band = \"medium\"") + &code("r", "render", "needs = [\"a\"]");
    let definition = read(&general(&steps)).unwrap();
    let error = expand(&definition, &launch(Band::Small), &common::Few).unwrap_err();
    assert_eq!((error.kind(), error.field()), ("nothing_to_run", "steps"));
    let steps = agent("a", "band = \"large\"");
    let error = expand(
        &read(&general(&steps)).unwrap(),
        &launch(Band::Small),
        &common::Few,
    )
    .unwrap_err();
    assert!(error.cure().contains("band large"), "{}", error.cure());
}

#[test]
fn needs_that_point_to_removed_steps_vanish() {
    let steps = agent("a", "")
        + &agent("b", "band = \"large\"\nneeds = [\"a\"]")
        + &agent("c", "needs = [\"a\", \"b\"]");
    let small = flow(&steps, &launch(Band::Small));
    assert_eq!(
        (ids(&small), needs(&small, "c")),
        (vec!["a", "c", "report"], vec!["a"])
    );
    assert_eq!(needs(&flow(&steps, &launch(Band::Large)), "c"), ["a", "b"]);
}

#[test]
fn what_reads_a_removed_step_is_removed_as_well() {
    let steps = agent("a", "when = \"documents\"")
        + &agent("b", "needs = [\"a\"]\nforeach = \"a.list\"")
        + &code("f", "fold", "needs = [\"b\"]")
        + &agent("z", "needs = [\"f\"]");
    assert_eq!(ids(&flow(&steps, &launch(Band::Small))), ["z", "report"]);
}

#[test]
fn a_reader_whose_way_to_its_source_was_removed_needs_the_source_itself() {
    let steps = agent("a", "")
        + &agent("b", "band = \"large\"\nneeds = [\"a\"]")
        + &agent("c", "needs = [\"b\"]\nwhen = \"a.found\"");
    assert_eq!(needs(&flow(&steps, &launch(Band::Small)), "c"), ["a"]);
}

#[test]
fn a_report_over_all_ends_is_added() {
    let steps = agent("a", "") + &agent("b", "needs = [\"a\"]") + &agent("c", "");
    let expansion = flow(&steps, &launch(Band::Small));
    let report = expansion.plan.step("report").unwrap();
    assert_eq!((report.role, report.join), (Role::Render, Join::Any));
    assert_eq!(needs(&expansion, "report"), ["b", "c"]);
    let own = steps + &code("mine", "render", "needs = [\"b\"]\njoin = \"all\"");
    let expansion = flow(&own, &launch(Band::Small));
    assert_eq!(
        (needs(&expansion, "mine"), expansion.plan.step("report")),
        (vec!["b"], None)
    );
}

#[test]
fn facts_are_decided_and_fields_are_left_to_the_run() {
    let steps =
        agent("a", "when = \"project\"") + &agent("b", "needs = [\"a\"]\nwhen = \"a.found\"");
    let expansion = flow(&steps, &launch(Band::Small));
    assert_eq!(expansion.plan.step("a").unwrap().when, None);
    assert_eq!(
        expansion.plan.step("b").unwrap().when.as_deref(),
        Some("a.found")
    );
}

#[test]
fn a_fan_out_is_one_code_step_that_carries_its_childrens_prompt() {
    let steps = agent("a", "")
        + &agent("each", "needs = [\"a\"]\nforeach = \"a.list\"")
        + &agent("end", "needs = [\"each\"]");
    let expansion = flow(&steps, &launch(Band::Small));
    let each = expansion.plan.step("each").unwrap();
    assert_eq!((each.kind, each.role), (Kind::Code, Role::FanOut));
    assert_eq!(each.persona.as_deref(), Some("reader"));
    assert!(each.persona_hash.is_some() && each.foreach.as_deref() == Some("a.list"));
    assert!(template(&expansion, "each").contains("\u{1}element\u{1}"));
    assert!(!template(&expansion, "end").contains("\u{1}element\u{1}"));
    assert_eq!(quoted_steps(template(&expansion, "end")), ["each"]);
}

#[test]
fn who_has_the_validators_persona_validates() {
    let validator = agent("v", "needs = [\"a\"]").replace("reader", "adversarial-validator");
    let text = general(&(agent("a", "") + &validator))
        .replace("description", "contracts = [\"evidence\"]\ndescription");
    let expansion = expanded(&read(&text).unwrap(), &launch(Band::Small));
    assert_eq!(expansion.plan.step("v").unwrap().role, Role::Validator);
    assert!(template(&expansion, "v").contains("Evidence contract, review"));
    assert!(!template(&expansion, "a").contains("Evidence contract, review"));
}

#[test]
fn steps_stand_behind_what_they_need_whatever_the_written_order() {
    let steps = agent("c", "needs = [\"b\"]") + &agent("b", "needs = [\"a\"]") + &agent("a", "");
    let expansion = flow(&steps, &launch(Band::Small));
    assert_eq!(ids(&expansion), ["a", "b", "c", "report"]);
    let waves: Vec<u32> = expansion.plan.steps.iter().map(|step| step.wave).collect();
    assert_eq!(waves, [1, 2, 3, 4]);
}

#[test]
fn equal_texts_are_pinned_once() {
    let expansion = flow(&(agent("a", "") + &agent("b", "")), &launch(Band::Small));
    let hash = |id: &str| expansion.plan.step(id).unwrap().persona_hash.clone();
    assert_eq!(hash("a"), hash("b"));
    for (hash, text) in &expansion.texts {
        assert_eq!(*hash, conductor_flows::plan::text_hash(text));
    }
    assert_eq!(
        conductor_flows::plan::text_hash("abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn a_persona_that_has_gone_is_an_error() {
    struct None;
    impl Personas for None {
        fn get(&self, _: &str) -> Option<Persona> {
            Option::None
        }
        fn names(&self) -> Vec<String> {
            Vec::new()
        }
    }
    let error: FlowError = expand(&read(SPINE).unwrap(), &launch(Band::Small), &None).unwrap_err();
    assert_eq!(
        (error.kind(), error.value()),
        ("unknown_persona", Some("reader"))
    );
}
