//! Sessions that have nothing to do with Conductor: each updates its own row of its own table and commits, over and over.

use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

/// What they did in one window.
pub struct Committed {
    pub per_second: f64,
    /// How long each commit took, in milliseconds.
    pub times: Vec<f64>,
}

/// Makes their tables.
pub async fn prepare(sql: &tokio_postgres::Client, sessions: usize) {
    for number in 0..sessions {
        let table = format!(
            "create table public.neighbour_{number} (id integer primary key, n bigint not null) with (fillfactor = 50);
             insert into public.neighbour_{number} values (1, 0)"
        );
        sql.batch_execute(&table)
            .await
            .expect("a table can be made");
    }
}

/// Lets so many of them commit for a while, on a thread of their own: as fast as they can, or one commit each in every
/// `period`.
pub async fn commit(
    url: &str,
    sessions: usize,
    time: Duration,
    period: Option<Duration>,
) -> Committed {
    let url = url.to_owned();
    let working = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be built");
        runtime.block_on(async {
            let all = (0..sessions).map(|number| session(&url, number, time, period));
            futures_util::future::join_all(all).await
        })
    });
    let times: Vec<f64> = working.await.expect("no panic").concat();
    Committed {
        per_second: times.len() as f64 / time.as_secs_f64(),
        times,
    }
}

async fn session(url: &str, number: usize, time: Duration, period: Option<Duration>) -> Vec<f64> {
    let (session, line) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("the server answers");
    tokio::spawn(line);
    let update = format!("update public.neighbour_{number} set n = n + 1 where id = 1");
    let update = session.prepare(&update).await.expect("it can be prepared");
    // Not all at the same moment.
    let stagger = period.unwrap_or_default().mul_f64(fastrand::f64());
    tokio::time::sleep(stagger).await;
    let start = Instant::now();
    let mut due = start;
    let mut times = Vec::new();
    while start.elapsed() < time {
        let begun = Instant::now();
        session
            .execute(&update, &[])
            .await
            .expect("a row can be updated");
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        if let Some(period) = period {
            due += period;
            tokio::time::sleep_until(due.into()).await;
        }
    }
    times
}
