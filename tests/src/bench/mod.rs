//! The benchmark: what the engine costs, always beside what the same work costs without it, in the same run.
//!
//! | module | holds |
//! |---|---|
//! | [`figure`] | samples, figures with their targets, sections |
//! | [`stage`] | a durable private server, its databases, what they wrote |
//! | [`workload`] | the flows that are played, and what their agents reply |
//! | [`engine`] | playing a run through the SQL surface |
//! | [`trace`], [`floor`] | what a run writes, learnt from one run of the engine, and writing the same rows by hand |
//! | [`crowd`] | several clients at once |
//! | [`added`] | what the worker adds to a child, part by part |
//! | [`bare`] | a child as the worker starts it, without the worker |
//! | [`throughput`], [`latency`], [`growth`], [`outputs`], [`spawn`], [`idle`], [`streams`], [`neighbours`] | sections |
//! | [`table`], [`chart`] | the report for people: a table, an SVG |

pub mod added;
pub mod bare;
pub mod chart;
pub mod crowd;
pub mod engine;
pub mod figure;
pub mod floor;
pub mod growth;
pub mod idle;
pub mod latency;
pub mod neighbours;
pub mod outputs;
pub mod spawn;
pub mod stage;
pub mod streams;
pub mod table;
pub mod throughput;
pub mod trace;
pub mod workload;

pub use figure::{Figure, Sample, Section, Target};
pub use stage::Stage;

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often each figure is measured, after a warm-up.
    pub repeats: usize,
    /// Scales the amount of work in each repeat; 1 is what the published figures are measured with.
    pub scale: f64,
    /// Names of the sections to run; all when empty.
    pub only: Vec<String>,
    /// The workloads of the section `throughput`, or the kinds of agents of `streams` (`replaying`, `qwen`), to play; all
    /// when empty.
    pub workload: Vec<String>,
    /// How many clients play at once in it; the usual numbers when empty.
    pub clients: Vec<usize>,
}

impl Options {
    /// An amount of work, scaled; at least one.
    pub fn scaled(&self, amount: usize) -> usize {
        ((amount as f64 * self.scale).round() as usize).max(1)
    }
}

/// The sections, in the order in which they run.
pub const SECTIONS: &[&str] = &[
    "throughput",
    "latency",
    "growth",
    "outputs",
    "spawn",
    "idle",
    "streams",
    "neighbours",
];

/// What a run of the benchmark found.
pub struct Results {
    pub sections: Vec<Section>,
    /// What it was measured on: server, machine, versions.
    pub place: serde_json::Value,
}

/// Runs the sections that are wanted, one after the other.
pub async fn run(options: &Options) -> Results {
    let mut sections = Vec::new();
    for &name in SECTIONS {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        eprintln!("measuring: {name}");
        sections.push(match name {
            "throughput" => throughput::run(options).await,
            "latency" => latency::run(options).await,
            "growth" => growth::run(options).await,
            "outputs" => outputs::run(options).await,
            "spawn" => spawn::run(options).await,
            "idle" => idle::run(options).await,
            "streams" => streams::run(options).await,
            "neighbours" => neighbours::run(options).await,
            other => unreachable!("{other} is not a section"),
        });
    }
    Results {
        sections,
        place: stage::place().await,
    }
}

impl Results {
    /// For people.
    pub fn table(&self) -> String {
        table::text(&self.sections)
    }

    /// Writes bench.json, bench.txt and bench.svg.
    pub fn write(&self, folder: &std::path::Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let sections: Vec<serde_json::Value> = self.sections.iter().map(Section::json).collect();
        let all = serde_json::json!({"place": self.place, "sections": sections});
        std::fs::write(
            folder.join("bench.json"),
            serde_json::to_string_pretty(&all)? + "\n",
        )?;
        std::fs::write(folder.join("bench.txt"), self.table())?;
        std::fs::write(folder.join("bench.svg"), chart::svg(&self.sections))
    }
}
