//! A clock that stands still in place of the engine's, so that no test waits for time to pass.

use super::Conductor;

/// Everything that the engine knows of time is what this function says.
const STOP: &str = "
    create table public.test_clock (at timestamptz not null);
    insert into public.test_clock select pg_postmaster_start_time() + interval '1 day';
    create or replace function conductor._now() returns timestamptz
        language sql volatile return (select c.at from public.test_clock c);";

impl Conductor {
    /// Stops the engine's clock of this test's database, a day after the server has started.
    pub async fn stop_clock(&self) {
        let stopped = self.sql.batch_execute(STOP).await;
        stopped.expect("a superuser may replace a function of the extension");
    }

    /// Sets the stopped clock to what an expression in SQL says, as in `at + interval '60 seconds'`.
    pub async fn set_clock(&self, time: &str) {
        let set = format!("update public.test_clock set at = {time}");
        self.sql
            .batch_execute(&set)
            .await
            .expect("the clock was stopped before");
    }

    /// Lets this much time pass on the stopped clock, as in `60 seconds`.
    pub async fn pass(&self, time: &str) {
        self.set_clock(&format!("at + interval '{time}'")).await;
    }
}
