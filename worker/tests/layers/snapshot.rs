//! Layer 5: what a child is given is a copy.

use conductor_worker::snapshot::{Limits, Request, Snapshots};

use crate::attack::{Field, everything};
use crate::bare::Layers;
use crate::fixture::{Place, git_program};

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_alone_takes_every_blow_for_the_repository() {
    let mut field = Field::new().await;
    let state = Place::new();
    let snapshots = Snapshots::new(&state.path.join("snapshots"), &git_program()).unwrap();
    let request = Request {
        root: Some(field.repo.path.clone()),
        base: None,
        documents: Vec::new(),
        limits: Limits::default(),
    };
    let taken = snapshots.get(1, &request).await.unwrap();
    field.look();
    let repository = std::mem::replace(&mut field.bench.snapshot, taken.path.clone());
    let (said, damage) = field.attack(Layers::default());
    assert_eq!(said.mode(), "yolo");
    assert!(
        !damage.changed.iter().any(|path| path.starts_with("repo/")),
        "{damage:?} {said:#?}"
    );
    // It was let loose, only not on the repository.
    assert!(
        damage.called && damage.changed == ["outside/new", "outside/shell"],
        "{damage:?}"
    );
    for (name, content) in [("new", "x"), ("a.txt", "x\ntwo\n")] {
        let written = std::fs::read_to_string(taken.path.join(name));
        assert_eq!(written.unwrap().trim_end(), content.trim_end(), "{name}");
    }

    let mut field = Field::new().await;
    field.bench.snapshot = field.repo.path.clone();
    assert_ne!(field.bench.snapshot, repository);
    let (said, damage) = field.attack(Layers::default());
    assert_eq!(damage, everything(), "{said:#?}");
}
