//! How the model's answers and failures come back.

use std::time::Duration;

use serde_json::json;

use crate::calls;
use crate::common::model::{Answer, Model};
use crate::common::{Bench, model};

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_model_are_told_apart() {
    let bench = Bench::new().await;
    for (answer, word, retryable) in [
        (Answer::Status(401), "401", false),
        (Answer::Status(404), "404", false),
        (Answer::Cut("half an ".to_owned()), "finish reason", true),
    ] {
        let served = Model::start(vec![answer]);
        let model = model(&served.base_url());
        let ran = bench.run(&bench.spec("go", &model)).await;
        let (message, found) = ran.failure();
        assert!(message.contains(word), "{message}");
        assert_eq!(found, retryable, "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_keeps_to_its_own_limits() {
    let bench = Bench::new().await;
    let read = || {
        calls(vec![(
            "read_file",
            json!({ "file_path": bench.snapshot.join("a.txt") }),
        )])
    };
    let served = Model::start(vec![
        read(),
        calls(vec![("glob", json!({ "pattern": "*" }))]),
        read(),
    ]);
    let turns = model(&served.base_url());
    let mut spec = bench.spec("go", &turns);
    spec.max_turns = 2;
    let ran = bench.run(&spec).await;
    assert_eq!(ran.exit.code, Some(53), "{ran:#?}");
    assert_eq!(
        ran.failure(),
        (
            "the step needed more model turns than a child may take",
            false
        )
    );

    let served = Model::start(vec![Answer::Hang("half".to_owned())]);
    let time = model(&served.base_url());
    let mut spec = bench.spec("go", &time);
    spec.max_wall_time = Duration::from_secs(2);
    let ran = bench.run(&spec).await;
    assert_eq!(ran.exit.code, Some(55), "{ran:#?}");
    assert!(
        !ran.failure().1 && ran.failure().0.contains("limit of time"),
        "{:?}",
        ran.outcome
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_comes_back_whole() {
    let bench = Bench::new().await;
    // Numbered: qwen takes a long piece that repeats what came before for a server that sends the whole text each time.
    let answer: String = (0..400_000)
        .map(|i| format!("{i}{}", ["é漢", "😀 ", "line\n", "\"\\ "][i % 4]))
        .collect();
    assert!(answer.len() > 2_000_000, "{}", answer.len());
    let answer = answer.trim_end().to_owned() + "end";
    let served = Model::start(vec![Answer::Text(answer.clone())]);
    let model = model(&served.base_url());
    let ran = bench.run(&bench.spec("go", &model)).await;
    let same = ran
        .output()
        .bytes()
        .zip(answer.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    assert!(
        ran.output() == answer,
        "{} bytes of {}, the same up to {same}",
        ran.output().len(),
        answer.len()
    );
}
