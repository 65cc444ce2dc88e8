//! What a run writes, learnt from one run of the engine: the plan that a driver without an engine would know.

use std::collections::HashMap;

use serde_json::Value;

use super::crowd;
use super::engine::Engine;
use super::stage::Stage;
use super::workload::Workload;

/// A step as far as a driver must know it.
#[derive(Debug, Clone)]
pub struct Step {
    pub agent: bool,
    /// Needs that are not settled when the run, or the fan-out that adds the step, begins.
    pub needs: i32,
    /// The fan-out that adds it.
    pub parent: Option<String>,
}

/// Everything that runs of a workload have in common.
pub struct Trace {
    pub workload: Workload,
    /// In the order of the plan.
    pub order: Vec<String>,
    pub steps: HashMap<String, Step>,
    /// Who waits for whom, without the edges that a fan-out adds.
    pub successors: HashMap<String, Vec<String>>,
    /// Agent steps of a run, those that are added on the way among them.
    pub tasks: usize,
    /// The rows as they were when the run had ended.
    pub run: Value,
    pub rows: Value,
    pub edges: Value,
    pub prompts: Value,
    pub started: Value,
}

/// Plays one run with the engine and reads what it left.
pub async fn record(stage: &Stage, workload: &Workload) -> Trace {
    stage.define(workload).await;
    let player = Engine::new(stage).await;
    let run = player.launch(workload).await;
    let mut tasks = 0;
    while let Some(claimed) = player.claim().await {
        crowd::Player::complete(&player, workload, claimed, tasks as u64).await;
        tasks += 1;
    }
    let one = async |query: &str| -> Value {
        let row = stage.admin.query_one(query, &[&run]).await;
        row.unwrap_or_else(|error| panic!("{query}: {error:?}"))
            .get(0)
    };
    let record = one("select to_jsonb(r) from flow_runs r where r.id = $1").await;
    assert_eq!(
        record["status"], "completed",
        "{}: {}",
        workload.name, record["error"]
    );
    let rows = one(
        "select jsonb_agg(to_jsonb(s) order by s.position, length(s.step_id), s.step_id)
        from flow_steps s where s.run_id = $1",
    )
    .await;
    let edges =
        one("select coalesce(jsonb_agg(to_jsonb(e)), '[]') from flow_edges e where e.run_id = $1")
            .await;
    let prompts = one(
        "select jsonb_agg(jsonb_build_object('step_id', s.step_id, 'input', t.input))
        from flow_steps s join tasks t on t.id = s.task_id where s.run_id = $1",
    )
    .await;
    let started =
        one("select f.payload from frames f where f.run_id = $1 and f.type = 'flow_run_started'")
            .await;

    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut steps = HashMap::new();
    let mut order = Vec::new();
    for row in rows.as_array().expect("an array") {
        let id = text(&row["step_id"]).expect("a step has a name");
        let (agent, parent) = (row["kind"] == "agent", text(&row["parent_step_id"]));
        steps.insert(
            id.clone(),
            Step {
                agent,
                needs: 0,
                parent,
            },
        );
        order.push(id);
    }
    let mut successors: HashMap<String, Vec<String>> = HashMap::new();
    for edge in edges.as_array().expect("an array") {
        let (need, step) = (
            text(&edge["need"]).expect("a name"),
            text(&edge["step_id"]).expect("a name"),
        );
        if steps[&need].parent.is_none() {
            steps.get_mut(&step).expect("an edge leads to a step").needs += 1;
            successors.entry(need).or_default().push(step);
        }
    }
    let workload = workload.clone();
    Trace {
        workload,
        order,
        steps,
        successors,
        tasks,
        run: record,
        rows,
        edges,
        prompts,
        started,
    }
}
