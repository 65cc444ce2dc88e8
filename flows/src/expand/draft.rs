//! Steps on their way into a plan, and those of a spine.

use crate::definition::{Spine, VALIDATOR_PERSONA};
use crate::name::Fact;
use crate::plan::{Join, Kind, Launch, PlanStep, Role, spine_ids};
use crate::prompt;

/// A step on its way into the plan.
pub(super) struct Draft {
    pub step: PlanStep,
    pub brief: Option<String>,
}

/// Whether a launch fact holds.
pub(super) fn holds(fact: Fact, launch: &Launch) -> bool {
    match fact {
        Fact::Project => launch.project.is_some(),
        Fact::Documents => !launch.documents.is_empty(),
        Fact::Base => launch.base.is_some(),
    }
}

/// A step without a persona; the wave comes later.
pub(super) fn draft(
    id: &str,
    label: &str,
    kind: Kind,
    role: Role,
    needs: &[&str],
    join: Join,
) -> Draft {
    let step = PlanStep {
        id: id.to_owned(),
        label: label.to_owned(),
        kind,
        role,
        persona: None,
        prefix: None,
        persona_hash: None,
        prompt_hash: None,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        join,
        when: None,
        foreach: None,
        merge: None,
        wave: 0,
    };
    Draft { step, brief: None }
}

impl Draft {
    /// The step as an agent's.
    pub fn by(mut self, persona: &str, brief: &str) -> Self {
        self.step.persona = Some(persona.to_owned());
        self.brief = Some(brief.to_owned());
        self
    }
}

/// The steps of a spine.
pub(super) fn spine_drafts(spine: &Spine, launch: &Launch) -> Vec<Draft> {
    use spine_ids::{FOLD, REPORT, SYNTHESIS, VALIDATION};
    let mut drafts: Vec<Draft> = spine
        .angles
        .iter()
        .filter(|angle| angle.band <= launch.band)
        .filter(|angle| angle.when.is_none_or(|fact| holds(fact, launch)))
        .map(|angle| {
            draft(
                &angle.id,
                &angle.label,
                Kind::Agent,
                Role::Angle,
                &[],
                Join::All,
            )
            .by(&angle.persona, &angle.brief)
        })
        .collect();
    let ids: Vec<String> = drafts.iter().map(|draft| draft.step.id.clone()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    drafts.push(draft(FOLD, "Fold", Kind::Code, Role::Fold, &ids, Join::Any));
    let mut judged = vec![FOLD];
    if let Some(synthesizer) = &spine.synthesizer {
        drafts.push(
            draft(
                SYNTHESIS,
                &synthesizer.label,
                Kind::Agent,
                Role::Synthesizer,
                &[FOLD],
                Join::All,
            )
            .by(&synthesizer.persona, &synthesizer.brief),
        );
        // The validator judges the answer by what it was made from, so it gets both.
        judged.insert(0, SYNTHESIS);
    }
    let mut brief = prompt::VALIDATOR_BRIEF.trim().to_owned();
    if let Some(own) = &spine.validator.brief {
        brief.push_str("\n\n");
        brief.push_str(own);
    }
    drafts.push(
        draft(
            VALIDATION,
            "Validation",
            Kind::Agent,
            Role::Validator,
            &judged,
            Join::All,
        )
        .by(VALIDATOR_PERSONA, &brief),
    );
    drafts.push(draft(
        REPORT,
        "Report",
        Kind::Code,
        Role::Render,
        &[VALIDATION],
        Join::All,
    ));
    drafts
}
