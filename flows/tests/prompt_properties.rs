//! Whatever users and models write: nothing panics, nothing that must stay is cut, nothing becomes a
//! mark, and the budget holds.

mod common;

use common::fuzz::tried;
use common::{agent, expanded, general, launch, put, read, template};
use conductor_flows::{
    Band, Document, Launch, Material, Upstream, field, fold, qualify, quoted_steps, resolve,
};
use proptest::prelude::*;
use serde_json::Value;

/// Text with everything in it that has a meaning somewhere.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "\u{1}",
        "\u{1}output:a\u{1}",
        "\u{1}snapshot\u{1}",
        "\u{1}element\u{1}",
        "{snapshot}",
        "```",
        "`````",
        "~~~",
        "\n",
        "\n\n",
        " ",
        "# ",
        "S1",
        "S2-S3",
        "a/S1",
        "é",
        "👩‍👩‍👧",
        "\u{0}",
        "\r",
        "\u{2028}",
        "@x",
        "/init",
        "!ls",
        "x",
        "0123456789",
        "json",
        "{\"a\": 1}",
        "src/a.rs:10",
        "|",
        "<!--",
        "===",
        "---",
        "`",
        "\\",
        "'",
    ]);
    let any = prop_oneof![4 => pieces.prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec(any, 0..40).prop_map(|pieces| pieces.concat())
}

fn upstream() -> impl Strategy<Value = Vec<Upstream>> {
    let one = (
        prop::sample::select(vec!["a", "b", "b/1", "b/2", "c"]),
        hostile(),
        prop::option::of(hostile()),
        any::<bool>(),
    );
    prop::collection::vec(
        one.prop_map(|(id, label, output, completed)| Upstream {
            step_id: id.to_owned(),
            label: label.clone(),
            prefix: Some("S".to_owned()),
            status: if completed {
                "completed".to_owned()
            } else {
                label.clone()
            },
            error: Some(label),
            output,
            citations: None,
        }),
        0..6,
    )
}

proptest! {
    #![proptest_config(tried(500))]

    #[test]
    fn what_must_stay_stays(question in hostile(), name in hostile(), text in hostile(), ups in upstream(), max in 0..20_000_usize) {
        let steps = agent("a", "") + &agent("b", "") + &agent("z", "needs = [\"a\", \"b\"]");
        let definition = read(&general(&steps).replace("description", "contracts = [\"evidence\"]\ndescription")).unwrap();
        let documents = [Document { name, text }];
        let launch = Launch { question: &question, documents: &documents, ..launch(Band::Small) };
        let expansion = expanded(&definition, &launch);
        let template = template(&expansion, "z");
        prop_assert!(template.starts_with("# "));
        prop_assert_eq!(quoted_steps(template), ["a", "b"]);
        let kept: String = question.chars().filter(|c| !c.is_control() || "\n\t".contains(*c)).collect();
        let material = Material { upstream: &ups, documents: &documents, element: None };
        let prompt = resolve(template, &material, max);
        let persona = "You are the reader. Files stand in \u{1}snapshot\u{1}.";
        prop_assert!(expansion.texts.values().any(|text| text == persona));
        let contract = conductor_flows::prompt::contract_text(conductor_flows::Contract::Evidence, false);
        for part in [kept.as_str(), "Read.", contract.trim(), "# The form of your reply"] {
            prop_assert!(prompt.contains(part));
        }
        let marks = prompt.matches("\u{1}snapshot\u{1}").count();
        prop_assert_eq!(prompt.matches('\u{1}').count(), 2 * marks, "only the snapshot's marks are left");
        // The fixed part may be larger than the budget; what is put in never makes it so.
        prop_assert!(prompt.len() <= max.max(template.len() + 13_000));
    }

    #[test]
    fn the_budget_holds_where_the_fixed_part_leaves_room(outputs in prop::collection::vec(hostile(), 1..5), max in 3000..9000_usize) {
        let ups: Vec<Upstream> = outputs.iter().enumerate().map(|(i, output)| Upstream {
            step_id: format!("s{i}"), prefix: Some("S".to_owned()), status: "completed".to_owned(),
            output: Some(output.repeat(200)), ..Upstream::default()
        }).collect();
        let template: String = (0..ups.len()).map(|i| format!("\u{1}output:s{i}\u{1}\n")).collect();
        prop_assert!(put(&template, &ups, None, max).len() <= max);
    }

    #[test]
    fn any_template_resolves(template in hostile(), ups in upstream(), element in hostile(), max: usize) {
        put(&template, &ups, Some(&Value::String(element)), max);
        quoted_steps(&template);
    }

    #[test]
    fn qualifying_only_adds(text in hostile()) {
        let qualified = qualify("step", "S", &text);
        prop_assert_eq!(qualified.replace("step/S", "S"), text.replace("step/S", "S"));
        prop_assert_eq!(qualify("step", "S", &qualified), qualified);
    }

    #[test]
    fn a_fold_loses_nothing(ups in upstream()) {
        let folded = fold(&ups);
        for up in &ups {
            if let Some(output) = up.said() {
                let own = format!("{}/S", up.step_id);
                let kept = folded.replace(&own, "S").contains(&output.replace(&own, "S"));
                prop_assert!(kept);
            }
        }
    }

    #[test]
    fn any_output_can_be_asked_for_a_field(output in hostile()) {
        field(&output, "a");
    }
}
