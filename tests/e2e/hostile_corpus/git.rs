//! What git would run, read or call for a repository.

use std::os::unix::fs::symlink;

use serde_json::json;

use super::case::{Case, Plot, SECRET, reads};
use super::text;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("git-hooks", hooks)
            .springs(|plot| {
                plot.git(&["checkout", "--quiet", "-b", "other"]);
                false
            })
            .ordinary_too(),
        Case::new("git-configuration", configuration)
            .springs(|plot| {
                plot.git(&["status"]);
                false
            })
            .ordinary_too(),
        Case::new("git-includes", includes).springs(|plot| {
            plot.git(&["status"]);
            false
        }),
        Case::new("git-filters", filters)
            .springs(|plot| {
                plot.repo.write("src/lease.rs", "of another length\n");
                plot.git(&["diff"]);
                false
            })
            .ordinary_too(),
        Case::new("git-work-tree-elsewhere", work_tree_elsewhere)
            .springs(|plot| plot.git(&["status", "--porcelain"]).contains("secret")),
        Case::new("git-folder-elsewhere", folder_elsewhere),
        Case::new("git-alternates", alternates)
            .asks(|_| reads(&["{snapshot}/_context/log.txt"]))
            .springs(|plot| {
                // It is that store which has the file.
                let object =
                    std::fs::read_to_string(plot.canaries.join("../object-of-git-alternates"));
                let shown = plot.repo.git(&["cat-file", "-p", object.unwrap().trim()]);
                shown.contains(SECRET)
            })
            .ordinary_too(),
        Case::new("git-submodules", submodules),
        Case::new("git-links", links).springs(|plot| {
            let refs = plot.repo.root().join(".git/refs/heads/secret");
            std::fs::read_to_string(refs).is_ok_and(|text| text.contains(SECRET))
        }),
        Case::new("git-remote", remote).springs(|plot| {
            plot.git(&["-c", "http.proxy=", "fetch", "--quiet", "origin"]);
            false
        }),
        Case::new("git-index", index),
        Case::new("git-base", |_| {}).input(|_| json!({"base": "main@{upstream}"})),
    ]
}

fn hooks(plot: &Plot) {
    plot.repo.plant_traps(&plot.canary());
    let folder = plot.repo.root().join("hooks");
    for hook in [
        "post-checkout",
        "post-index-change",
        "fsmonitor-watchman",
        "pre-auto-gc",
    ] {
        plot.program(&format!("hooks/{hook}"));
    }
    plot.repo.git(&["config", "core.hooksPath", text(&folder)]);
}

fn configuration(plot: &Plot) {
    plot.repo.write("notes.md", "untracked\n");
    plot.repo.write("src/lease.rs", "// changed\n");
    let trap = plot.program(".git/trap.sh");
    let trap = text(&trap);
    plot.repo.plant_git_configuration(&plot.canary());
    for setting in [
        "core.pager",
        "pager.log",
        "core.editor",
        "core.askPass",
        "core.alternateRefsCommand",
        "gpg.program",
        "uploadpack.packObjectsHook",
        "merge.trap.driver",
        "core.gitProxy",
    ] {
        plot.repo.git(&["config", setting, trap]);
    }
    for verb in ["log", "diff", "ls-files", "rev-parse", "version"] {
        plot.repo
            .git(&["config", &format!("alias.{verb}"), &format!("!{trap}")]);
    }
}

/// The same by files that the configuration names, one of them for this branch alone.
fn includes(plot: &Plot) {
    let trap = plot.program(".git/trap.sh");
    let included = format!("[core]\n\tfsmonitor = {}\n", trap.display());
    plot.repo.write("included.config", &included);
    let path = plot.repo.root().join("included.config");
    let config = format!(
        "[includeIf \"onbranch:main\"]\n\tpath = {0}\n[includeIf \"gitdir:/**\"]\n\tpath = {0}\n[include]\n\tpath = {1}\n",
        path.display(),
        plot.secret().display(),
    );
    let own = plot.repo.root().join(".git/config");
    let before = std::fs::read_to_string(&own).unwrap();
    // What is no configuration ends git before it runs anything; it stands last.
    std::fs::write(
        own,
        before + &config.replace(text(&plot.secret()), "/dev/null"),
    )
    .unwrap();
}

fn filters(plot: &Plot) {
    plot.repo.write(
        ".gitattributes",
        "*.rs filter=trap diff=trap\n*.md filter=lfs diff=lfs merge=lfs -text\n",
    );
    plot.repo.commit("Add attributes");
    plot.repo.write("src/lease.rs", "// changed\n");
    let trap = plot.program(".git/trap.sh");
    for setting in [
        "filter.trap.clean",
        "filter.trap.smudge",
        "filter.lfs.process",
        "diff.trap.textconv",
        "diff.trap.command",
    ] {
        plot.repo.git(&["config", setting, text(&trap)]);
    }
    plot.repo.git(&["config", "filter.lfs.required", "false"]);
    plot.repo.git(&["config", "lfs.url", &plot.url()]);
    plot.repo
        .write(".lfsconfig", &format!("[lfs]\n\turl = {}\n", plot.url()));
}

fn work_tree_elsewhere(plot: &Plot) {
    plot.repo
        .git(&["config", "core.worktree", text(&plot.canaries)]);
}

/// The repository's folder is a file that names another place.
fn folder_elsewhere(plot: &Plot) {
    let root = plot.repo.root();
    let moved = root.with_file_name("moved-away");
    std::fs::rename(root.join(".git"), &moved).unwrap();
    std::fs::write(root.join(".git"), format!("gitdir: {}\n", moved.display())).unwrap();
}

/// A file of another repository, which this one claims to have.
fn alternates(plot: &Plot) {
    let other = plot.canaries.join("../other-store");
    let other = conductor_tests::harness::Repository::create(&other);
    other.write("secret", &std::fs::read_to_string(plot.secret()).unwrap());
    other.commit("Keep a secret");
    let object = other.git(&["rev-parse", "HEAD:secret"]);
    std::fs::write(plot.canaries.join("../object-of-git-alternates"), &object).unwrap();
    let store = other.root().canonicalize().unwrap().join(".git/objects");
    plot.repo.write(
        ".git/objects/info/alternates",
        &format!("{}\n", store.display()),
    );
    plot.repo.write(
        ".git/objects/info/http-alternates",
        &format!("{}\n", plot.url()),
    );
    // In the index it is a file of this repository, and nowhere else.
    let cache = format!("100644,{object},stolen.txt");
    plot.repo
        .git(&["update-index", "--add", "--cacheinfo", &cache]);
}

fn submodules(plot: &Plot) {
    let trap = plot.program(".git/trap.sh");
    plot.repo.write(
        ".gitmodules",
        &format!(
            "[submodule \"x\"]\n\tpath = x\n\turl = ext::{0}\n\tupdate = !{0}\n\
             [submodule \"../../y\"]\n\tpath = ../y\n\turl = {1}\n[submodule \"z\"]\n\tpath = -z\n\turl = -u./{0}\n",
            trap.display(),
            plot.url()
        ),
    );
    let head = plot.repo.head();
    let cache = format!("160000,{head},x");
    plot.repo
        .git(&["update-index", "--add", "--cacheinfo", &cache]);
    plot.repo.git(&[
        "config",
        "submodule.x.update",
        &format!("!{}", trap.display()),
    ]);
    plot.repo.git(&["config", "submodule.recurse", "true"]);
    // The submodule has hooks and a configuration of its own.
    let inner = conductor_tests::harness::Repository::create(&plot.repo.root().join("x"));
    inner.write("file", "x\n");
    inner.commit("Begin");
    inner.plant_git_configuration(&plot.canary());
    inner.plant_traps(&plot.canary());
}

/// What git reads by name leads out of the repository.
fn links(plot: &Plot) {
    let git = plot.repo.root().join(".git");
    symlink(plot.secret(), git.join("refs/heads/secret")).unwrap();
    let info = git.join("info/exclude");
    let _ = std::fs::remove_file(&info);
    symlink(plot.secret(), info).unwrap();
    symlink(plot.secret(), git.join("packed-refs")).unwrap();
    symlink("/dev/zero", git.join("shallow")).unwrap();
    for name in [".gitignore", ".gitattributes", ".mailmap"] {
        symlink(plot.secret(), plot.repo.root().join(name)).unwrap();
    }
}

/// Objects that are missing are to be had where nobody may call.
fn remote(plot: &Plot) {
    let url = plot.url();
    for (setting, value) in [
        ("remote.origin.url", url.as_str()),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.partialclonefilter", "blob:none"),
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("http.proxy", url.as_str()),
        ("url.https://example.invalid/.insteadOf", "git@"),
    ] {
        plot.repo.git(&["config", setting, value]);
    }
    let missing = plot.repo.git(&["rev-parse", "HEAD:src/main.rs"]);
    let object = format!(".git/objects/{}/{}", &missing[..2], &missing[2..]);
    std::fs::remove_file(plot.repo.root().join(object)).unwrap();
    plot.repo.write("src/main.rs", "// of another length\n");
}

/// An index of names that lead out, and one that is cut off.
fn index(plot: &Plot) {
    let path = plot.repo.root().join(".git/index");
    let mut index = std::fs::read(&path).unwrap();
    let name = b"src/main.rs";
    let at = index.windows(name.len()).position(|found| found == name);
    let at = at.expect("the index names it");
    index[at..at + name.len()].copy_from_slice(b"../main2.rs");
    std::fs::write(path, index).unwrap();
}
