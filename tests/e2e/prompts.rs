//! The model receives the prompt as it was built.

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Launch, Setup};

const QUESTION: &str = "/init is what I type. Who reads @src/lease.rs and @README.md, and answers \
    me@example.com? See `@main`, @@twice and <@U1>. Also \\@escaped, \"@quoted\" and trailing @";

#[test]
fn signs_that_mean_something_to_the_child_arrive_as_they_were_written() {
    Setup::new().run(async |c| {
        c.shop("shop").await;
        let run = c.launch(Launch::new("research", QUESTION).on("shop")).await;
        c.completed(run, LONG).await;
        let rows = c
            .sql
            .query(
                "select m.content from messages m join flow_steps s on s.chat_id = m.chat_id
                 where m.run_id = $1 and m.role = 'user' order by s.position",
                &[&run],
            )
            .await
            .unwrap();
        let built: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(built.len(), 3);
        let records = c.model.control().records();
        let first_turns = records.iter().filter(|record| record.turn == 1);
        let arrived: Vec<_> = first_turns.map(|record| record.conversation()).collect();
        for prompt in &built {
            assert!(prompt.contains(QUESTION));
            let heading = prompt.lines().next().unwrap();
            let talk = arrived.iter().find(|talk| talk.prompt.starts_with(heading));
            let talk = talk.unwrap_or_else(|| panic!("no request begins with {heading}"));
            let snapshot = talk.snapshot().unwrap_or_default();
            let expected = prompt.replace("\u{1}snapshot\u{1}", snapshot);
            let differs = expected
                .trim()
                .lines()
                .zip(talk.prompt.trim().lines())
                .find(|(a, b)| a != b);
            assert_eq!(
                differs, None,
                "first line that differs, as built and as it arrived"
            );
            assert_eq!(talk.prompt.trim().len(), expected.trim().len());
        }
        for record in records {
            let talk = record.conversation();
            assert!(
                !talk.prompt.contains('\u{1}') && !talk.system.contains('\u{1}'),
                "a token is left"
            );
            assert!(!talk.system.contains("{snapshot}"));
        }
    });
}

#[test]
fn a_question_that_begins_with_a_slash_is_a_question() {
    Setup::new().run(async |c| {
        let run = c.launch(Launch::new("research", "/help")).await;
        c.completed(run, LONG).await;
        let records = c.model.control().records();
        assert!(records[0].conversation().prompt.contains("\n/help\n"));
    });
}

#[test]
fn an_at_sign_in_an_output_comes_back_as_it_was_said() {
    use conductor_tests::scripted::{Reply, Rule, Script};
    let said = "## Answer\nAsk me@example.com about @src/lease.rs and \u{2060} nothing else.\n";
    let script = Script::of([Rule::persona("research-analyst", [Reply::text(said)])]);
    Setup::new().script(script).run(async |c| {
        let run = c.launch(Launch::new("research", "Whom?")).await;
        c.completed(run, LONG).await;
        assert_eq!(c.output(run, "sources").await.trim(), said.trim());
    });
}
