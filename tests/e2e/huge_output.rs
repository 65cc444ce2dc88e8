//! Text as it came: tens of megabytes, any Unicode, broken on purpose.

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Launch, Setup, processes};
use conductor_tests::scripted::huge::Huge;
use conductor_tests::scripted::{Part, Reply, Rule, Script};

const MEGABYTE: usize = 1_000_000;

fn huge(bytes: usize) -> Huge {
    Huge {
        bytes,
        ..Huge::default()
    }
}

fn script(bytes: usize) -> Script {
    let reply = Reply::parts([Part::Huge(huge(bytes))]);
    Script::of([Rule::persona("research-analyst", [reply])])
}

#[test]
fn a_huge_broken_output_keeps_every_valid_character_in_order() {
    Setup::new().run(async |c| {
        let warm = c.launch(Launch::new("research", "Is it so?")).await;
        c.completed(warm, LONG).await;
        let mut peaks = Vec::new();
        for bytes in [5 * MEGABYTE, 20 * MEGABYTE] {
            c.model.control().set_script(script(bytes));
            let pid = c.worker().pid();
            processes::reset_peak_memory(pid);
            let idle = processes::peak_memory(pid).unwrap();
            let run = c
                .launch(Launch::new("research", "Say as much as you can."))
                .await;
            c.completed(run, LONG).await;
            peaks.push((idle, processes::peak_memory(pid).unwrap()));

            let expected = huge(bytes).expected();
            let output = c.output(run, "sources").await;
            // What was broken may leave its mark, and nothing else.
            let kept: String = output.chars().filter(|c| *c != '\u{fffd}').collect();
            let differs = kept
                .trim()
                .char_indices()
                .zip(expected.trim().chars())
                .find(|((_, a), b)| a != b);
            assert!(differs.is_none(), "first difference: {differs:?}");
            assert_eq!(kept.trim().len(), expected.trim().len());
            assert!(!output.contains('\0'));

            let report = c.report(run).await;
            let lines: Vec<&str> = expected.lines().collect();
            for line in [lines[0], lines[lines.len() / 2], lines[lines.len() - 1]] {
                let number = line.split(' ').next().unwrap();
                assert!(
                    report.contains(number),
                    "line {number} is not in the report"
                );
            }
            assert!(report.len() >= expected.len(), "the report is cut");
            let records = c.model.control().records();
            let last = records.last().unwrap().conversation().prompt;
            assert!(
                last.contains("bytes are left out here"),
                "a cut is not said"
            );
        }
        println!("memory of the worker in bytes, idle and at its peak, at 5 and at 20 MB: {peaks:?}");
        let [(idle, small), (idle_again, large)] = peaks[..] else {
            panic!("two sizes were measured")
        };
        let kept = idle_again.saturating_sub(idle) / MEGABYTE as u64;
        assert!(kept < 10, "the worker keeps {kept} MB of an output of 5 MB");
        assert!(
            large < 120 * MEGABYTE as u64,
            "the worker took {} MB",
            large / MEGABYTE as u64
        );
        let ratio = |more: u64, output: usize| more as f64 / (output * MEGABYTE) as f64;
        let above_idle = ratio(large.saturating_sub(idle_again), 20);
        let growth = ratio(large.saturating_sub(small), 15);
        assert!(
            above_idle < 5.0 && growth < 5.0,
            "memory grew by {above_idle:.1} times the output, and by {growth:.1} times what the output grew by: \
             {peaks:?}"
        );
    });
}

#[test]
fn an_output_above_the_limit_fails_the_step_and_says_so() {
    Setup::new()
        .settings("max_output_bytes = 1000000")
        .script(script(3 * MEGABYTE))
        .run(async |c| {
            let run = c.launch(Launch::new("research", "Say too much.")).await;
            let (status, _) = c.ended(run, LONG).await;
            assert_eq!(status, "failed");
            let error = c.step(run, "sources").await.error.unwrap_or_default();
            assert!(error.contains("1000000"), "{error}");
            assert!(c.report(run).await.contains("failed"));
        });
}
