//! What was measured: samples, figures, sections.

use serde_json::{Value, json};

/// One quantity, measured once in each repeat.
#[derive(Debug, Clone, Default)]
pub struct Sample(pub Vec<f64>);

impl Sample {
    /// The middle value; the mean of the middle two. NaN without any.
    pub fn median(&self) -> f64 {
        percentile(&self.0, 50.0)
    }

    /// The smallest and the largest value.
    pub fn spread(&self) -> (f64, f64) {
        let low = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        (
            low,
            self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        )
    }

    fn json(&self) -> Value {
        let (low, high) = self.spread();
        json!({"median": self.median(), "low": low, "high": high, "values": self.0})
    }
}

/// A percentile (0 to 100) of values in any order, between neighbours by proportion. NaN without any.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = percent / 100.0 * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn holds(self, value: f64) -> bool {
        match self {
            Target::AtLeast(least) => value >= least,
            Target::AtMost(most) => value <= most,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::AtLeast(least) => write!(out, "≥ {least}"),
            Target::AtMost(most) => write!(out, "≤ {most}"),
        }
    }
}

/// One line of the table: a quantity of ours, the same of what it is held against, and the ratio of the two in each
/// repeat.
#[derive(Debug, Clone)]
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub ours: Sample,
    /// What it is held against, in the same repeats; without it the target is one of the quantity itself.
    pub floor: Option<Sample>,
    pub target: Option<Target>,
}

impl Figure {
    /// A quantity by itself.
    pub fn alone(name: impl Into<String>, unit: &'static str, ours: Vec<f64>) -> Self {
        let (ours, floor, target) = (Sample(ours), None, None);
        Figure {
            name: name.into(),
            unit,
            ours,
            floor,
            target,
        }
    }

    /// A quantity beside another that was measured in the same repeats: (ours, floor).
    pub fn beside(name: impl Into<String>, unit: &'static str, pairs: &[(f64, f64)]) -> Self {
        let (ours, floor) = pairs.iter().copied().unzip();
        Figure {
            floor: Some(Sample(floor)),
            ..Figure::alone(name, unit, ours)
        }
    }

    /// Says what it is to be: the ratio if it stands beside another, else the quantity.
    pub fn target(self, target: Target) -> Self {
        Figure {
            target: Some(target),
            ..self
        }
    }

    /// Ours divided by the floor's, repeat by repeat.
    pub fn ratio(&self) -> Option<Sample> {
        let floor = self.floor.as_ref()?;
        Some(Sample(
            self.ours
                .0
                .iter()
                .zip(&floor.0)
                .map(|(ours, floor)| ours / floor)
                .collect(),
        ))
    }

    /// Whether the median is as it is to be; None without a target.
    pub fn met(&self) -> Option<bool> {
        let value = self.ratio().unwrap_or_else(|| self.ours.clone()).median();
        self.target.map(|target| target.holds(value))
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "unit": self.unit, "ours": self.ours.json(),
            "floor": self.floor.as_ref().map(Sample::json), "ratio": self.ratio().map(|ratio| ratio.json()),
            "target": self.target.map(|target| target.to_string()), "met": self.met(),
        })
    }
}

/// Figures that belong together, and what must be known to read them.
#[derive(Debug, Clone, Default)]
pub struct Section {
    pub title: String,
    pub notes: Vec<String>,
    pub figures: Vec<Figure>,
}

impl Section {
    pub fn new(title: &str) -> Self {
        Section {
            title: title.to_owned(),
            ..Section::default()
        }
    }

    /// Adds what must be known to read it.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub fn json(&self) -> Value {
        let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
        json!({"title": self.title, "notes": self.notes, "figures": figures})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_between_its_neighbours() {
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 50.0), 2.0);
        assert_eq!(percentile(&[1.0, 2.0], 50.0), 1.5);
        assert_eq!(percentile(&[1.0, 2.0, 3.0, 4.0, 5.0], 95.0), 4.8);
        assert!(percentile(&[], 50.0).is_nan());
    }

    #[test]
    fn a_ratio_is_taken_within_each_repeat_and_judged_by_its_median() {
        let figure = Figure::beside("x", "ms", &[(1.0, 2.0), (9.0, 3.0), (3.0, 2.0)])
            .target(Target::AtMost(1.5));
        assert_eq!(figure.ratio().unwrap().0, [0.5, 3.0, 1.5]);
        assert_eq!(figure.met(), Some(true));
        assert_eq!(figure.target(Target::AtLeast(1.6)).met(), Some(false));
    }

    #[test]
    fn a_quantity_by_itself_is_judged_as_it_is() {
        let figure = Figure::alone("x", "MB", vec![41.0]);
        assert_eq!(figure.met(), None);
        assert_eq!(figure.target(Target::AtMost(40.0)).met(), Some(false));
    }
}
