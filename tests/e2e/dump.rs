//! A dump taken in the middle of a run carries all of it, and the run goes on where it is restored.

use std::process::Command;

use conductor_tests::harness::cluster::Cluster;
use conductor_tests::harness::sql_worker;
use conductor_tests::harness::tools;
use conductor_tests::harness::{Launch, Setup};

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(tools::postgres_programs().unwrap().join(program))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
    assert_eq!(said, "", "{program} has nothing to warn of");
}

#[test]
fn a_run_that_is_dumped_midway_and_restored_elsewhere_completes_there() {
    Setup::new().without_worker().run(async |c| {
        let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
        let launch = Launch::new("architectural-analysis", "What depends on what?").band("medium");
        let run_id = c.launch(launch).await;
        let claimed = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
        sql_worker::finish(&c.sql, &claimed[0], "kept: the first angle")
            .await
            .unwrap();

        let cluster = Cluster::shared();
        let file = c.folder().join("run.dump");
        let name: String = c
            .sql
            .query_one("select current_database()::text", &[])
            .await
            .unwrap()
            .get(0);
        run(
            "pg_dump",
            &[
                "-Fc",
                "-d",
                &cluster.url(&name),
                "-f",
                file.to_str().unwrap(),
            ],
        );
        let copy = cluster.create_empty_database().await;
        run(
            "pg_restore",
            &[
                "--exit-on-error",
                "-d",
                &cluster.url(&copy),
                file.to_str().unwrap(),
            ],
        );
        let there = cluster.connect(&copy).await.unwrap();
        there
            .batch_execute("set search_path = conductor")
            .await
            .unwrap();

        // The copy does not dispatch before somebody says that it may.
        let worker = sql_worker::register(&there, "by-hand", &[]).await.unwrap();
        let refused = sql_worker::claim(&there, worker, 8).await.unwrap_err();
        assert_eq!(
            refused.code().map(|c| c.code().to_owned()).as_deref(),
            Some("55000")
        );
        there.execute("select flow_resume()", &[]).await.unwrap();
        while sql_worker::drive(&there, worker).await.unwrap() > 0 {}

        let row = there
            .query_one(
                "select status, report from flow_runs where id = $1",
                &[&run_id],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, String>(0), "completed");
        let kept: String = there
            .query_one(
                "select flow_step_output($1, $2)",
                &[&run_id, &claimed[0].step_id],
            )
            .await
            .unwrap()
            .get(0);
        assert_eq!(kept, "kept: the first angle");
        let wrong: i64 = there
            .query_one("select count(*) from flow_check()", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(wrong, 0);
        // Sequences go on after what was restored.
        let next: i64 = there
            .query_one("select flow_launch('research', 'Another?')", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(next, run_id + 1);
        drop(there);
        cluster.drop_database(&copy).await;
    });
}
