//! The flows as they were decided.

/// What was decided: category, flow, contracts, synthesizer; below each its angles, or the reviewers
/// of a general flow: id, persona, band, and the launch fact without which there is none.
const DECIDED: &str = "\
analysis research: evidence; -
  sources research-analyst small
  codebase codebase-explorer small project
  options research-analyst medium
  prior-art research-analyst large
analysis investigate: evidence; software-architect
  error-path evidence-based-investigator small
  data-flow evidence-based-investigator small
  recent-changes evidence-based-investigator medium
  behavior behavioral-analyst medium
  concurrency concurrency-analyst large
  data data-engineer large
analysis architectural-analysis: evidence; software-architect
  structure structural-analyst small
  behavior behavioral-analyst medium
  concurrency concurrency-analyst large
  topology system-architect large
analysis gap-analysis: evidence; -
  gap gap-analyzer small
  sweep junior-developer medium
  current-state evidence-based-investigator large
analysis test-planning: evidence, yagni; test-engineer
  behaviors test-engineer small
  edges edge-case-explorer medium
  concurrency concurrency-analyst large
  abuse adversarial-security-analyst large
discovery project-discovery: evidence; -
  layout project-scanner small
  commands project-scanner medium
  docs project-scanner medium
  architecture codebase-explorer large
discovery issue-triage: evidence; -
  triage junior-developer small
  areas codebase-explorer medium
  evidence evidence-based-investigator large
planning plan-a-feature: evidence, yagni; project-manager
  scope project-manager small
  questions junior-developer small
  experience user-experience-designer medium
  edges edge-case-explorer medium
  abuse adversarial-security-analyst large
planning plan-implementation: evidence, yagni; project-manager
  design software-architect small
  questions junior-developer small
  tests test-engineer medium
  data data-engineer medium
  security adversarial-security-analyst large
  resilience on-call-engineer large
  behavior behavioral-analyst large
planning plan-a-phased-build: evidence, yagni; -
  slices project-manager small
  questions junior-developer medium
  outline information-architect large
planning plan-work-items: yagni; -
  items project-manager small
  questions junior-developer medium
  tests test-engineer large
planning iterative-plan-review: evidence, yagni; project-manager
  questions junior-developer small
  claims evidence-based-investigator medium
  tests test-engineer medium
  design software-architect large
  security adversarial-security-analyst large
authoring architectural-decision-record: evidence, yagni; software-architect
  context codebase-explorer small
  risk risk-analyst medium
  questions junior-developer large
authoring coding-standard: evidence, yagni; software-architect
  practice codebase-explorer small
  existing codebase-explorer medium
  findability information-architect large
authoring runbook: evidence, yagni; on-call-engineer
  failure-modes on-call-engineer small
  code codebase-explorer medium
  operations devops-engineer large
authoring project-documentation: evidence; information-architect
  feature codebase-explorer small
  data codebase-explorer medium
  audit content-auditor large
authoring stakeholder-summary: evidence; -
  summary project-manager small
  questions junior-developer medium
  experience user-experience-designer large
review code-review: evidence, yagni; -
  correctness behavioral-analyst small
  structure structural-analyst small
  security adversarial-security-analyst medium
  resilience on-call-engineer medium
  concurrency concurrency-analyst large
  tests test-engineer large
review security-review: evidence; -
  exploits adversarial-security-analyst small
  data data-engineer medium
  operations devops-engineer medium
  edges edge-case-explorer large
review resilience-review: evidence, yagni; -
  resilience on-call-engineer small
  behavior behavioral-analyst medium
  operations devops-engineer large
  concurrency concurrency-analyst large
review data-review: evidence, yagni; -
  data data-engineer small
  behavior behavioral-analyst medium
  concurrency concurrency-analyst large
review ux-review: evidence; -
  experience user-experience-designer small
  questions junior-developer medium
  findability information-architect large
";

/// A flow as it was decided; an angle is its words.
pub struct Decided {
    pub category: &'static str,
    pub name: &'static str,
    pub contracts: Vec<&'static str>,
    pub synthesizer: Option<&'static str>,
    pub angles: Vec<Vec<&'static str>>,
}

/// All of them, in the launcher's order.
pub fn decided() -> Vec<Decided> {
    let mut flows: Vec<Decided> = Vec::new();
    for line in DECIDED.lines() {
        if let Some(angle) = line.strip_prefix("  ") {
            let flow = flows.last_mut().unwrap();
            flow.angles.push(angle.split(' ').collect());
            continue;
        }
        let (head, rest) = line.split_once(": ").unwrap();
        let (category, name) = head.split_once(' ').unwrap();
        let (contracts, synthesizer) = rest.split_once("; ").unwrap();
        flows.push(Decided {
            category,
            name,
            contracts: contracts.split(", ").collect(),
            synthesizer: Some(synthesizer).filter(|it| *it != "-"),
            angles: Vec::new(),
        });
    }
    flows
}
