//! What cannot be launched says why, where the person is looking, and leaves nothing behind.

use conductor_tests::harness::{Conductor, Launch, Setup, told};

/// Launches and checks the error: its SQLSTATE, and words of its detail and hint.
async fn refused(c: &Conductor, launch: Launch<'_>, code: &str, detail: &str, hint: &str) {
    let error = launch.with(&c.sql).await.expect_err("it is refused");
    let (state, message, said, cure) = told(&error);
    let all = format!("{state} {message} | {said} | {cure}");
    assert_eq!(state, code, "{all}");
    assert!(said.contains(detail), "detail lacks {detail}: {all}");
    assert!(cure.contains(hint), "hint lacks {hint}: {all}");
    for table in [
        "flow_runs",
        "flow_steps",
        "tasks",
        "chats",
        "frames",
        "texts",
    ] {
        let count = format!("select count(*) from {table}");
        let left: i64 = c.sql.query_one(&count, &[]).await.unwrap().get(0);
        assert_eq!(left, 0, "{table} after {all}");
    }
}

#[test]
fn an_unknown_flow_names_the_nearest_ones() {
    Setup::new().without_worker().run(async |c| {
        let launch = Launch::new("architectural-analisys", "Is it so?");
        refused(
            c,
            launch,
            "42704",
            "architectural-analisys",
            "architectural-analysis",
        )
        .await;
    });
}

#[test]
fn an_unknown_band_names_the_three_there_are() {
    Setup::new().without_worker().run(async |c| {
        let launch = Launch::new("research", "Is it so?").band("huge");
        refused(c, launch.clone(), "22023", "huge", "small").await;
        refused(c, launch, "22023", "huge", "large").await;
    });
}

#[test]
fn an_unknown_project_names_the_nearest_one() {
    Setup::new().without_worker().run(async |c| {
        c.shop("shop").await;
        let launch = Launch::new("research", "Is it so?").on("shopp");
        refused(c, launch.clone(), "42704", "shopp", "shop").await;
        refused(c, launch, "42704", "shopp", "project_register").await;
    });
}

#[test]
fn an_empty_question_is_refused_however_it_is_empty() {
    Setup::new().without_worker().run(async |c| {
        for question in ["", "  \n\t "] {
            let launch = Launch::new("research", question);
            refused(c, launch, "22023", "research", "find out").await;
        }
    });
}

#[test]
fn a_root_that_is_no_absolute_path_cannot_be_registered() {
    Setup::new().without_worker().run(async |c| {
        for root in ["shop", "/srv/../etc", ""] {
            let registered = c
                .sql
                .execute("select project_register('shop', $1)", &[&root])
                .await;
            let (state, _, detail, hint) = told(&registered.expect_err("it is refused"));
            assert_eq!(state, "22023");
            assert!(detail.contains(root) && !hint.is_empty(), "{detail} {hint}");
        }
    });
}
