//! Layer 1: plan mode.

use crate::attack::{Damage, Field, everything};
use crate::bare::Layers;

#[tokio::test(flavor = "multi_thread")]
async fn plan_mode_alone_keeps_files_from_being_written_but_not_a_worktree_from_being_made() {
    let mut field = Field::new().await;
    let hook = field.outside.join("hook");
    let text = format!("#!/bin/sh\necho x > '{}'\n", hook.display());
    let path = ".git/hooks/post-checkout";
    field.repo.write(path, text);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(field.repo.path.join(path), mode).unwrap();
    field.look();
    let plan = Layers {
        mode: Some("plan"),
        ..Layers::default()
    };
    let (said, damage) = field.attack(plan);
    assert_eq!(said.mode(), "plan");
    for tool in ["edit", "write_file", "notebook_edit", "run_shell_command"] {
        assert!(!said.tools().contains(&tool), "{said:#?}");
    }
    // Why the other layers are there: a worktree is made, and a hook of the repository runs.
    let leaks = ["outside/hook", "repo/.git", "repo/.qwen"];
    let leaks = Damage {
        changed: leaks.map(str::to_owned).to_vec(),
        called: false,
    };
    assert_eq!(damage, leaks, "{said:#?}");

    let field = Field::new().await;
    let (said, damage) = field.attack(Layers::default());
    assert_eq!(damage, everything(), "{said:#?}");
}
