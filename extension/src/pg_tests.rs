//! Tests inside a server; what needs two sessions, or a worker, is in `tests/`.

#[pgrx::pg_schema]
mod tests {
    use pgrx::prelude::*;

    fn one<T: FromDatum + IntoDatum>(query: &str) -> T {
        Spi::get_one::<T>(query)
            .expect("the query runs")
            .expect("the value is not null")
    }

    fn launch() -> i64 {
        one("select conductor.flow_launch('research', 'How does a lease work?')")
    }

    #[pg_test]
    fn a_launch_dispatches_the_first_wave_only() {
        let run = launch();
        let pending: i64 = one(&format!(
            "select count(*) from conductor.tasks where run_id = {run}"
        ));
        let angles: i64 = one(&format!(
            "select count(*) from conductor.flow_steps where run_id = {run} and role = 'angle'"
        ));
        assert!(angles > 0);
        assert_eq!(pending, angles);
        assert_eq!(one::<i64>("select count(*) from conductor.flow_check()"), 0);
    }

    #[pg_test]
    fn a_command_line_parses_into_its_parts() {
        let parsed: pgrx::JsonB = one(
            "select conductor._command_parse(' /flow research --band large --fast  why -- so? ')",
        );
        assert_eq!(
            parsed.0,
            serde_json::json!({"flow": "research", "band": "large", "fast": true, "question": "why -- so?"})
        );
    }

    #[pg_test(error = "no such flow")]
    fn an_unknown_flow_is_refused() {
        Spi::run("select conductor.flow_launch('reserch', 'q')").expect("raises before this");
    }

    #[pg_test]
    fn an_advance_that_fails_can_be_entered_again() {
        Spi::run(
            "do $$ begin perform conductor._run_advance_loop(null, null);
                   perform conductor._run_insert('{}', '{}', null, 'm', null, null);
             exception when others then null; end $$",
        )
        .expect("the error is caught");
        let run = launch();
        Spi::run(&format!("update conductor.tasks set state = 'completed' where run_id = {run} and state = 'pending'"))
            .expect("completes the angles");
        let fold: String = one(&format!(
            "select status from conductor.flow_steps where run_id = {run} and role = 'fold'"
        ));
        assert_eq!(fold, "completed");
    }

    #[pg_test]
    fn a_chain_of_a_thousand_code_steps_does_not_recurse() {
        // Longer than the stack would carry if every step entered the advance of the next.
        let mut steps = String::from(r#"{"id": "s0", "code": "fold", "needs": ["first"]}"#);
        for n in 1..999 {
            steps += &format!(
                r#", {{"id": "s{n}", "code": "fold", "needs": ["s{}"]}}"#,
                n - 1
            );
        }
        let flow = format!(
            r#"{{"name": "chain", "category": "analysis", "description": "a chain", "contracts": [],
                "steps": [{{"id": "first", "persona": "codebase-explorer", "brief": "Look."}}, {steps}]}}"#
        );
        Spi::run_with_args("select conductor.flow_define($1::jsonb)", &[flow.into()])
            .expect("defines");
        let run: i64 = one("select conductor.flow_launch('chain', 'q')");
        Spi::run(&format!(
            "update conductor.tasks set state = 'completed' where run_id = {run}"
        ))
        .expect("completes the agent");
        let status: String = one(&format!(
            "select status from conductor.flow_runs where id = {run}"
        ));
        assert_eq!(status, "completed");
    }
}
