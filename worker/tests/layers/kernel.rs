//! Layer 4: the kernel, for root and for an ordinary user.

use std::fs;
use std::path::Path;
use std::process::Command;

use conductor_worker::child::Toolbox;
use conductor_worker::sandbox::{Backend, Sandbox};

use crate::attack::{Damage, Field, WARM_FOLDER, everything};
use crate::bare::{Layers, give, nobody_known};
use crate::common::HELPER;

/// Whether every write is refused that everybody would have liked to make.
async fn holds_alone(choose: fn(Option<&Path>) -> Sandbox, user: Option<u32>) {
    let (field, sandbox) = given_to(user, choose).await;
    let confined = Layers {
        kernel: Some(&sandbox),
        user,
        ..Layers::default()
    };
    let (said, damage) = field.attack(confined);
    assert_eq!(said.mode(), "yolo");
    assert!(said.tools().contains(&"write_file"), "{said:#?}");
    // Bubblewrap leaves the network to the other layers.
    let called = damage.called && sandbox.backend == Backend::Bubblewrap;
    let none = Damage {
        called,
        ..Damage::default()
    };
    assert_eq!(damage, none, "{said:#?}");

    let (field, _) = given_to(user, choose).await;
    let free = Layers {
        user,
        ..Layers::default()
    };
    let (said, damage) = field.attack(free);
    assert_eq!(damage, everything(), "{said:#?}");
}

/// A field that belongs to this user, as far as it needs to, with what runs there.
async fn given_to(user: Option<u32>, choose: fn(Option<&Path>) -> Sandbox) -> (Field, Sandbox) {
    let mut field = Field::new().await;
    let Some(user) = user else {
        return (field, choose(Some(Path::new(HELPER))));
    };
    let dir = field.bench.dir.path().canonicalize().unwrap();
    let helper = dir.join("conductor");
    fs::copy(HELPER, &helper).unwrap();
    // The folders above may be root's alone.
    let qwen = &mut field.bench.qwen;
    let package = dir.join("qwen");
    copy(&qwen.package, &package);
    let node = dir.join("node");
    copy(&qwen.node, &node);
    (qwen.package, qwen.node) = (package, node);
    let toolbox = dir.join("toolbox-of-theirs");
    copy(Path::new(WARM_FOLDER), &toolbox);
    field.bench.toolbox = Toolbox::prepare(&field.bench.qwen, &toolbox).unwrap();
    give(&dir, user);
    field.look();
    (field, choose(Some(&helper)))
}

fn copy(from: &Path, to: &Path) {
    let mut copy = Command::new("cp");
    copy.args(["-R", "--reflink=auto"]).arg(from).arg(to);
    assert!(copy.status().unwrap().success());
}

fn detected(helper: Option<&Path>) -> Sandbox {
    Sandbox::detect(helper).unwrap()
}

fn bubblewrap(helper: Option<&Path>) -> Sandbox {
    Sandbox::bubblewrap(helper).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_kernel_offers_alone_lets_nothing_be_written_outside_of_the_job() {
    holds_alone(detected, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bubblewrap_alone_lets_nothing_be_written_outside_of_the_job() {
    holds_alone(bubblewrap, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_kernel_offers_alone_holds_an_ordinary_user_off_their_own_files() {
    // Where the tests do not run as root, the others say it.
    if let Some(user) = nobody_known() {
        holds_alone(detected, Some(user)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bubblewrap_alone_holds_an_ordinary_user_off_their_own_files() {
    if let Some(user) = nobody_known() {
        holds_alone(bubblewrap, Some(user)).await;
    }
}
