//! The daemon's settings, resolved from flags and environment.

use std::path::{Path, PathBuf};

use crate::db;

/// What the daemon was told, before anything is looked up.
#[derive(Debug, Clone, Default)]
pub struct Given {
    pub database: Option<String>,
    pub allow_roots: Vec<PathBuf>,
    pub slots: usize,
    pub state_dir: Option<PathBuf>,
    pub qwen: Option<PathBuf>,
    pub node: Option<PathBuf>,
    pub credentials: Option<PathBuf>,
    pub name: Option<String>,
    pub models: Vec<String>,
}

/// What the daemon goes by.
#[derive(Debug, Clone)]
pub struct Config {
    pub database: db::Servers,
    /// Projects outside of these are refused, whatever the database says.
    pub allow_roots: Vec<PathBuf>,
    pub slots: usize,
    pub state_dir: PathBuf,
    pub qwen: Option<PathBuf>,
    pub node: Option<PathBuf>,
    pub credentials: Option<PathBuf>,
    pub name: String,
    pub host: String,
    /// Empty: any model.
    pub models: Vec<String>,
}

/// More children than this on one machine is a typing error.
const MOST_SLOTS: usize = 256;

impl Given {
    /// Fills in what was not given. An error is one line for people.
    pub fn resolve(self, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, String> {
        if self.slots == 0 || self.slots > MOST_SLOTS {
            return Err(format!(
                "slots must be 1 to {MOST_SLOTS}, not {}",
                self.slots
            ));
        }
        let host = host_name();
        let name = self.name.unwrap_or_else(|| "worker".into());
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err("the worker's name must be printable and not empty".into());
        }
        let allow_roots = self.allow_roots.iter().map(|root| absolute(root));
        Ok(Config {
            database: db::resolve(self.database.as_deref(), env, "conductor worker")?
                .that_take_writes()?,
            allow_roots: allow_roots.collect::<Result<_, _>>()?,
            slots: self.slots,
            state_dir: match self.state_dir {
                Some(given) => absolute(&given)?,
                None => default_state_dir(env)?,
            },
            qwen: self.qwen.map(|path| absolute(&path)).transpose()?,
            node: self.node.map(|path| absolute(&path)).transpose()?,
            credentials: self.credentials,
            name,
            host,
            models: self.models,
        })
    }
}

impl Config {
    /// The roots as the server compares them: as given, and with links followed.
    pub fn served_roots(&self) -> Vec<String> {
        let mut roots: Vec<String> = Vec::new();
        for root in &self.allow_roots {
            let real = root.canonicalize().ok();
            for path in [Some(root), real.as_ref()].into_iter().flatten() {
                let text = path.to_string_lossy().into_owned();
                if !roots.contains(&text) {
                    roots.push(text);
                }
            }
        }
        roots
    }

    /// The project's folder with links followed, if it lies within a root that this worker serves.
    pub fn allowed_root(&self, root: &Path) -> Result<PathBuf, String> {
        let real = root
            .canonicalize()
            .map_err(|e| format!("cannot open the project's folder {}: {e}", root.display()))?;
        let served = self
            .allow_roots
            .iter()
            .filter_map(|allowed| allowed.canonicalize().ok());
        if served.into_iter().any(|allowed| real.starts_with(allowed)) {
            Ok(real)
        } else {
            Err(format!(
                "the project's folder {} is outside the roots that this worker may read \
                 (start it with --allow-root)",
                root.display()
            ))
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|e| format!("bad path {}: {e}", path.display()))
}

fn default_state_dir(env: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, String> {
    let path = |name: &str| {
        env(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    // systemd's own variable for a unit with StateDirectory=.
    path("STATE_DIRECTORY")
        .or_else(|| path("XDG_STATE_HOME").map(|state| state.join("conductor")))
        .or_else(|| path("HOME").map(|home| home.join(".local/state/conductor")))
        .ok_or_else(|| "no place for the worker's files: set --state-dir or HOME".into())
}

/// This machine's name, as the server tells hosts apart.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Given {
        Given {
            slots: 4,
            database: Some("postgres://h/d".into()),
            ..Given::default()
        }
    }

    fn home(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/ann".to_owned())
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        let config = given().resolve(&home).unwrap();
        assert_eq!(
            config.state_dir,
            Path::new("/home/ann/.local/state/conductor")
        );
        assert_eq!(config.name, "worker");
        assert!(!config.host.is_empty());
    }

    #[test]
    fn the_state_folder_follows_xdg_and_the_flag_wins() {
        let env = |name: &str| (name == "XDG_STATE_HOME").then(|| "/state".to_owned());
        assert_eq!(
            given().resolve(&env).unwrap().state_dir,
            Path::new("/state/conductor")
        );
        let config = Given {
            state_dir: Some("/mine".into()),
            ..given()
        }
        .resolve(&env)
        .unwrap();
        assert_eq!(config.state_dir, Path::new("/mine"));
    }

    #[test]
    fn bad_settings_are_named() {
        for (bad, word) in [
            (
                Given {
                    slots: 0,
                    ..given()
                },
                "slots",
            ),
            (
                Given {
                    slots: 1000,
                    ..given()
                },
                "slots",
            ),
            (
                Given {
                    name: Some("\u{1b}[2J".into()),
                    ..given()
                },
                "name",
            ),
            (
                Given {
                    database: Some("postgres://h/d?target_session_attrs=read-only".into()),
                    ..given()
                },
                "read-only",
            ),
            (
                Given {
                    database: Some("postgres://h/d?colour=red".into()),
                    ..given()
                },
                "colour",
            ),
        ] {
            let error = bad.resolve(&home).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        assert!(
            given()
                .resolve(&|_| None)
                .unwrap_err()
                .contains("--state-dir")
        );
    }

    #[test]
    fn only_projects_within_the_roots_are_allowed_links_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        std::fs::create_dir_all(inside.join("shop")).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("sly")).unwrap();
        let config = Given {
            allow_roots: vec![inside.clone()],
            ..given()
        }
        .resolve(&home)
        .unwrap();
        assert!(config.allowed_root(&inside.join("shop")).is_ok());
        assert!(config.allowed_root(&inside.join("shop/../../out")).is_err());
        assert!(config.allowed_root(&inside.join("sly")).is_err());
        assert!(
            config
                .allowed_root(&outside)
                .unwrap_err()
                .contains("--allow-root")
        );
        assert!(config.allowed_root(&inside.join("missing")).is_err());
    }
}
