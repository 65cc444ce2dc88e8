//! Who may connect to the database and nothing else.

use std::collections::BTreeSet;

use conductor_tests::harness::sql_worker::{self, Claimed};
use conductor_tests::harness::{Conductor, Launch, Setup, told};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

/// In everything that is said, and nowhere else.
const SECRET: &str = "topsecret\",\"run_id\":0}'; notify conductor_frames, 'topsecret";

/// A session of a role that was granted nothing, and the notifications that reach it.
async fn stranger(c: &Conductor, name: &str) -> (Client, UnboundedReceiver<(String, String)>) {
    let role = format!("create role {name} login");
    c.sql.batch_execute(&role).await.unwrap();
    let mut config: Config = c.cluster.url(&c.database).parse().unwrap();
    let (client, mut connection) = config.user(name).connect(NoTls).await.unwrap();
    let (heard, hears) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(note) = message {
                let _ = heard.send((note.channel().to_owned(), note.payload().to_owned()));
            }
        }
    });
    (client, hears)
}

/// Streams everything that a child may do, full of secrets.
async fn stream(c: &Conductor, task: &Claimed) {
    let events = json!([
        {"type": "message_started", "note": SECRET},
        {"type": "tool_call", "name": SECRET, "input": {"file_path": SECRET}},
        {"type": "tool_result", "output": SECRET},
        {"type": "reasoning_delta", "text": SECRET},
        {"type": "usage", "model": SECRET},
        {"type": "error", "message": SECRET},
        {"type": "delta", "offset": 0, "text": SECRET},
    ]);
    let stream = "select task_stream($1, $2::text::uuid, $3)";
    let statement = c.sql.prepare_typed(
        stream,
        &[
            tokio_postgres::types::Type::INT8,
            tokio_postgres::types::Type::TEXT,
            tokio_postgres::types::Type::JSONB,
        ],
    );
    let statement = statement.await.unwrap();
    c.sql
        .execute(&statement, &[&task.task, &task.lease, &events])
        .await
        .unwrap();
}

/// A run of a user's own flow whose steps are made from what an agent wrote, one that fails, is tried again and cancelled,
/// and one that is completed.
async fn much_happens(c: &Conductor) -> BTreeSet<i64> {
    let worker = sql_worker::register(&c.sql, SECRET, &[]).await.unwrap();
    let flow = json!({"name": "whisper", "category": "analysis", "description": SECRET, "contracts": [], "steps": [
        {"id": "find", "label": SECRET, "persona": "codebase-explorer", "brief": SECRET},
        {"id": "each", "label": SECRET, "persona": "codebase-explorer", "brief": SECRET, "needs": ["find"],
         "foreach": "find.all"}]});
    c.sql
        .execute("select flow_define($1)", &[&flow])
        .await
        .unwrap();
    let mut own = Launch::new("whisper", SECRET);
    own.launch_key = Some(SECRET);
    own.input = Some(json!({"documents": [{"name": SECRET, "text": SECRET}], SECRET: SECRET}));
    let own = c.launch(own).await;
    let ended = c.launch(Launch::new("research", SECRET)).await;
    let all = c
        .launch(Launch::new("architectural-analysis", SECRET))
        .await;

    let first = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
    assert!(first.len() >= 3, "each run has begun: {first:?}");
    for task in &first {
        stream(c, task).await;
        if task.run == own {
            let found = json!({"all": [SECRET, SECRET]}).to_string();
            sql_worker::finish(&c.sql, task, &found).await.unwrap();
        } else if task.run == ended {
            let why = Some(SECRET);
            let end = sql_worker::end(&c.sql, task, "failed", None, why, true);
            end.await.unwrap();
        } else {
            sql_worker::finish(&c.sql, task, SECRET).await.unwrap();
        }
    }
    for act in ["flow_cancel", "flow_retry", "flow_cancel"] {
        let act = format!("select {act}($1)");
        c.sql.execute(&act, &[&ended]).await.unwrap();
    }
    sql_worker::play(&c.sql, worker, |_| Ok((SECRET.into(), None)))
        .await
        .unwrap();
    assert_eq!(c.status(own).await.0, "completed");
    assert_eq!(c.status(all).await.0, "completed");
    assert_eq!(c.status(ended).await.0, "cancelled");
    BTreeSet::from([own, ended, all])
}

#[test]
fn who_only_listens_hears_that_something_happened_and_nothing_of_what() {
    Setup::new().without_worker().run(async |c| {
        let (ear, mut hears) = stranger(c, "stranger_ear").await;
        // The numbers of runs can be guessed.
        let mut listen = String::from("listen conductor_frames;");
        for run in 1..=20 {
            listen.push_str(&format!("listen conductor_run_{run};"));
        }
        ear.batch_execute(&listen).await.unwrap();
        let runs = much_happens(c).await;
        c.sql
            .batch_execute("select pg_notify('conductor_frames', 'the end')")
            .await
            .unwrap();

        let (mut channels, mut types) = (BTreeSet::new(), BTreeSet::new());
        while let Some((channel, payload)) = hears.recv().await {
            if payload == "the end" {
                break;
            }
            assert!(!payload.contains("topsecret"), "{channel}: {payload}");
            let said: Value = serde_json::from_str(&payload).unwrap();
            let said = said.as_object().unwrap();
            let keys: BTreeSet<&str> = said.keys().map(String::as_str).collect();
            assert_eq!(keys, BTreeSet::from(["run_id", "seq", "type"]));
            assert!(said["seq"].as_i64().unwrap() > 0);
            assert!(
                runs.contains(&said["run_id"].as_i64().unwrap()),
                "{payload}"
            );
            types.insert(said["type"].as_str().unwrap().to_owned());
            channels.insert(channel);
        }
        assert_eq!(channels.len(), 1 + runs.len(), "{channels:?}");
        let known = [
            "delta",
            "error",
            "flow_run_started",
            "flow_run_step_updated",
            "message_complete",
        ];
        let known = BTreeSet::from(known.map(str::to_owned));
        assert!(
            types.is_subset(&known) && types.len() > 2,
            "a type is one of these words: {types:?}"
        );

        for statement in [
            "select * from conductor.flow_frames(1)",
            "select * from conductor.frames",
            "select * from conductor.flow_catalog()",
        ] {
            let refused = ear.batch_execute(statement).await.unwrap_err();
            assert_eq!(told(&refused).0, "42501", "{statement}");
        }
        drop(ear);
        c.sql.batch_execute("drop role stranger_ear").await.unwrap();
    });
}

#[test]
fn nobody_but_another_prune_holds_up_a_prune() {
    Setup::new().without_worker().run(async |c| {
        const PRUNE: &str = "set lock_timeout = '2s'; select flow_prune('1 hour')";
        let (stranger, _hears) = stranger(c, "stranger_lock").await;
        // Whatever the number is that a name comes to.
        for key in [
            "hashtext('conductor.flow_prune')",
            "hashtext('flow_prune')",
            "0",
            "1",
        ] {
            let hold = format!("select pg_advisory_lock({key})");
            stranger.batch_execute(&hold).await.unwrap();
        }
        let locks = "begin; lock table conductor.dispatch in share update exclusive mode";
        let refused = stranger.batch_execute(locks).await.unwrap_err();
        assert_eq!(told(&refused).0, "42501");
        c.sql
            .batch_execute(PRUNE)
            .await
            .expect("it waits for nobody");

        let mut other = c.connect().await;
        let pruning = other.transaction().await.unwrap();
        pruning
            .batch_execute("select flow_prune('1 hour')")
            .await
            .unwrap();
        let waited = c.sql.batch_execute(PRUNE).await.unwrap_err();
        assert_eq!(told(&waited).0, "55P03", "two take turns");
        pruning.commit().await.unwrap();
        c.sql.batch_execute(PRUNE).await.unwrap();
        drop(stranger);
        c.sql
            .batch_execute("drop role stranger_lock")
            .await
            .unwrap();
    });
}
