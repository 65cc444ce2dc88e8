//! However a child ends, nothing of it stays.

use std::time::Duration;

use crate::common::model::{Answer, Model};
use crate::common::{Bench, model};

/// The processes of a group, by /proc.
fn group(leader: u32) -> Vec<i32> {
    let field = |stat: &str, n: usize| {
        stat.rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(n)?.parse().ok())
    };
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok());
    processes
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            field(&stat, 2) == Some(leader)
        })
        .collect()
}

/// Handles that tell when each process is gone.
fn handles(pids: &[i32]) -> Vec<std::os::fd::OwnedFd> {
    let open = |pid: &i32| {
        rustix::process::pidfd_open(
            rustix::process::Pid::from_raw(*pid).unwrap(),
            rustix::process::PidfdFlags::empty(),
        )
    };
    pids.iter().map(|pid| open(pid).unwrap()).collect()
}

#[track_caller]
fn all_end(handles: &[std::os::fd::OwnedFd]) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    for handle in handles {
        let limit = Timespec {
            tv_sec: 30,
            tv_nsec: 0,
        };
        let ended = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&limit)).unwrap();
        assert_eq!(ended, 1, "a process outlived its worker");
    }
}

async fn until_asked(served: &Model) {
    let asked = async {
        while served.bodies().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::common::LIMIT, asked)
        .await
        .expect("the child asks the model");
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_child_ends_its_whole_group_within_the_grace() {
    let bench = Bench::new().await;
    let served = Model::start(vec![Answer::Hang("some text".to_owned())]);
    let model = model(&served.base_url());
    let job = bench.job("hang", &model);
    let mut child = job.start().unwrap();
    until_asked(&served).await;
    let processes = group(child.pid());
    assert!(processes.len() >= 2, "helper and node: {processes:?}");
    let exit = child.end(Duration::from_secs(20)).await;
    assert_eq!((exit.code, exit.signal), (Some(130), None), "{exit:?}");
    assert_eq!(group(child.pid()), Vec::<i32>::new());
    job.remove().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_dies_with_its_helper() {
    let bench = Bench::new().await;
    let served = Model::start(vec![Answer::Hang("some text".to_owned())]);
    let model = model(&served.base_url());
    let child = bench.job("hang", &model).start().unwrap();
    until_asked(&served).await;
    let processes = handles(&group(child.pid()));
    let helper = rustix::process::Pid::from_raw(child.pid().cast_signed()).unwrap();
    rustix::process::kill_process(helper, rustix::process::Signal::KILL).unwrap();
    all_end(&processes);
}

/// Not a test of its own: the process that `no_child_outlives_a_worker_killed_with_9` kills.
#[tokio::test(flavor = "multi_thread")]
async fn worker_to_be_killed() {
    let Some(base_url) = std::env::var_os("CONDUCTOR_TEST_WORKER") else {
        return;
    };
    let bench = Bench::new().await;
    let model = model(base_url.to_str().unwrap());
    let child = bench.job("hang", &model).start().unwrap();
    println!(
        "\nleader {} folder {}",
        child.pid(),
        bench.dir.path().display()
    );
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_child_outlives_a_worker_killed_with_9() {
    use std::io::BufRead;
    let served = Model::start(vec![Answer::Hang("some text".to_owned())]);
    let mut worker = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ends::worker_to_be_killed", "--nocapture"])
        .env("CONDUCTOR_TEST_WORKER", served.base_url())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(worker.stdout.take().unwrap()).lines();
    let line = lines
        .map_while(Result::ok)
        .find_map(|l| l.strip_prefix("leader ").map(str::to_owned))
        .unwrap();
    let (leader, folder) = line.split_once(" folder ").unwrap();
    until_asked(&served).await;
    let processes = group(leader.parse().unwrap());
    assert!(processes.len() >= 2, "helper and node: {processes:?}");
    let processes = handles(&processes);
    worker.kill().unwrap();
    worker.wait().unwrap();
    all_end(&processes);
    std::fs::remove_dir_all(folder).unwrap();
}
