//! One snapshot a run, whoever asks, and none when the run is over.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conductor_worker::snapshot::Snapshots;
use tokio::task::JoinSet;

use crate::fixture::{Place, Repo, git_program, photograph};
use crate::ordinary::request;

fn project(place: &Place) -> Repo {
    let repo = Repo::init(&place.path.join("repo"), &[]);
    repo.write("a/b", "x\n");
    repo.commit("first");
    repo
}

fn snapshots(place: &Place) -> Arc<Snapshots> {
    Arc::new(Snapshots::new(&place.path.join("state"), &git_program()).unwrap())
}

fn entries(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.path.join("state")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_at_once_share_one_snapshot() {
    let place = Place::new();
    let repo = project(&place);
    let snapshots = snapshots(&place);
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let (snapshots, request) = (snapshots.clone(), request(&repo.path));
        let run = 1 + caller % 2;
        callers.spawn(async move { (run, snapshots.get(run, &request).await.unwrap()) });
    }
    let got = callers.join_all().await;
    for run in [1, 2] {
        let of_run: Vec<_> = got.iter().filter(|(r, _)| *r == run).collect();
        assert!(of_run.iter().all(|(_, s)| Arc::ptr_eq(s, &of_run[0].1)));
    }
    assert_eq!(entries(&place), ["run-1", "run-2"]);
    repo.write("later", "x\n");
    let again = snapshots.get(1, &request(&repo.path)).await.unwrap();
    assert_eq!(again.files, 1);
}

#[tokio::test]
async fn a_failed_one_is_tried_again_by_the_next_caller() {
    let place = Place::new();
    let snapshots = snapshots(&place);
    let request = request(&place.path.join("repo"));
    for _ in 0..2 {
        let error = snapshots.get(1, &request).await.unwrap_err();
        assert!(error.to_string().contains("does not exist"), "{error}");
    }
    assert_eq!(entries(&place), Vec::<String>::new());
    project(&place);
    assert_eq!(snapshots.get(1, &request).await.unwrap().files, 1);
}

#[tokio::test]
async fn removing_leaves_nothing_and_the_next_one_is_new() {
    let place = Place::new();
    let repo = project(&place);
    let snapshots = snapshots(&place);
    let first = snapshots.get(1, &request(&repo.path)).await.unwrap();
    snapshots.remove(1).await.unwrap();
    snapshots.remove(1).await.unwrap();
    snapshots.remove(99).await.unwrap();
    assert!(!first.path.exists());
    assert_eq!(entries(&place), Vec::<String>::new());
    repo.write("later", "x\n");
    let second = snapshots.get(1, &request(&repo.path)).await.unwrap();
    assert_eq!(second.files, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn removing_ends_a_taking_under_way() {
    let place = Place::new();
    let repo = project(&place);
    for i in 0..3000 {
        repo.write(format!("many/{i}"), "x\n");
    }
    let snapshots = snapshots(&place);
    for _ in 0..5 {
        let taking = {
            let (snapshots, request) = (snapshots.clone(), request(&repo.path));
            tokio::spawn(async move { snapshots.get(1, &request).await })
        };
        while entries(&place).is_empty() && !taking.is_finished() {
            tokio::task::yield_now().await;
        }
        snapshots.remove(1).await.unwrap();
        assert_eq!(entries(&place), Vec::<String>::new());
        if let Err(error) = taking.await.unwrap() {
            assert!(error.to_string().contains("run is over"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_that_goes_away_does_not_end_it_for_others() {
    let place = Place::new();
    let repo = project(&place);
    for i in 0..500 {
        repo.write(format!("many/{i}"), "x\n");
    }
    let snapshots = snapshots(&place);
    let request = request(&repo.path);
    {
        let leaving = snapshots.get(1, &request);
        tokio::pin!(leaving);
        tokio::select! {
            biased;
            _ = &mut leaving => {}
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(snapshots.get(1, &request).await.unwrap().files, 501);
    assert_eq!(entries(&place), ["run-1"]);
}

#[tokio::test]
async fn a_later_process_keeps_what_it_is_told_to_and_sweeps_the_rest() {
    let place = Place::new();
    let repo = project(&place);
    let first = {
        let former = snapshots(&place);
        let first = former.get(1, &request(&repo.path)).await.unwrap();
        former.get(2, &request(&repo.path)).await.unwrap();
        first
    };
    // An attempt that was cut short, a removal that was, and something that is not ours.
    let state = place.path.join("state");
    fs::create_dir_all(state.join("taking-3.00/work/a")).unwrap();
    fs::create_dir_all(state.join("discarded-00/tree")).unwrap();
    fs::create_dir_all(state.join("other")).unwrap();
    read_only(&state.join("taking-3.00/work"));
    repo.write("later", "x\n");

    let snapshots = snapshots(&place);
    assert_eq!(snapshots.sweep(&[1]).await.unwrap(), 3);
    assert_eq!(entries(&place), ["other", "run-1"]);
    let again = snapshots.get(1, &request(&repo.path)).await.unwrap();
    assert_eq!(again.tree_digest, first.tree_digest);
    assert_eq!((again.files, &again.commit), (1, &first.commit));
    assert_eq!(photograph(&again.path).len(), photograph(&first.path).len());
    assert_eq!(snapshots.sweep(&[]).await.unwrap(), 0, "it is in use");

    let mut other = request(&repo.path);
    other.base = Some("HEAD".into());
    let fresh = Snapshots::new(&state, &git_program()).unwrap();
    assert_eq!(fresh.get(1, &other).await.unwrap().files, 2);
}

fn read_only(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_end_of_the_worker_ends_a_taking_under_way() {
    let place = Place::new();
    let repo = project(&place);
    for i in 0..3000 {
        repo.write(format!("many/{i}"), "x\n");
    }
    let snapshots = Snapshots::new(&place.path.join("state"), &git_program()).unwrap();
    let request = request(&repo.path);
    {
        let leaving = snapshots.get(1, &request);
        tokio::pin!(leaving);
        while entries(&place).is_empty() {
            tokio::select! {
                biased;
                _ = &mut leaving => break,
                () = tokio::task::yield_now() => {}
            }
        }
    }
    drop(snapshots);
    let deadline = Instant::now() + Duration::from_secs(60);
    while entries(&place)
        .iter()
        .any(|name| name.starts_with("taking-"))
    {
        assert!(Instant::now() < deadline, "{:?}", entries(&place));
        tokio::task::yield_now().await;
    }
}
