//! A long history, or a long queue, without the time that it takes.

use tokio_postgres::Client;

/// How far the numbers of copies lie apart: further than a run has tasks.
const APART: usize = 1_000_000;

/// Copies the rows of a run until there are so many tasks more, without triggers, as a restore does; then lets the planner
/// know. The copies look to the engine like runs that were launched, and ended, as that one was.
pub async fn fill(sql: &Client, run: i64, tasks: usize) {
    let columns = "select c.relname::text, string_agg(quote_ident(a.attname), ', ' order by a.attnum)
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'conductor'::regnamespace
          and c.relname in ('flow_runs', 'chats', 'tasks', 'flow_steps', 'flow_edges', 'run_counters', 'frames')
        group by c.relname";
    let rows = sql
        .query(columns, &[])
        .await
        .expect("columns can be listed");
    let steps = sql
        .query_one("select count(*) from tasks where run_id = $1", &[&run])
        .await
        .expect("tasks can be counted")
        .get::<_, i64>(0) as usize;
    let copies = tasks.div_ceil(steps);
    let mut script =
        String::from("set session_replication_role = replica; set work_mem = '256MB';");
    for (table, key) in [
        ("flow_runs", "id"),
        ("run_counters", "run_id"),
        ("chats", "run_id"),
        ("tasks", "run_id"),
        ("flow_steps", "run_id"),
        ("flow_edges", "run_id"),
        ("frames", "run_id"),
    ] {
        let row = rows
            .iter()
            .find(|row| row.get::<_, &str>(0) == table)
            .expect("the table is there");
        let names: &str = row.get(1);
        let values = names.split(", ").map(|name| match (table, name) {
            ("flow_runs" | "chats" | "tasks", "id") | (_, "run_id" | "task_id" | "chat_id") => {
                format!("r.{name} + k * {APART}")
            }
            _ => format!("r.{name}"),
        });
        let values: Vec<String> = values.collect();
        script += &format!(
            "insert into {table} ({names}) select {} from generate_series(1::bigint, {copies}) k, (select * from {table} where {key} = {run}) r;",
            values.join(", ")
        );
    }
    script += "set session_replication_role = origin; vacuum (analyze);";
    for statement in script
        .split(';')
        .filter(|statement| !statement.trim().is_empty())
    {
        let done = sql.batch_execute(statement).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}
