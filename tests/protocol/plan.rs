//! What a run consists of: the steps of a plan and what each needs. The model takes any plan.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    All,
    Any,
}

#[derive(Debug, Clone)]
pub struct PlanStep {
    pub agent: bool,
    /// A synthesizer, a validator or the render step: its failure ends the run whatever joins it.
    pub vital: bool,
    pub join: Join,
    pub needs: Vec<usize>,
}

#[derive(Debug, Clone)]
pub struct Plan(pub Vec<PlanStep>);

impl Plan {
    fn of(steps: &[(&'static str, Join, &[&str])]) -> Self {
        let at = |id: &str| steps.iter().position(|(it, ..)| *it == id).expect(id);
        let agent = |id: &str| !["fold", "other-fold", "render"].contains(&id);
        let step = |(id, join, needs): &(&'static str, Join, &[&str])| PlanStep {
            agent: agent(id),
            vital: ["synthesis", "render"].contains(id),
            join: *join,
            needs: needs.iter().map(|need| at(need)).collect(),
        };
        Self(steps.iter().map(step).collect())
    }

    /// Two parallel angles, whose outputs are folded and rendered: two agents.
    pub fn angles() -> Self {
        Self::of(&[
            ("a", Join::All, &[]),
            ("b", Join::All, &[]),
            ("fold", Join::Any, &["a", "b"]),
            ("render", Join::All, &["fold"]),
        ])
    }

    /// The same with a synthesizer between fold and end: three agents in two waves.
    pub fn spine() -> Self {
        Self::of(&[
            ("a", Join::All, &[]),
            ("b", Join::All, &[]),
            ("fold", Join::Any, &["a", "b"]),
            ("synthesis", Join::All, &["fold"]),
            ("render", Join::All, &["synthesis"]),
        ])
    }

    /// Two angles that an agent joins: a step that had its task may wait for an angle again.
    pub fn joined() -> Self {
        Self::of(&[
            ("a", Join::All, &[]),
            ("b", Join::All, &[]),
            ("join", Join::Any, &["a", "b"]),
            ("render", Join::All, &["join"]),
        ])
    }

    /// An angle that two folds join, so that one of them may have gone on without it when it is retried.
    pub fn shared_angle() -> Self {
        Self::of(&[
            ("a", Join::All, &[]),
            ("b", Join::All, &[]),
            ("c", Join::All, &[]),
            ("fold", Join::Any, &["a", "b"]),
            ("other-fold", Join::Any, &["a", "c"]),
            ("render", Join::All, &["fold", "other-fold"]),
        ])
    }

    pub fn needing(&self, need: usize) -> impl Iterator<Item = usize> + '_ {
        let needs = move |step: &PlanStep| step.needs.contains(&need);
        (0..self.0.len()).filter(move |at| needs(&self.0[*at]))
    }
}
