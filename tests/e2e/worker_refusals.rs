//! What a worker cannot or will not do is said where the person is looking, and never half done.

use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Repository, Setup, processes};

/// Everything that `flow_status` says about a run, as one text.
async fn status_text(c: &Conductor, run: i64) -> String {
    let rows = c
        .sql
        .query("select s::text from flow_status($1) s", &[&run])
        .await
        .unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}

async fn status_says(c: &Conductor, run: i64, words: &[&str]) {
    let what = format!("flow_status says {words:?}");
    c.until(&what, Duration::from_secs(30), async |c: &Conductor| {
        let text = status_text(c, run).await.to_lowercase();
        words.iter().all(|word| text.contains(word)).then_some(())
    })
    .await;
}

#[test]
fn a_root_that_no_worker_serves_is_named_and_nothing_is_read() {
    Setup::new().run(async |c| {
        let outside = Repository::shop(&c.folder().join("outside"));
        c.register("outside", outside.root()).await;
        let run = c
            .launch(Launch::new("research", "Is it so?").on("outside"))
            .await;
        status_says(c, run, &["root", "outside"]).await;
        assert_eq!(
            c.status(run).await.0,
            "running",
            "it waits for a worker that serves the root"
        );
        assert!(c.model.control().records().is_empty());
        c.environment.allowed = c.folder().to_owned();
        c.stop_worker();
        c.start_worker();
        c.completed(run, LONG).await;
    });
}

#[test]
fn a_link_out_of_the_allowed_root_is_not_followed() {
    Setup::new().run(async |c| {
        let outside = Repository::shop(&c.folder().join("outside"));
        let link = c.environment.allowed.join("link");
        std::os::unix::fs::symlink(outside.root(), &link).unwrap();
        c.register("link", &link).await;
        let run = c
            .launch(Launch::new("research", "Is it so?").on("link"))
            .await;
        let (status, _) = c.ended(run, LONG).await;
        assert_eq!(status, "failed");
        let error = c.step(run, "codebase").await.error.unwrap_or_default();
        assert!(error.contains("outside"), "{error}");
        assert!(c.model.control().records().is_empty());
    });
}

#[test]
fn without_qwen_nothing_is_dispatched_and_the_status_says_why() {
    Setup::new().without_worker().run(async |c| {
        let nowhere = c.folder().join("no-qwen");
        let qwen = std::mem::replace(&mut c.environment.qwen, nowhere);
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        status_says(c, run, &["no worker is alive"]).await;
        c.start_worker();
        status_says(c, run, &["qwen"]).await;
        let task: (String, i32) = {
            let row = c
                .sql
                .query_one("select state, attempt from tasks", &[])
                .await
                .unwrap();
            (row.get(0), row.get(1))
        };
        assert_eq!(task, ("pending".into(), 0));
        let doctor = c.environment.run(&["doctor"], Duration::from_secs(60));
        assert!(!doctor.status.success());
        let said = String::from_utf8_lossy(&doctor.stdout).to_lowercase();
        assert!(said.contains("qwen"), "{said}");
        assert!(c.model.control().records().is_empty());

        c.stop_worker();
        c.environment.qwen = qwen;
        c.start_worker();
        c.completed(run, LONG).await;
    });
}

#[test]
fn qwen_taken_away_under_a_running_worker_costs_no_attempt() {
    Setup::new().without_worker().run(async |c| {
        // A real folder: a worker looks through links once, when it checks itself.
        let (here, away) = (c.folder().join("qwen"), c.folder().join("qwen-away"));
        let package = c.environment.qwen.canonicalize().unwrap();
        let mut copy = std::process::Command::new("cp");
        copy.arg("-R").arg(package.parent().unwrap()).arg(&here);
        assert!(copy.status().unwrap().success());
        c.environment.qwen = here.join("cli.js");
        c.start_worker();
        let fit = "select 1 from workers where healthy";
        c.until("the worker is fit", LONG, async |c: &Conductor| {
            c.sql.query_opt(fit, &[]).await.unwrap()
        })
        .await;
        std::fs::rename(&here, &away).unwrap();
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        status_says(c, run, &["last task", "sandbox unavailable"]).await;
        status_says(c, run, &["no qwen-code at"]).await;
        assert_eq!(c.status(run).await.0, "running");
        std::fs::rename(&away, &here).unwrap();
        processes::signal(c.worker().pid(), libc::SIGHUP);
        c.completed(run, LONG).await;
        for step in c.steps(run).await {
            assert!(step.attempts <= 1, "{step:?}");
        }
        assert_eq!(c.told(run).await, [], "nobody is told of a failure");
    });
}

#[test]
fn a_doctor_on_a_sound_machine_finds_nothing() {
    Setup::new().without_worker().run(async |c| {
        let doctor = c.environment.run(&["doctor"], Duration::from_secs(60));
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(
            doctor.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&doctor.stderr)
        );
    });
}

#[test]
fn a_model_that_refuses_connections_fails_the_run_with_its_address() {
    // The child itself tries for a minute and more before it gives up.
    Setup::new()
        .settings("max_attempts = 1")
        .without_worker()
        .run(async |c| {
            // Bound and not listened to: refused, and nobody else's.
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let address = socket.local_addr().unwrap();
            c.environment.model_url = format!("http://{address}/v1");
            c.start_worker();
            let run = c.launch(Launch::new("research", "Is it so?")).await;
            let (status, error) = c.ended(run, LONG * 2).await;
            assert_eq!(status, "failed");
            let said = c.step(run, "sources").await.error.unwrap_or_default();
            assert!(said.contains(&address.to_string()), "{said}");
            assert!(error.is_some_and(|error| error.contains("sources")));
            let report = c.report(run).await;
            assert!(report.contains("failed"), "{report}");
            assert!(report.contains(&address.to_string()), "{report}");
            let doctor = c.environment.run(&["doctor"], Duration::from_secs(60));
            assert!(!doctor.status.success());
            let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
            assert!(said.contains(&address.to_string()), "{said}");
        });
}
