//! The configuration of the private `GIT_DIR`, and the few words of the repository's own that say how to read it.

/// Extensions of the repository format that change nothing of what is read here.
const HARMLESS: [&str; 7] = [
    "noop",
    "noop-v1",
    "preciousobjects",
    "partialclone",
    "worktreeconfig",
    "relativeworktrees",
    "compatobjectformat",
];

/// What is taken from the repository's own configuration.
#[derive(Debug, Default)]
pub(super) struct Facts {
    sha256: bool,
    ignore_mode: bool,
    /// `true` or `input`.
    autocrlf: Option<&'static str>,
    pub worktree: Option<Vec<u8>>,
}

impl Facts {
    /// Reads `git config --list -z`. An error says which format this is not.
    pub fn read(listed: &[u8]) -> Result<Self, String> {
        let mut facts = Facts::default();
        let (mut version, mut unknown) = (0, None);
        for entry in listed.split(|b| *b == 0).filter(|entry| !entry.is_empty()) {
            let mut parts = entry.splitn(2, |b| *b == b'\n');
            let key = String::from_utf8_lossy(parts.next().unwrap_or_default());
            let raw = parts.next().unwrap_or(b"true");
            let value = String::from_utf8_lossy(raw).to_ascii_lowercase();
            match key.as_ref() {
                "core.repositoryformatversion" => {
                    version = value.trim().parse().unwrap_or(u32::MAX)
                }
                "core.filemode" => {
                    facts.ignore_mode = matches!(value.as_str(), "false" | "no" | "off" | "0");
                }
                "core.autocrlf" => {
                    facts.autocrlf = match value.as_str() {
                        "input" => Some("input"),
                        "true" | "yes" | "on" | "1" => Some("true"),
                        _ => None,
                    };
                }
                "core.worktree" => facts.worktree = Some(raw.to_vec()),
                "extensions.objectformat" if value == "sha256" => facts.sha256 = true,
                "extensions.objectformat" if value == "sha1" => facts.sha256 = false,
                "extensions.refstorage" if value == "files" => {}
                key => {
                    let extension = key.strip_prefix("extensions.");
                    if let Some(name) = extension.filter(|name| !HARMLESS.contains(name)) {
                        unknown = Some(format!("{name}={value}"));
                    }
                }
            }
        }
        match (version, unknown) {
            (2.., _) => Err("its format is newer than what is known here".into()),
            (1, Some(unknown)) => Err(format!(
                "its format has an extension that is not read here, {}",
                super::notes::shown(unknown.as_bytes())
            )),
            _ => Ok(facts),
        }
    }

    /// The text of our own.
    pub fn configuration(&self) -> String {
        let mut text = format!(
            "[core]\n\
             \trepositoryFormatVersion = 1\n\
             \tbare = false\n\
             \tfileMode = {}\n\
             \tautocrlf = {}\n\
             \tsafecrlf = false\n\
             \tfsmonitor = false\n\
             \tuntrackedCache = false\n\
             \tsplitIndex = false\n\
             \tcommitGraph = false\n\
             \tmultiPackIndex = false\n\
             \tcheckStat = minimal\n\
             \ttrustctime = false\n\
             \tpreloadIndex = false\n\
             \thooksPath = /dev/null\n\
             \tattributesFile = /dev/null\n\
             \texcludesFile = /dev/null\n\
             \tbigFileThreshold = 16m\n\
             \tlogAllRefUpdates = false\n\
             [protocol]\n\tallow = never\n\
             [gc]\n\tauto = 0\n\
             [maintenance]\n\tauto = false\n\
             [diff]\n\tignoreSubmodules = all\n",
            !self.ignore_mode,
            self.autocrlf.unwrap_or("false"),
        );
        if self.sha256 {
            text.push_str("[extensions]\n\tobjectFormat = sha256\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_are_not_known_are_refused() {
        let read = |text: &str| Facts::read(text.as_bytes());
        assert!(read("core.repositoryformatversion\n0\0core.bare\nfalse\0").is_ok());
        let sha256 = "core.repositoryformatversion\n1\0extensions.objectformat\nsha256\0";
        let facts = read(sha256).unwrap();
        assert!(facts.configuration().contains("objectFormat = sha256"));
        assert!(read("core.repositoryformatversion\n2\0").is_err());
        let reftable = "core.repositoryformatversion\n1\0extensions.refstorage\nreftable\0";
        assert!(read(reftable).unwrap_err().contains("refstorage=reftable"));
    }

    #[test]
    fn only_known_words_reach_our_configuration() {
        let text = "core.autocrlf\ninput\n[core]\nfsmonitor=/bin/sh\0core.filemode\nfalse\0core.fsmonitor\n/x\0";
        let config = Facts::read(text.as_bytes()).unwrap().configuration();
        assert!(config.contains("autocrlf = false"), "{config}");
        assert!(config.contains("fileMode = false"), "{config}");
        assert!(config.contains("fsmonitor = false") && !config.contains("/x"));
    }
}
