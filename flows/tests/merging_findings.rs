//! Flows that merge findings: what can be written wrongly, and what their agents are told.

mod common;

use common::wrong::fails;
use common::{agent, code, expanded, general, launch, read, read_json, template};
use conductor_flows::{Band, Launch, Role};

const CONTRACTS: &str = "contracts = [\"evidence\", \"yagni\"]\n";

/// Two reviewers, a merge, verifiers.
fn review(merge: &str, verify: &str) -> String {
    let steps = agent("a", "")
        + &agent("b", "band = \"medium\"")
        + &code(
            "merge",
            "merge_findings",
            &format!("needs = [\"a\", \"b\"]\njoin = \"any\"\n{merge}"),
        )
        + &agent("verify", &format!("needs = [\"merge\"]\n{verify}"));
    general(CONTRACTS) + &steps
}

const GROUPS: &str = "foreach = \"merge.groups\"";

#[test]
fn cap_and_exempt_are_checked() {
    for (merge, kind, field, value, cure) in [
        (
            "cap = 0",
            "out_of_range",
            "steps[2].cap",
            Some("0"),
            "from 1 to 1000",
        ),
        (
            "cap = 1001",
            "out_of_range",
            "steps[2].cap",
            Some("1001"),
            "from 1",
        ),
        (
            "cap = -1",
            "out_of_range",
            "steps[2].cap",
            Some("-1"),
            "from 1",
        ),
        (
            "exempt = [\"a\", \"c\"]",
            "unknown_step",
            "steps[2].exempt[1]",
            Some("c"),
            "a",
        ),
    ] {
        fails(&review(merge, GROUPS), kind, field, value, cure);
    }
    let error = read(&review("cap = \"ten\"", GROUPS)).unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        ("wrong_type", "steps[2].cap")
    );
}

#[test]
fn only_a_merge_takes_a_cap() {
    let fold = agent("a", "") + &code("f", "fold", "needs = [\"a\"]\ncap = 3");
    fails(
        &general(&fold),
        "conflict",
        "steps[1].cap",
        Some("cap"),
        "remove cap",
    );
    fails(
        &general(&agent("a", "exempt = [\"a\"]")),
        "conflict",
        "steps[0].exempt",
        Some("exempt"),
        "remove exempt",
    );
}

#[test]
fn merged_findings_have_one_field_and_are_merged_once() {
    fails(
        &review("", "foreach = \"merge.findings\""),
        "bad_reference",
        "steps[3].foreach",
        Some("findings"),
        "merge.groups",
    );
    let two = agent("a", "")
        + &code("m", "merge_findings", "needs = [\"a\"]")
        + &code("n", "merge_findings", "needs = [\"a\"]");
    fails(
        &general(&two),
        "conflict",
        "steps[2].code",
        Some("n"),
        "one step",
    );
}

#[test]
fn cap_and_exempt_reach_the_plan_and_read_back() {
    let definition = read(&review("cap = 3\nexempt = [\"b\"]", GROUPS)).unwrap();
    assert_eq!(read_json(&definition.to_json()).unwrap(), definition);
    let exempt = |band| {
        let plan = expanded(&definition, &launch(band)).plan;
        let merge = plan.step("merge").unwrap().merge.clone().unwrap();
        assert_eq!(merge.cap, 3);
        merge.exempt
    };
    assert_eq!(exempt(Band::Medium), ["b"]);
    assert!(exempt(Band::Small).is_empty(), "it has no row");
    let plain = expanded(&read(&review("", GROUPS)).unwrap(), &launch(Band::Medium)).plan;
    assert_eq!(plain.step("merge").unwrap().merge.as_ref().unwrap().cap, 10);
    assert_eq!(plain.step("verify").unwrap().role, Role::FanOut);
}

#[test]
fn reviewers_are_told_the_form_and_that_yagni_is_advice() {
    let expansion = expanded(&read(&review("", GROUPS)).unwrap(), &launch(Band::Medium));
    let prompt = template(&expansion, "a");
    for part in [
        "## Reply form\n```\n## Summary",
        "### RD1. <critical|warning|suggestion>",
        "`NO FINDINGS`",
        "in the form above",
        "YAGNI contract, advisory.",
        "## YAGNI notes",
    ] {
        assert!(prompt.contains(part), "{part} is not in:\n{prompt}");
    }
    assert!(!prompt.contains("{prefix}") && !prompt.contains("{form}"));
    assert!(!prompt.contains("the reply form of your role"));
    assert!(
        !prompt.contains("Gate 1: it stays only if"),
        "advice is not a gate"
    );
}

#[test]
fn a_verifier_gets_its_group_and_not_the_whole_merge() {
    let expansion = expanded(&read(&review("", GROUPS)).unwrap(), &launch(Band::Medium));
    let prompt = template(&expansion, "verify");
    assert!(prompt.contains("\u{1}element\u{1}"), "{prompt}");
    assert!(!prompt.contains("\u{1}output:"), "{prompt}");
    assert!(prompt.contains("the reply form of your role"), "{prompt}");
    assert!(
        prompt.contains("neither confirms nor refutes") && !prompt.contains("YAGNI candidate"),
        "{prompt}"
    );
    let listed = agent("list", "") + &agent("each", "needs = [\"list\"]\nforeach = \"list.items\"");
    let expansion = expanded(&read(&general(&listed)).unwrap(), &launch(Band::Small));
    assert!(
        template(&expansion, "each").contains("\u{1}output:list\u{1}"),
        "any other list is quoted whole"
    );
}

#[test]
fn a_flow_on_a_document_says_when_it_got_none() {
    let text = general("needs_document = true\n") + &agent("a", "");
    let definition = read(&text).unwrap();
    assert_eq!(read_json(&definition.to_json()).unwrap(), definition);
    let without = expanded(&definition, &launch(Band::Small));
    assert!(without.plan.needs_document);
    let prompt = template(&without, "a");
    assert!(
        prompt.contains("# Provided documents\n\nNone was provided"),
        "{prompt}"
    );
    let with = Launch {
        documents: common::documents(),
        project: None,
        ..launch(Band::Small)
    };
    let prompt = expanded(&definition, &with);
    assert!(!template(&prompt, "a").contains("None was provided"));
    let nothing = Launch {
        project: None,
        ..launch(Band::Small)
    };
    let error = conductor_flows::expand(&definition, &nothing, &common::Few).unwrap_err();
    assert_eq!(error.kind(), "no_document");
    assert!(error.cure().contains("documents"), "{}", error.cure());
    let error = read(&(general("needs_document = 1\n") + &agent("a", ""))).unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        ("wrong_type", "needs_document")
    );
}

#[test]
fn a_fan_out_over_something_else_is_given_what_was_merged() {
    let steps = agent("a", "")
        + &agent("list", "")
        + &code("merge", "merge_findings", "needs = [\"a\"]")
        + &agent(
            "each",
            "needs = [\"merge\", \"list\"]\nforeach = \"list.items\"",
        );
    let expansion = expanded(&read(&general(&steps)).unwrap(), &launch(Band::Small));
    let prompt = template(&expansion, "each");
    assert!(prompt.contains("\u{1}output:merge\u{1}"), "{prompt}");
}
