//! The rules of advancement, one by one.

mod common;

use StepState::{Cancelled, Completed, Failed, Pending, Running, Skipped};
use common::{agent, code, expanded, general, launch, read};
use conductor_flows::advance::{Readiness, Run, RunState, StepState, is_fatal, readiness};
use conductor_flows::{Band, Expansion, Join};

fn flow(steps: &str) -> Expansion {
    expanded(&read(&general(steps)).unwrap(), &launch(Band::Small))
}

/// Three angles, a synthesizer, a validator.
fn spine() -> Expansion {
    let mut text = "name = \"x\"\ncategory = \"review\"\ndescription = \"A flow.\"\n".to_owned();
    for id in ["a", "b", "c"] {
        text += &format!("[[angles]]\nid = \"{id}\"\npersona = \"reader\"\nbrief = \"Read.\"\n");
    }
    text += "[synthesizer]\npersona = \"writer\"\nbrief = \"Write.\"\n";
    expanded(&read(&text).unwrap(), &launch(Band::Small))
}

fn run(expansion: &Expansion) -> Run<'_> {
    Run::launch(&expansion.plan, |_| "{}".to_owned())
}

#[test]
fn a_step_that_needs_nothing_starts_at_once() {
    assert_eq!(readiness(Join::All, &[]), Readiness::Starts);
    assert_eq!(readiness(Join::Any, &[]), Readiness::Starts);
}

#[test]
fn all_waits_for_completed_or_skipped() {
    assert_eq!(
        readiness(Join::All, &[Completed, Skipped]),
        Readiness::Starts
    );
    for other in [Pending, Running, Failed, Cancelled] {
        assert_eq!(readiness(Join::All, &[Completed, other]), Readiness::Waits);
    }
}

#[test]
fn any_waits_until_all_have_settled() {
    assert_eq!(
        readiness(Join::Any, &[Completed, Running]),
        Readiness::Waits
    );
    assert_eq!(
        readiness(Join::Any, &[Completed, Failed, Cancelled, Skipped]),
        Readiness::Starts
    );
}

#[test]
fn any_without_a_completed_need_fails_or_is_cancelled() {
    assert_eq!(readiness(Join::Any, &[Failed, Cancelled]), Readiness::Fails);
    assert_eq!(readiness(Join::Any, &[Skipped]), Readiness::Fails);
    assert_eq!(
        readiness(Join::Any, &[Skipped, Cancelled]),
        Readiness::Cancels
    );
}

#[test]
fn a_spine_runs_from_wave_to_wave() {
    let plan = spine();
    let mut run = run(&plan);
    assert_eq!(run.running(), ["a", "b", "c"]);
    for id in ["c", "a"] {
        run.settle(id, Completed, "");
        assert_eq!(run.step("fold"), Some(Pending));
    }
    run.settle("b", Completed, "");
    assert_eq!(run.step("fold"), Some(Completed));
    assert_eq!(run.running(), ["synthesis"]);
    run.settle("synthesis", Completed, "");
    assert_eq!(run.running(), ["validation"]);
    run.settle("validation", Completed, "");
    assert_eq!(
        (run.step("report"), run.state()),
        (Some(Completed), RunState::Completed)
    );
}

#[test]
fn a_failed_angle_does_not_fail_the_run() {
    let plan = spine();
    let mut run = run(&plan);
    run.settle("a", Failed, "");
    run.settle("b", Cancelled, "");
    run.settle("c", Completed, "");
    assert_eq!(
        (run.running(), run.state()),
        (vec!["synthesis"], RunState::Running)
    );
}

#[test]
fn a_spine_of_which_every_angle_failed_fails() {
    let plan = spine();
    let mut run = run(&plan);
    for id in ["a", "b", "c"] {
        run.settle(id, Failed, "");
    }
    assert_eq!(
        (run.step("fold"), run.state()),
        (Some(Failed), RunState::Failed)
    );
    assert_eq!(run.step("synthesis"), Some(Cancelled));
}

#[test]
fn a_spine_of_which_every_angle_was_cancelled_is_cancelled() {
    let plan = spine();
    let mut run = run(&plan);
    for id in ["a", "b", "c"] {
        run.settle(id, Cancelled, "");
    }
    assert_eq!(
        (run.step("fold"), run.state()),
        (Some(Cancelled), RunState::Cancelled)
    );
}

#[test]
fn a_failed_synthesizer_or_validator_fails_the_run() {
    let plan = spine();
    for fatal in ["synthesis", "validation", "report", "fold"] {
        assert!(is_fatal(&plan.plan, fatal), "{fatal}");
    }
    assert!(!is_fatal(&plan.plan, "a"));
}

#[test]
fn a_needed_step_that_fails_cancels_its_siblings() {
    let plan = flow(&(agent("a", "") + &agent("b", "") + &agent("c", "needs = [\"a\"]")));
    let mut run = run(&plan);
    run.settle("a", Failed, "");
    let states = ["a", "b", "c", "report"].map(|id| run.step(id).unwrap());
    assert_eq!(
        (states, run.state()),
        ([Failed, Cancelled, Cancelled, Cancelled], RunState::Failed)
    );
}

#[test]
fn a_needed_step_that_is_cancelled_cancels_the_run() {
    let plan = flow(&(agent("a", "") + &agent("b", "") + &agent("c", "needs = [\"a\"]")));
    let mut run = run(&plan);
    run.settle("a", Cancelled, "");
    assert_eq!(
        (run.step("b"), run.state()),
        (Some(Cancelled), RunState::Cancelled)
    );
}

#[test]
fn a_failed_leaf_that_only_an_any_step_needs_does_not_fail_the_run() {
    let plan = flow(&(agent("a", "") + &agent("b", "")));
    let mut run = run(&plan);
    run.settle("a", Failed, "");
    assert_eq!(run.state(), RunState::Running);
    run.settle("b", Completed, "");
    assert_eq!(run.state(), RunState::Completed);
}

#[test]
fn a_step_is_skipped_when_its_condition_does_not_hold() {
    let steps = agent("a", "")
        + &agent("b", "needs = [\"a\"]\nwhen = \"a.found\"")
        + &agent("c", "needs = [\"b\"]");
    let plan = flow(&steps);
    let mut no = run(&plan);
    no.settle("a", Completed, "{\"found\": []}");
    assert_eq!((no.step("b"), no.running()), (Some(Skipped), vec!["c"]));
    let mut yes = run(&plan);
    yes.settle("a", Completed, "{\"found\": [1]}");
    assert_eq!(yes.running(), ["b"]);
}

#[test]
fn a_skipped_end_does_not_leave_the_report_without_anything() {
    let plan = flow(&(agent("a", "") + &agent("b", "needs = [\"a\"]\nwhen = \"a.found\"")));
    assert_eq!(plan.plan.step("report").unwrap().needs, ["b", "a"]);
    let mut run = run(&plan);
    run.settle("a", Completed, "nothing found");
    assert_eq!(
        (run.step("b"), run.state()),
        (Some(Skipped), RunState::Completed)
    );
}

fn fan() -> Expansion {
    let steps = agent("a", "")
        + &agent("each", "needs = [\"a\"]\nforeach = \"a.list\"")
        + &agent("all", "needs = [\"each\"]")
        + &code("join", "fold", "needs = [\"each\"]\njoin = \"any\"");
    flow(&steps)
}

#[test]
fn a_fan_out_runs_once_per_element_and_what_needs_it_waits_for_all() {
    let plan = fan();
    let mut run = run(&plan);
    run.settle("a", Completed, "{\"list\": [\"x\", \"y\"]}");
    assert_eq!(run.running(), ["each/1", "each/2"]);
    run.settle("each/2", Completed, "");
    assert_eq!(
        (run.step("all"), run.step("join")),
        (Some(Pending), Some(Pending))
    );
    run.settle("each/1", Completed, "");
    assert_eq!(
        (run.step("all"), run.step("join")),
        (Some(Running), Some(Completed))
    );
}

#[test]
fn a_failed_child_fails_the_run_only_for_those_who_need_all() {
    let plan = fan();
    assert!(is_fatal(&plan.plan, "each/1"));
    let steps = agent("a", "") + &agent("each", "needs = [\"a\"]\nforeach = \"a.list\"");
    let plan = flow(&steps);
    assert!(!is_fatal(&plan.plan, "each/1"));
    let mut run = run(&plan);
    run.settle("a", Completed, "{\"list\": [1]}");
    run.settle("each/1", Failed, "");
    assert_eq!(run.state(), RunState::Completed);
}

#[test]
fn an_empty_list_has_no_children_and_an_unreadable_one_fails() {
    let plan = fan();
    let mut empty = run(&plan);
    empty.settle("a", Completed, "{\"list\": []}");
    assert_eq!(
        (empty.step("each"), empty.running()),
        (Some(Completed), vec!["all"])
    );
    let mut garbled = run(&plan);
    garbled.settle("a", Completed, "a list of things");
    assert_eq!(
        (garbled.step("each"), garbled.state()),
        (Some(Failed), RunState::Failed)
    );
}

/// A validator beside an agent; the report joins any of both.
fn judged() -> Expansion {
    let judge =
        "[[steps]]\nid = \"judge\"\npersona = \"adversarial-validator\"\nbrief = \"Read.\"\n";
    flow(&(agent("a", "") + judge))
}

#[test]
fn a_failed_validator_fails_the_run_whatever_joins_it() {
    let plan = judged();
    for (state, end) in [(Failed, RunState::Failed), (Cancelled, RunState::Cancelled)] {
        let mut run = run(&plan);
        run.settle("judge", state, "");
        assert_eq!((run.step("a"), run.state()), (Some(Cancelled), end));
    }
}

#[test]
fn what_is_due_with_a_step_that_fails_the_run_still_moves() {
    let steps = agent("a", "")
        + &agent("each", "needs = [\"a\"]\nforeach = \"a.list\"")
        + &code("join", "fold", "needs = [\"a\"]")
        + &agent("all", "needs = [\"each\", \"join\"]");
    let plan = flow(&steps);
    let mut run = run(&plan);
    run.settle("a", Completed, "a list of things");
    let states = ["each", "join", "all"].map(|id| run.step(id).unwrap());
    assert_eq!(
        (states, run.state()),
        ([Failed, Completed, Cancelled], RunState::Failed)
    );
}

#[test]
fn a_fan_out_reads_nothing_that_a_failed_step_has_left() {
    let steps = agent("a", "")
        + &agent("b", "")
        + &agent(
            "each",
            "needs = [\"a\", \"b\"]\njoin = \"any\"\nforeach = \"a.list\"",
        );
    let plan = flow(&steps);
    let mut run = run(&plan);
    run.settle("b", Completed, "");
    run.settle("a", Failed, "{\"list\": [1]}");
    assert_eq!(run.step("each"), Some(Failed));
}

#[test]
fn what_settles_in_one_act_keeps_its_outcome() {
    let plan = judged();
    let mut run = run(&plan);
    run.settle_all(&[("judge", Failed, ""), ("a", Completed, "")]);
    assert_eq!(
        (run.step("a"), run.state()),
        (Some(Completed), RunState::Failed)
    );
    run.settle_all(&[("a", Failed, "")]);
    assert_eq!(run.step("a"), Some(Completed));
}

#[test]
fn a_run_whose_report_was_skipped_fails() {
    let plan =
        flow(&(agent("a", "") + &code("end", "render", "needs = [\"a\"]\nwhen = \"a.flag\"")));
    let mut run = run(&plan);
    run.settle("a", Completed, "{\"flag\": false}");
    assert_eq!(
        (run.step("end"), run.state()),
        (Some(Skipped), RunState::Failed)
    );
}

#[test]
fn cancelling_is_final_and_idempotent() {
    let plan = spine();
    let mut run = run(&plan);
    run.settle("a", Completed, "");
    run.cancel();
    run.cancel();
    run.settle("b", Completed, "");
    assert_eq!(
        (run.step("a"), run.step("b")),
        (Some(Completed), Some(Cancelled))
    );
    assert_eq!(run.state(), RunState::Cancelled);
}

#[test]
fn a_run_that_has_ended_stays_as_it_ended() {
    let plan = flow(&agent("a", ""));
    let mut run = run(&plan);
    run.settle("a", Completed, "");
    run.settle("a", Failed, "");
    run.cancel();
    assert_eq!(
        (run.step("a"), run.state()),
        (Some(Completed), RunState::Completed)
    );
}
