//! Servers that follow another one by streaming replication, and take its place.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::cluster::Cluster;

/// Every follower that was made, to be stopped when the program ends.
static FOLLOWERS: Mutex<Vec<&'static Cluster>> = Mutex::new(Vec::new());

pub(super) fn stop_all() {
    let followers = FOLLOWERS
        .lock()
        .unwrap_or_else(|broken| broken.into_inner());
    followers.iter().for_each(|cluster| cluster.stop());
}

impl Cluster {
    /// A standby of this server, which follows it and answers reads.
    pub fn create_standby(&self) -> &'static Cluster {
        let mut followers = FOLLOWERS
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let shared = Cluster::shared().folder();
        let folder = shared.join(format!("standby-{}", followers.len()));
        std::fs::create_dir(&folder).expect("a folder can be made");
        let standby = Cluster::in_folder(folder, self.programs.clone()).expect("a port is free");
        let standby: &'static Cluster = Box::leak(Box::new(standby));
        followers.push(standby);
        drop(followers);
        let copied = standby
            .program("pg_basebackup")
            .args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf"])
            .arg("--dbname")
            .arg(self.url("postgres"))
            .arg("--pgdata")
            .arg(standby.folder.join("data"))
            .output()
            .expect("pg_basebackup can be started");
        let said = String::from_utf8_lossy(&copied.stderr);
        assert!(copied.status.success(), "{said}");
        standby.start();
        standby
    }

    /// A server of the test's own with everything that this one has: a standby, promoted at once.
    pub fn create_copy(&self) -> &'static Cluster {
        let copy = self.create_standby();
        copy.promote();
        copy
    }

    /// Makes a standby take writes, and waits until it does.
    pub fn promote(&self) {
        let data = self.folder.join("data");
        let mut command = self.program("pg_ctl");
        let command = command.args(["promote", "--silent", "--wait", "--pgdata"]);
        let promoted = command.arg(data).output().expect("pg_ctl can be started");
        let said = String::from_utf8_lossy(&promoted.stderr);
        assert!(promoted.status.success(), "{said}");
    }

    /// Waits until this standby has replayed all that its primary has written.
    pub async fn catch_up_with(&self, primary: &Cluster) {
        let written = primary.asked("select pg_current_wal_lsn()::text").await;
        let replayed = format!("select (pg_last_wal_replay_lsn() >= '{written}')::text");
        self.until_asked(&replayed, "true").await;
    }

    /// Cuts this standby off from its primary: what is committed there from now on never comes here.
    pub async fn stop_following(&self) {
        let admin = self.connect("postgres").await.expect("the server answers");
        for statement in [
            "alter system set primary_conninfo = ''",
            "select pg_reload_conf()",
        ] {
            admin
                .batch_execute(statement)
                .await
                .expect("a superuser may");
        }
        let receiving = "select count(*)::text from pg_stat_wal_receiver";
        self.until_asked(receiving, "0").await;
    }

    /// Lets transactions of new and old sessions only read, or write again.
    pub async fn only_read(&self, only: bool) {
        let admin = self.connect("postgres").await.expect("the server answers");
        let set = format!("alter system set default_transaction_read_only = {only}");
        for statement in [set.as_str(), "select pg_reload_conf()"] {
            admin
                .batch_execute(statement)
                .await
                .expect("a superuser may");
        }
        let setting = "select current_setting('default_transaction_read_only')";
        let wanted = if only { "on" } else { "off" };
        self.until_asked(setting, wanted).await;
    }

    async fn until_asked(&self, sql: &str, wanted: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.asked(sql).await != wanted {
            assert!(Instant::now() < end, "never {wanted}: {sql}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn asked(&self, sql: &str) -> String {
        let client = self.connect("postgres").await.expect("the server answers");
        let row = client
            .query_one(sql, &[])
            .await
            .expect("the question is answered");
        row.get(0)
    }
}
