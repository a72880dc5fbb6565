//! Experiments: the same container with one operation left out, added or moved, and what the kernel says of both. An
//! experiment is data; what happens is found out by carrying both plans out and asking one question of each.

use super::op::{Call, Op};
use super::parts::{cgroup_limit, mount_proc, pivot_root, unshare_pid};
use super::plan::Stage;
use super::survey::{self, Survey};
use super::template::{Files, Template, Wanted};
use super::{Plan, Site, sealed};
use fault::Fault;
use lab::Lab;
use std::panic::Location;

use nix::sched::CloneFlags;

/// One experiment.
pub struct Experiment {
    /// Its name on the command line, and the key of its words.
    pub name: &'static str,
    /// Slug of the step that it belongs to.
    pub step: &'static str,
    /// What is done to the plan.
    pub change: Change,
    /// Where it may be made.
    pub place: Place,
    /// Which answer shows it.
    pub shown_by: Question,
    /// What the answer is expected to be without the wall, and with it.
    pub without: Expected,
    pub with: Expected,
}

/// What is done to a plan.
pub enum Change {
    /// All operations that this picks are left out.
    LeaveOut(fn(&Op) -> bool),
    /// An operation is added to a stage, behind all others.
    Add(fn() -> Op),
    /// What this picks is carried out before all else in its stage.
    MoveForward(fn(&Op) -> bool),
}

/// Where an experiment may be made. The VM is for whatever a wall of the lab's may not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a sealed lab, where the kernel is the learner's own.
    SealedLab,
    /// In a virtual machine only.
    Machine,
}

/// Where an answer stands in a [`Survey`].
pub enum Question {
    Inside(&'static str),
    Outside(&'static str),
}

/// What an answer is expected to be.
#[derive(Clone, Copy)]
pub enum Expected {
    /// This.
    Is(&'static str),
    /// No answer: there is nothing to be said.
    Nothing,
    /// Any answer.
    Something,
}

/// All experiments, by step.
pub const EXPERIMENTS: [Experiment; 5] = [
    Experiment {
        name: "new-privileges",
        step: unshare_pid::SLUG,
        change: Change::Add(|| Op {
            step: unshare_pid::SLUG,
            stage: Stage::Seal,
            why: "exec",
            call: Call::NoNewPrivileges,
            undo: None,
            source: Location::caller(),
            told: true,
        }),
        place: Place::SealedLab,
        shown_by: Question::Inside("new privileges"),
        without: Expected::Is("yes"),
        with: Expected::Is("no"),
    },
    Experiment {
        name: "shared-propagation",
        step: mount_proc::SLUG,
        change: Change::LeaveOut(|op| op.why == "private"),
        place: Place::SealedLab,
        shown_by: Question::Outside("the host's mounts"),
        without: Expected::Something,
        with: Expected::Nothing,
    },
    Experiment {
        name: "no-uts-namespace",
        step: pivot_root::SLUG,
        change: Change::LeaveOut(|op| op.call == Call::Namespace(CloneFlags::CLONE_NEWUTS)),
        place: Place::SealedLab,
        shown_by: Question::Outside("the host's host name"),
        without: Expected::Is("box"),
        with: Expected::Nothing,
    },
    Experiment {
        name: "no-mount-namespace",
        step: pivot_root::SLUG,
        change: Change::LeaveOut(|op| op.call == Call::Namespace(CloneFlags::CLONE_NEWNS)),
        place: Place::Machine,
        shown_by: Question::Outside("mnt namespace"),
        without: Expected::Is("the host's"),
        with: Expected::Is("its own"),
    },
    Experiment {
        name: "namespace-too-early",
        step: cgroup_limit::SLUG,
        change: Change::MoveForward(|op| op.call == Call::Unshare(CloneFlags::CLONE_NEWCGROUP)),
        place: Place::SealedLab,
        shown_by: Question::Inside("its group as it sees it"),
        without: Expected::Is("not /"),
        with: Expected::Is("/"),
    },
];

/// The two containers of an experiment: one has the wall that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    Without,
    With,
}

impl Variant {
    pub const BOTH: [Variant; 2] = [Variant::Without, Variant::With];

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Without => "without",
            Variant::With => "with",
        }
    }
}

impl Experiment {
    /// Makes one of its containers in a sealed lab. Returns the answer, or what refused the container.
    pub fn make(
        &self,
        variant: Variant,
        lab: &Lab,
        wanted: Wanted,
        files: impl FnOnce() -> Result<Files, Fault>,
    ) -> Result<Option<String>, Fault> {
        let survey = sealed::within(lab, |lab| {
            let template = Template::new(lab, wanted, files)?;
            let site = Site::in_lab(lab, &template.spec)?;
            let mut plan = Plan::new(&template.spec, &site)?;
            if variant == self.change.makes() {
                self.change.apply(&mut plan);
            }
            survey::of(&plan, &template.spec, &site, lab)
        })?;
        Ok(self.shown_by.answer(&survey))
    }

    /// Whether an answer is what was expected.
    pub fn holds(&self, variant: Variant, answer: Option<&str>) -> bool {
        match (self.expects(variant), answer) {
            (Expected::Is(text), Some(answer)) => answer == text,
            (Expected::Nothing, answer) => answer.is_none(),
            (Expected::Something, answer) => answer.is_some(),
            (Expected::Is(_), None) => false,
        }
    }

    /// What is expected of one of its containers.
    pub fn expects(&self, variant: Variant) -> Expected {
        match variant {
            Variant::Without => self.without,
            Variant::With => self.with,
        }
    }
}

impl Change {
    /// Which of the two containers a changed plan makes. The other is the step's own.
    fn makes(&self) -> Variant {
        match self {
            Change::Add(_) => Variant::With,
            Change::LeaveOut(_) | Change::MoveForward(_) => Variant::Without,
        }
    }

    /// Changes a plan.
    fn apply(&self, plan: &mut Plan) {
        match self {
            Change::LeaveOut(picks) => plan.ops.retain(|op| !picks(op)),
            Change::Add(op) => plan.ops.push(op()),
            // Sorting by stage leaves those of one stage in this order.
            Change::MoveForward(picks) => plan.ops.sort_by_key(|op| !picks(op)),
        }
        plan.sort();
    }
}

impl Question {
    fn answer(&self, survey: &Survey) -> Option<String> {
        match self {
            Question::Inside(question) => survey.inside.get(*question).cloned(),
            Question::Outside(question) => survey.outside.get(*question).cloned(),
        }
    }
}
