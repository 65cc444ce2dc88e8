//! The steps of a general flow that a launch leaves.

use super::draft::{Draft, draft, holds};
use crate::definition::{Code, General, Step, VALIDATOR_PERSONA, Work};
use crate::name::{Fact, field_reference};
use crate::plan::{Join, Kind, Launch, PlanStep, Role, ancestors, spine_ids};

/// The steps of a general flow, its report included.
pub(super) fn general_drafts(general: &General, launch: &Launch) -> Vec<Draft> {
    let kept = kept_steps(general, launch);
    let mut drafts: Vec<Draft> = kept.iter().map(|step| general_draft(step)).collect();
    for draft in &mut drafts {
        draft
            .step
            .needs
            .retain(|need| kept.iter().any(|step| step.id == *need));
        if let Some(merge) = &mut draft.step.merge {
            merge
                .exempt
                .retain(|id| kept.iter().any(|step| step.id == *id));
        }
    }
    restore_sources(&mut drafts);
    let plans: Vec<PlanStep> = drafts.iter().map(|draft| draft.step.clone()).collect();
    let ends = report_needs(&plans);
    match drafts
        .iter_mut()
        .find(|draft| draft.step.role == Role::Render)
    {
        Some(render) if render.step.needs.is_empty() => {
            render.step.needs = ends;
            render.step.join = Join::Any;
        }
        Some(_) => {}
        None => {
            let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
            let report = spine_ids::REPORT;
            drafts.push(draft(
                report,
                "Report",
                Kind::Code,
                Role::Render,
                &ends,
                Join::Any,
            ));
        }
    }
    drafts
}

/// The steps that have a row: of the band, with their launch fact, reading no field of a step that
/// has none.
fn kept_steps<'a>(general: &'a General, launch: &Launch) -> Vec<&'a Step> {
    let fact = |step: &Step| {
        let fact = step
            .when
            .as_deref()
            .and_then(|when| when.parse::<Fact>().ok());
        fact.is_none_or(|fact| holds(fact, launch))
    };
    let mut kept: Vec<&Step> = general
        .steps
        .iter()
        .filter(|step| step.band <= launch.band && fact(step))
        .collect();
    loop {
        let ids: Vec<&str> = kept.iter().map(|step| step.id.as_str()).collect();
        let before = kept.len();
        let readable = |reference: &Option<String>| {
            let source = reference.as_deref().and_then(field_reference);
            source.is_none_or(|(source, _)| ids.contains(&source))
        };
        kept.retain(|step| readable(&step.when) && readable(&step.foreach) && joins(step, &ids));
        if kept.len() == before {
            return kept;
        }
    }
}

/// Code that joins outputs goes when everything that it would join has gone.
fn joins(step: &Step, kept: &[&str]) -> bool {
    let code = matches!(
        step.work,
        Work::Code {
            code: Code::Fold | Code::MergeFindings,
            ..
        }
    );
    !code || step.needs.iter().any(|need| kept.contains(&need.as_str()))
}

fn general_draft(step: &Step) -> Draft {
    let needs: Vec<&str> = step.needs.iter().map(String::as_str).collect();
    let (kind, role) = match &step.work {
        Work::Code { code, .. } => (
            Kind::Code,
            match code {
                Code::Fold => Role::Fold,
                Code::MergeFindings => Role::MergeFindings,
                Code::Render => Role::Render,
            },
        ),
        Work::Agent { .. } if step.foreach.is_some() => (Kind::Code, Role::FanOut),
        Work::Agent { persona, .. } if persona == VALIDATOR_PERSONA => {
            (Kind::Agent, Role::Validator)
        }
        Work::Agent { .. } => (Kind::Agent, Role::Step),
    };
    let mut draft = draft(&step.id, &step.label, kind, role, &needs, step.join);
    match &step.work {
        Work::Agent { persona, brief } => draft = draft.by(persona, brief),
        Work::Code { merge, .. } => draft.step.merge.clone_from(merge),
    }
    draft.step.when = step
        .when
        .clone()
        .filter(|when| field_reference(when).is_some());
    draft.step.foreach.clone_from(&step.foreach);
    draft
}

/// A step between a reader and its source may have gone: then the reader needs the source itself.
fn restore_sources(drafts: &mut [Draft]) {
    for i in 0..drafts.len() {
        let step = &drafts[i].step;
        let references = [&step.when, &step.foreach];
        let sources: Vec<String> = references
            .into_iter()
            .filter_map(|reference| reference.as_deref().and_then(field_reference))
            .map(|(source, _)| source.to_owned())
            .collect();
        for source in sources {
            let plans: Vec<PlanStep> = drafts.iter().map(|draft| draft.step.clone()).collect();
            if !ancestors(&plans, &drafts[i].step.id).contains(source.as_str()) {
                drafts[i].step.needs.push(source);
            }
        }
    }
}

/// What a report waits for: all ends of the graph. An end that may be skipped as the run goes
/// counts with what it needs, so that a skipped end does not leave a report of nothing.
fn report_needs(steps: &[PlanStep]) -> Vec<String> {
    let needed = |id: &str| {
        steps
            .iter()
            .any(|step| step.needs.iter().any(|need| need == id))
    };
    let mut ends: Vec<String> = steps
        .iter()
        .filter(|step| step.role != Role::Render && !needed(&step.id))
        .map(|step| step.id.clone())
        .collect();
    let mut next = 0;
    while next < ends.len() {
        let step = steps.iter().find(|step| step.id == ends[next]);
        if let Some(step) = step.filter(|step| step.when.is_some()) {
            for need in &step.needs {
                if !ends.contains(need) {
                    ends.push(need.clone());
                }
            }
        }
        next += 1;
    }
    ends
}
