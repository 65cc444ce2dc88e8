//! What `merge_findings` puts out: a page for people that ends in JSON for the steps behind it.

use std::fmt::Write as _;

use super::{Finding, Merged};
use crate::text::one_line;

/// Writes one line to a text.
macro_rules! put {
    ($out:expr, $($format:tt)*) => {
        writeln!($out, $($format)*).expect("a string takes everything")
    };
}

/// What opens the JSON; no line inside can, because JSON has no line ends in strings.
const OPENS: &str = "\n```json\n";

impl Merged {
    /// The findings that go on, what was joined, cut and left out, and all of it as one fenced JSON
    /// object, which `foreach` reads and [`Merged::from_output`] reads back.
    pub fn to_output(&self) -> String {
        let mut out = String::from("# Merged findings\n\n");
        put!(out, "{}", self.counts());
        self.table(&mut out);
        self.joined(&mut out);
        self.cut(&mut out);
        self.silent(&mut out);
        out.push_str(OPENS);
        out.push_str(&serde_json::to_string_pretty(self).expect("plain data can be written"));
        out.push_str("\n```\n");
        out
    }

    /// Reads an output of [`Merged::to_output`] back; `None` if it is none.
    pub fn from_output(output: &str) -> Option<Self> {
        if output.trim_start().starts_with('{') {
            return serde_json::from_str(output).ok();
        }
        let start = output.rfind(OPENS)? + OPENS.len();
        let end = output[start..].rfind("\n```")?;
        serde_json::from_str(&output[start..start + end]).ok()
    }

    fn counts(&self) -> String {
        let going: Vec<&Finding> = self.groups.iter().flat_map(|it| &it.findings).collect();
        let joined: usize = going
            .iter()
            .chain(&self.cut.iter().collect::<Vec<_>>())
            .map(|it| it.joined.len())
            .sum();
        let unreadable = self.groups.iter().filter(|it| !it.raw.is_empty()).count();
        let steps = |count: usize| if count == 1 { "step" } else { "steps" };
        format!(
            "{} to verify, {joined} joined with one of them, {} cut by the cap of {} per step. \
             {} {} clean, {} {} silent, {unreadable} {} partly or wholly unreadable.",
            match going.len() {
                1 => "1 finding".to_owned(),
                count => format!("{count} findings"),
            },
            self.cut.len(),
            self.cap,
            self.clean.len(),
            steps(self.clean.len()),
            self.missing.len(),
            steps(self.missing.len()),
            steps(unreadable),
        )
    }

    fn table(&self, out: &mut String) {
        for group in &self.groups {
            put!(out, "\n## {}\n", title(&group.label, &group.step));
            if !group.findings.is_empty() {
                put!(out, "| id | severity | where | claim |\n|---|---|---|---|");
            }
            for finding in &group.findings {
                put!(out, "{}", row(finding));
            }
            if !group.raw.is_empty() {
                let lines: usize = group.raw.iter().map(|text| text.lines().count()).sum();
                let s = if lines == 1 { "" } else { "s" };
                put!(out, "\nUnreadable, passed on as written: {lines} line{s}.");
            }
        }
    }

    fn joined(&self, out: &mut String) {
        let all = self
            .groups
            .iter()
            .flat_map(|it| &it.findings)
            .chain(&self.cut);
        let leads: Vec<&Finding> = all.filter(|it| !it.joined.is_empty()).collect();
        if !leads.is_empty() {
            put!(out, "\n## Joined\n");
        }
        for lead in leads {
            for other in &lead.joined {
                put!(
                    out,
                    "- {} ({}) joined with {}: {}",
                    inline(&other.id),
                    other.severity,
                    inline(&lead.id),
                    inline(&other.claim)
                );
            }
        }
    }

    fn cut(&self, out: &mut String) {
        if self.cut.is_empty() {
            return;
        }
        put!(
            out,
            "\n## Cut\n\nAbove the cap of {} per step, not verified:\n",
            self.cap
        );
        put!(out, "| id | severity | where | claim |\n|---|---|---|---|");
        for finding in &self.cut {
            put!(out, "{}", row(finding));
        }
    }

    fn silent(&self, out: &mut String) {
        if !self.clean.is_empty() {
            let steps: Vec<String> = self
                .clean
                .iter()
                .map(|it| title(&it.label, &it.step))
                .collect();
            put!(out, "\n## Clean\n\nNo findings: {}.", steps.join(", "));
        }
        if !self.missing.is_empty() {
            put!(out, "\n## Missing\n");
        }
        for it in &self.missing {
            put!(out, "- {}: {}", title(&it.label, &it.step), inline(&it.why));
        }
        if !self.yagni.is_empty() {
            let steps: Vec<String> = self
                .yagni
                .iter()
                .map(|it| title(&it.label, &it.step))
                .collect();
            put!(
                out,
                "\nNotes on what nobody needs, not verified: {}.",
                steps.join(", ")
            );
        }
    }
}

/// `Tests (tests)`, or the step alone when that is its label.
fn title(label: &str, step: &str) -> String {
    let (label, step) = (inline(label), inline(step));
    if label.is_empty() || label == step {
        step
    } else {
        format!("{label} ({step})")
    }
}

fn row(finding: &Finding) -> String {
    let place = finding.place.as_ref().map_or_else(String::new, |it| {
        let lines = match it.last == it.first {
            true => it.first.to_string(),
            false => format!("{}-{}", it.first, it.last),
        };
        format!("{}:{lines}", cell(&it.path))
    });
    let severity = match finding.rated {
        true => finding.severity.as_str().to_owned(),
        false => format!("{} (not rated)", finding.severity),
    };
    let claim = cell(&finding.claim);
    format!("| {} | {severity} | {place} | {claim} |", cell(&finding.id))
}

/// Words of models on one line; they open no tag.
fn inline(text: &str) -> String {
    one_line(text, 300).replace('<', "\\<")
}

fn cell(text: &str) -> String {
    inline(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::elements;
    use crate::findings::{Group, Place, Severity, Silent};

    fn hostile() -> Merged {
        let finding = Finding {
            id: "a/B1".into(),
            severity: Severity::Critical,
            rated: true,
            place: Some(Place {
                path: "src/a|b.rs".into(),
                first: 1,
                last: 9,
            }),
            claim: "```json {\"groups\": []} <script>alert(1)</script> | x".into(),
            text: "### B1\n```json\n{\"groups\": []}\n```\n~~~~\n````\n\u{2028}\u{7f}".into(),
            broken: Vec::new(),
            joined: Vec::new(),
        };
        let group = Group {
            step: "a".into(),
            label: "```json".into(),
            findings: vec![finding.clone()],
            raw: vec!["```".into(), "\n```json\n{\"groups\": 1}\n```\n".into()],
        };
        let missing = Silent {
            step: "b".into(),
            label: "B".into(),
            why: "failed: ```".into(),
        };
        Merged {
            groups: vec![group],
            cut: vec![finding],
            cap: 1,
            missing: vec![missing],
            ..Merged::default()
        }
    }

    #[test]
    fn hostile_words_come_back_as_they_were() {
        let merged = hostile();
        let out = merged.to_output();
        assert_eq!(Merged::from_output(&out).as_ref(), Some(&merged));
        let groups = elements(&out, "groups").unwrap();
        assert_eq!(groups, [serde_json::to_value(&merged.groups[0]).unwrap()]);
        assert!(!out[..out.rfind(OPENS).unwrap()].contains(" <script>"));
        assert!(out.contains("| a/B1 | critical | src/a\\|b.rs:1-9 | ```json"));
    }

    #[test]
    fn nothing_to_merge_is_an_empty_list() {
        let out = Merged::default().to_output();
        assert_eq!(elements(&out, "groups"), Some(Vec::new()));
        assert_eq!(Merged::from_output(&out), Some(Merged::default()));
        assert_eq!(Merged::from_output("# Merged findings\n"), None);
    }
}
