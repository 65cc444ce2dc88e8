//! What the documentation shows can be used as it stands.

use conductor_flows::{Band, Definition, Launch, builtin_personas, expand, waves};

const REFERENCE: &str = include_str!("../../docs/REFERENCE.md");

#[test]
fn the_flow_in_the_reference_is_one() {
    let (_, rest) = REFERENCE.split_once("```toml\n").expect("an example");
    let (text, _) = rest.split_once("```\n").expect("it ends");
    let definition = Definition::from_toml("module-audit.toml", text, builtin_personas()).unwrap();
    let launch = Launch {
        question: "What have the modules in common?",
        band: Band::Small,
        fast: false,
        project: Some("shop"),
        base: None,
        documents: &[],
    };
    let plan = expand(&definition, &launch, builtin_personas())
        .unwrap()
        .plan;
    let ids: Vec<Vec<&str>> = waves(&plan)
        .into_iter()
        .map(|wave| wave.into_iter().map(|step| step.id.as_str()).collect())
        .collect();
    assert_eq!(
        ids,
        [
            vec!["modules"],
            vec!["audit"],
            vec!["summary"],
            vec!["report"]
        ]
    );
}
