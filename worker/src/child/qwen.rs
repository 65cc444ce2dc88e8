//! The installed qwen-code and the node that runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::{ChildError, io_error};

/// What was measured; an older one behaves otherwise and is refused.
pub const MIN_VERSION: [u64; 3] = [0, 24, 4];

const MIN_NODE: u64 = 22;
/// How long node may take to say who it is.
const NODE_LIMIT: Duration = Duration::from_secs(10);
const PACKAGE: &str = "@qwen-code/qwen-code";

/// An installed qwen-code with the node that runs it.
#[derive(Debug, Clone)]
pub struct Qwen {
    /// The node program itself, not a link or a wrapper.
    pub node: PathBuf,
    pub node_version: String,
    /// The package's folder, which holds cli.js.
    pub package: PathBuf,
    pub version: String,
}

#[derive(Deserialize)]
struct Manifest {
    name: String,
    version: String,
}

impl Qwen {
    /// `qwen` is the package's folder, a file in it, or a link to one (as `which qwen` gives); `node` any node.
    /// Starts node once to ask who it is.
    ///
    /// # Errors
    /// When one of them is missing, too old, or something else; the text says how to mend it.
    pub async fn locate(node: &Path, qwen: &Path) -> Result<Qwen, ChildError> {
        let (package, manifest) = package(qwen)?;
        if parse(&manifest.version).is_none_or(|v| v < MIN_VERSION) {
            let [major, minor, patch] = MIN_VERSION;
            return Err(ChildError::Unusable(format!(
                "qwen-code {} in {} is too old: {major}.{minor}.{patch} or later is needed (npm install {PACKAGE})",
                manifest.version,
                package.display()
            )));
        }
        if !package.join("cli.js").is_file() {
            return Err(ChildError::Unusable(format!(
                "{} has no cli.js: install {PACKAGE} again",
                package.display()
            )));
        }
        let (node, node_version) = ask_node(node, NODE_LIMIT).await?;
        if parse(&node_version).is_none_or(|v| v[0] < MIN_NODE) {
            return Err(ChildError::Unusable(format!(
                "node {node_version} ({}) is too old: {MIN_NODE} or later is needed",
                node.display()
            )));
        }
        Ok(Qwen {
            node,
            node_version,
            package,
            version: manifest.version,
        })
    }

    /// The program that node runs.
    pub fn cli(&self) -> PathBuf {
        self.package.join("cli.js")
    }
}

fn package(qwen: &Path) -> Result<(PathBuf, Manifest), ChildError> {
    let found = fs::canonicalize(qwen).map_err(|e| {
        ChildError::Unusable(format!(
            "no qwen-code at {}: {e} (npm install {PACKAGE})",
            qwen.display()
        ))
    })?;
    for folder in found.ancestors() {
        let Ok(text) = fs::read_to_string(folder.join("package.json")) else {
            continue;
        };
        match serde_json::from_str::<Manifest>(&text) {
            Ok(manifest) if manifest.name == PACKAGE => return Ok((folder.to_owned(), manifest)),
            _ => break,
        }
    }
    Err(ChildError::Unusable(format!(
        "{} is not part of the package {PACKAGE}",
        found.display()
    )))
}

/// The real program behind a link or a version manager's wrapper, and its version.
async fn ask_node(node: &Path, limit: Duration) -> Result<(PathBuf, String), ChildError> {
    let output = Command::new(node)
        .args(["-p", "process.execPath + '\\n' + process.versions.node"])
        // The worker's secrets stand in its environment.
        .env_clear()
        .envs(
            ["PATH", "HOME"]
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let late = |_| {
        let limit = limit.as_secs_f32();
        ChildError::Unusable(format!(
            "{} gives no answer within {limit} s",
            node.display()
        ))
    };
    let output = timeout(limit, output).await.map_err(late)?.map_err(|e| {
        ChildError::Unusable(format!("cannot start node ({}): {e}", node.display()))
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim_end().split_once('\n') {
        Some((path, version)) if output.status.success() => {
            let path = fs::canonicalize(path).map_err(io_error("find node at", Path::new(path)))?;
            Ok((path, version.to_owned()))
        }
        _ => Err(ChildError::Unusable(format!(
            "{} is not a working node: {}",
            node.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// `1.2.3`, `1.2.3-beta.4` → [1, 2, 3].
fn parse(version: &str) -> Option<[u64; 3]> {
    let mut parts = version.split(['.', '-', '+']);
    let mut next = || parts.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn install(version: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let package = dir.path().join("node_modules").join(PACKAGE);
        fs::create_dir_all(&package).unwrap();
        let manifest = serde_json::json!({ "name": PACKAGE, "version": version });
        fs::write(package.join("package.json"), manifest.to_string()).unwrap();
        fs::write(package.join("cli.js"), "").unwrap();
        fs::create_dir_all(dir.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(package.join("cli.js"), dir.path().join("bin/qwen")).unwrap();
        dir
    }

    #[test]
    fn reads_versions() {
        assert_eq!(parse("0.24.4"), Some([0, 24, 4]));
        assert_eq!(parse("22.3.0-nightly.1"), Some([22, 3, 0]));
        assert_eq!(parse("latest"), None);
    }

    #[tokio::test]
    async fn a_node_that_says_nothing_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let node = dir.path().join("node");
        fs::write(&node, "#!/bin/sh\nexec sleep 60\n").unwrap();
        fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).unwrap();
        let error = ask_node(&node, Duration::from_millis(100)).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no answer"), "{error}");
    }

    #[tokio::test]
    async fn node_is_asked_without_the_workers_environment() {
        let dir = tempfile::tempdir().unwrap();
        let node = dir.path().join("node");
        let script =
            "#!/bin/sh\necho \"$0\"\necho \"22.0.0,${CARGO_MANIFEST_DIR:-kept},${PATH:+path}\"\n";
        fs::write(&node, script).unwrap();
        fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let (_, version) = ask_node(&node, Duration::from_secs(30)).await.unwrap();
        assert_eq!(version.trim(), "22.0.0,kept,path");
    }

    #[tokio::test]
    async fn an_old_qwen_is_refused_with_the_cure() {
        let dir = install("0.24.3");
        let error = Qwen::locate(Path::new("node"), &dir.path().join("bin/qwen"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("too old") && error.contains("npm install"),
            "{error}"
        );
    }

    #[test]
    fn the_package_is_found_through_the_link_that_npm_makes() {
        let dir = install("0.24.4");
        let (found, manifest) = package(&dir.path().join("bin/qwen")).unwrap();
        assert!(found.ends_with(PACKAGE));
        assert_eq!(manifest.version, "0.24.4");
    }

    #[tokio::test]
    async fn something_else_named_qwen_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("qwen"), "#!/bin/sh\n").unwrap();
        let error = Qwen::locate(Path::new("node"), &dir.path().join("qwen"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("not part of the package"), "{error}");
        let error = Qwen::locate(Path::new("node"), &dir.path().join("nothing"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("no qwen-code at"), "{error}");
    }
}
