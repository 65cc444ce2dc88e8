//! Two sessions in each other's way: the first holds its transaction open until the second waits for it, or has passed
//! it by.

use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::Conductor;

/// How the second session gets on while the first holds its transaction open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// It waits for the first, and goes on when that has ended.
    Waits,
    /// It ends before the first does; a short wait of its own may be part of that.
    PassesBy,
}

/// Two sessions at one isolation level.
#[derive(Clone, Copy)]
pub struct Meeting<'a> {
    pub c: &'a Conductor,
    pub level: &'a str,
    /// How the first session ends its transaction: `commit` or `rollback`.
    pub ending: &'a str,
}

const SOON: Duration = Duration::from_secs(20);

impl<'a> Meeting<'a> {
    pub fn new(c: &'a Conductor) -> Self {
        let (level, ending) = ("read committed", "commit");
        Self { c, level, ending }
    }

    /// The same at another isolation level.
    pub fn at(self, level: &'a str) -> Self {
        Self { level, ..self }
    }

    /// The same with a first session that takes back what it did.
    pub fn rolled_back(self) -> Self {
        let ending = "rollback";
        Self { ending, ..self }
    }

    /// Runs `first`, then `second` while the first is not committed; what each of them returned: the first column of
    /// its rows, or the SQLSTATE that it was refused with. Above READ COMMITTED a second that meets 40001 is run again,
    /// as clients do. Panics when the second does not get on as said, and on any deadlock.
    pub async fn meet(&self, first: &str, on: Second, second: &str) -> [String; 2] {
        self.meet_and_look(first, on, second, async || ()).await
    }

    /// The same, with a look at what is locked while the second waits, or before the first ends.
    pub async fn meet_and_look(
        &self,
        first: &str,
        on: Second,
        second: &str,
        look: impl AsyncFnOnce(),
    ) -> [String; 2] {
        let what = format!("{}: {first} | {second}", self.level);
        let (early, late) = (self.c.connect().await, self.c.connect().await);
        let (early_pid, late_pid) = (pid(&early).await, pid(&late).await);
        early.batch_execute(&self.begin(first)).await.unwrap();
        let led = answer(&early, first).await;
        let led = led.unwrap_or_else(|error| panic!("{what}: the first: {error:?}"));

        let (begin, call) = (self.begin(second), second.to_owned());
        let running = tokio::spawn(async move {
            let followed = in_transaction(&late, &begin, &call).await;
            (late, followed)
        });
        let end = Instant::now() + SOON;
        let waits = "select $2 = any (pg_blocking_pids($1))";
        loop {
            let over = running.is_finished();
            let row = self.c.sql.query_one(waits, &[&late_pid, &early_pid]).await;
            let waiting: bool = row.unwrap().get(0);
            match on {
                Second::Waits => assert!(!over, "{what}: the second does not wait"),
                Second::PassesBy if over => break,
                Second::PassesBy => {}
            }
            if waiting && on == Second::Waits {
                break;
            }
            assert!(Instant::now() < end, "{what}: the second: not {on:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        look().await;
        let ended = early.batch_execute(self.ending).await;
        ended.unwrap_or_else(|error| panic!("{what}: the first: {error:?}"));

        let (late, mut followed) = running.await.unwrap();
        if self.level != "read committed"
            && let Err(error) = &followed
            && error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE)
        {
            followed = in_transaction(&late, &self.begin(second), second).await;
        }
        let followed = followed.unwrap_or_else(|error| match error.code() {
            Some(code) if code != &SqlState::T_R_DEADLOCK_DETECTED => code.code().to_owned(),
            _ => panic!("{what}: the second: {error:?}"),
        });
        [led, followed]
    }

    /// What begins the transaction of a call. A prune is refused above READ COMMITTED.
    fn begin(&self, call: &str) -> String {
        let level = match call.contains("flow_prune(") {
            true => "read committed",
            false => self.level,
        };
        format!("begin isolation level {level}")
    }
}

impl Conductor {
    /// How many sessions of this test's database wait for a lock in a statement that holds this text.
    pub async fn sessions_waiting(&self, statement: &str) -> i64 {
        let query = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%' || $1 || '%'";
        let row = self.sql.query_one(query, &[&statement]).await;
        row.expect("the sessions can be read").get(0)
    }

    /// Waits until so many sessions wait for a lock in such a statement.
    pub async fn until_waiting(&self, statement: &str, count: i64, limit: Duration) {
        let what = format!("{count} sessions wait in {statement}");
        self.until(&what, limit, async |c: &Self| {
            (c.sessions_waiting(statement).await == count).then_some(())
        })
        .await;
    }
}

async fn pid(client: &Client) -> i32 {
    let row = client.query_one("select pg_backend_pid()", &[]).await;
    row.unwrap().get(0)
}

/// What a call returns in a transaction of its own, which is over when this returns: the server tells of an error before
/// it lets go of locks.
async fn in_transaction(client: &Client, begin: &str, call: &str) -> Result<String, Error> {
    client.batch_execute(begin).await?;
    match answer(client, call).await {
        Ok(answer) => client.batch_execute("commit").await.map(|()| answer),
        Err(error) => {
            client.batch_execute("rollback").await?;
            Err(error)
        }
    }
}

/// The first column of what a call returns, row by row.
async fn answer(client: &Client, call: &str) -> Result<String, Error> {
    let messages = client.simple_query(call).await?;
    let cells = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) if row.is_empty() => None,
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("null").to_owned()),
        _ => None,
    });
    Ok(cells.collect::<Vec<_>>().join(","))
}
