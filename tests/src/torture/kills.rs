//! Faults that end processes and sessions: workers, their children, backends, the server.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::acts::ACTOR;
use super::cards::{Card, Kind};
use super::faults::{Hit, WATCHER, note};
use super::launches::LAUNCHER;
use super::ledger::Deed;
use super::world::{Trouble, World, in_time, query};
use super::{checks, crew};
use crate::harness::processes;

/// How long a worker stays away at most: more than two leases.
const WORKER_AWAY: Duration = Duration::from_secs(7);
/// How long a worker is frozen at least, and half of the longest time: about one lease and two.
const FROZEN: Duration = Duration::from_millis(3_500);
/// How long the server stays away at most: more than one.
const SERVER_AWAY: Duration = Duration::from_secs(4);
/// After the first signal to stop, the second comes within this.
const IMPATIENT: Duration = Duration::from_secs(3);

/// Ends a worker in one of three ways, and starts it again after a while.
pub async fn worker(world: &World, card: Card) {
    let Some(member) = card.pick(0, world.crew.members()) else {
        return;
    };
    let Some(mut place) = member.place() else {
        return;
    };
    let Some(worker) = place.take() else { return };
    let name = &member.environment.name;
    let hit = Hit {
        worker: Some(name),
        ..Hit::default()
    };
    note(world, card.kind, hit).await;
    world.ledger.fault(card.kind, name);
    match card.kind {
        Kind::WorkerKilled => worker.kill(),
        Kind::WorkerDrained => crew::drain(worker, None, name, &world.ledger).await,
        _ => {
            let impatient = Some(card.time(1, IMPATIENT));
            crew::drain(worker, impatient, name, &world.ledger).await;
        }
    }
    // Mostly back before its lease has run out, sometimes long after.
    sleep(card.time(2, WORKER_AWAY).mul_f64(card.dice[2])).await;
    world.crew.restart(member, &mut place);
    world.ledger.journal(&format!("{name} is back"));
}

/// Stops a worker for a while; mostly so long that its tasks are another's when it goes on.
pub async fn freeze(world: &World, card: Card) {
    let Some(member) = card.pick(0, world.crew.members()) else {
        return;
    };
    let Some(place) = member.place() else { return };
    let Some(worker) = place.as_ref() else { return };
    let name = &member.environment.name;
    let hit = Hit {
        worker: Some(name),
        ..Hit::default()
    };
    note(world, card.kind, hit).await;
    // Its place is held, so nobody ends it meanwhile and its number stays its own.
    if processes::signal(worker.pid(), libc::SIGSTOP) {
        let frozen = FROZEN + card.time(1, FROZEN);
        let on = format!("{name} for {:.1} s", frozen.as_secs_f64());
        world.ledger.fault(card.kind, &on);
        sleep(frozen).await;
        processes::signal(worker.pid(), libc::SIGCONT);
    }
}

/// Ends one process that a worker has started.
pub async fn child(world: &World, card: Card) {
    let Some(member) = card.pick(0, world.crew.members()) else {
        return;
    };
    let Some(place) = member.place() else { return };
    let Some(worker) = place.as_ref() else { return };
    let children = member.children(worker);
    let Some(child) = card.pick(1, &children) else {
        return;
    };
    let lease = lease_of(&child.command);
    if lease.is_some() {
        let hit = Hit {
            lease: lease.clone(),
            ..Hit::default()
        };
        note(world, card.kind, hit).await;
    }
    if let Some(lease) = &lease {
        world.ledger.doing(Deed::ChildKilled(lease.clone()));
    }
    let signals = [libc::SIGKILL, libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV];
    let signal = card.pick(2, &signals).copied().unwrap_or(libc::SIGKILL);
    // Still the same process.
    if processes::read(child.pid).as_ref() == Some(child) && processes::signal(child.pid, signal) {
        let (pid, name) = (child.pid, &member.environment.name);
        let of = lease.unwrap_or_else(|| "no task".into());
        let on = format!("{pid} of {name} with signal {signal}, {of}");
        world.ledger.fault(card.kind, &on);
    }
}

/// The lease in whose folder a child works, as it stands in its command line.
fn lease_of(command: &str) -> Option<String> {
    let (_, rest) = command.split_once("/jobs/")?;
    let lease: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    (lease.len() == 32).then_some(lease)
}

/// Ends a session of a worker, a launcher or an actor: by the server itself, or by killing its process.
pub async fn session(world: &World, card: Card) {
    let mut names = world.crew.names();
    names.extend([LAUNCHER.to_owned(), ACTOR.to_owned()]);
    let found = async {
        let sql = world.session(WATCHER).await?;
        let sessions = query(&sql, "select pid, application_name from pg_stat_activity
             where datname = current_database() and application_name = any ($1) order by backend_start, pid",
            &[&names],).await?;
        let sessions: Vec<(i32, String)> = sessions
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        Ok::<_, Trouble>((sql, sessions))
    };
    let Ok((sql, sessions)) = found.await else {
        return;
    };
    let Some((pid, name)) = card.pick(0, &sessions) else {
        return;
    };
    if card.kind == Kind::BackendKilled {
        note(world, card.kind, Hit::default()).await;
        // A process of our server, or there is none of this number any more.
        let ours = |process: processes::Process| process.command.starts_with("postgres: ");
        if processes::read(*pid).is_some_and(ours) && processes::signal(*pid, libc::SIGKILL) {
            world.ledger.fault(card.kind, &format!("{pid} of {name}"));
        }
        return;
    }
    let is_worker = world.crew.names().contains(name);
    if is_worker {
        let hit = Hit {
            worker: Some(name),
            ..Hit::default()
        };
        note(world, card.kind, hit).await;
    }
    let ending = in_time(sql.query_one("select pg_terminate_backend($1)", &[pid])).await;
    if ending.is_ok_and(|row| row.get(0)) {
        world.ledger.fault(card.kind, &format!("{pid} of {name}"));
    }
}

/// Stops the server in one of three ways, and starts it again after a while.
pub async fn server(world: &Arc<World>, card: Card) {
    let Ok(_alone) = world.server.try_lock() else {
        return;
    };
    note(world, card.kind, Hit::default()).await;
    let away = card.time(0, SERVER_AWAY);
    let on = format!("away for {:.1} s", away.as_secs_f64());
    world.ledger.fault(card.kind, &on);
    let restarting = world.clone();
    let restarted = spawn_blocking(move || {
        let cluster = restarting.cluster;
        match card.kind {
            Kind::ServerFast => cluster.stop(),
            Kind::ServerImmediate => cluster.crash(libc::SIGQUIT),
            _ => cluster.crash(libc::SIGKILL),
        }
        std::thread::sleep(away);
        if !restarting.is_closed() {
            cluster.start();
        }
    });
    if let Err(error) = restarted.await {
        world
            .ledger
            .violated(format!("the server does not start again: {error}"));
    }
    world.ledger.journal("the server is back");
    checks::invariants(world).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_known_by_the_folder_that_it_works_in() {
        let lease = "0123456789abcdef0123456789abcdef";
        let command = format!("node /x/state/jobs/{lease}/home --plan");
        assert_eq!(lease_of(&command).as_deref(), Some(lease));
        assert_eq!(lease_of("git log"), None);
        assert_eq!(lease_of("node /x/state/jobs/check/home"), None);
    }
}
