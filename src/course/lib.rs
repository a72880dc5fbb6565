//! The course: its steps in order, the text of their lessons and the languages these are written in.

pub mod command_line;
mod embedded;
pub mod exercise;
pub mod language;
pub mod lesson;
pub mod markdown;
pub mod posture;
pub mod progress;
pub mod steps;
pub mod words;

use checks::{Fact, Scene};
use claims::machine::Machine;
use claims::task::{Asked, Task};
use claims::{Claim, HOST_SAME};
use engine::template::Wanted;
use fault::Fault;
use kernel::cgroup::Limits;
use lab::Lab;

use language::Phrase;
pub use steps::STEPS;
use steps::boot_vm::Boot;

#[cfg(test)]
mod format;
#[cfg(test)]
mod thinned;

/// One step of the course. Number and slug never change once released.
pub struct Step {
    pub number: u32,
    pub slug: &'static str,
    /// What it builds.
    pub builds: Build,
    /// Asks, before anything is built, whether the host gives what it may refuse. Other steps can stand without
    /// such a step. `None` where only the step's own calls can tell.
    permit: Option<Permit>,
    /// What is claimed of the container, or of what stands beside it: of ours, of a learner's own program's, or of both.
    pub claims: &'static [Claim],
    /// What a learner's own program is asked for at this step, if it has an exercise.
    pub exercise: Option<Asked>,
}

/// Asks a host for something without keeping it.
type Permit = fn(&Lab) -> Result<(), Fault>;

/// What a step builds.
pub enum Build {
    /// One more part of the container.
    Part(Part),
    /// A virtual machine beside it.
    Machine(VirtualMachine),
}

/// A step's part of the container.
pub struct Part {
    /// What it wants, in addition to what the steps before want; with these limits, if it limits anything.
    pub wants: fn(&mut Wanted, Limits),
    /// What the container looks like from both sides.
    pub facts: fn(&Scene) -> Result<Vec<Fact>, Fault>,
    /// Its row in the picture.
    pub row: Row,
    /// What it makes the container's own, of [`ASPECTS`](checks::ASPECTS).
    pub owns: &'static [&'static str],
    /// The options of `run` that ask for it.
    pub options: &'static [&'static str],
    /// Key of the words that say how `run` goes on without it, where a host refuses it.
    pub way_on: Option<&'static str>,
}

/// A row of the picture of host and container: what the host has, and what the container has of its own instead.
pub struct Row {
    pub host: Phrase,
    pub own: Phrase,
}

/// A step's virtual machine.
pub struct VirtualMachine {
    /// What it looks like from both sides.
    pub facts: fn(&mut Boot) -> Result<Vec<Fact>, Fault>,
    /// What is known of it while it runs.
    pub look: fn(&mut Boot) -> Result<Machine, Fault>,
    /// The file that has its source.
    pub source: &'static str,
}

impl Step {
    /// The step with this number, slug or lesson folder: `3`, `pivot-root` and `03-pivot-root` are the same one.
    pub fn find(name: &str) -> Option<&'static Step> {
        STEPS
            .iter()
            .find(|step| name == step.slug || name == step.folder() || name.parse() == Ok(step.number))
    }

    /// The step with this number.
    pub fn numbered(number: u32) -> Option<&'static Step> {
        STEPS.iter().find(|step| step.number == number)
    }

    /// The step whose slug is most like `name`, if any is like enough to be what was meant.
    pub fn closest(name: &str) -> Option<&'static Step> {
        let wanted = letters(name);
        if wanted.chars().count() < 2 {
            return None;
        }
        // A whole part of a slug ("cgroup", "proc") says enough; anything else may be misspelt in a third of its letters.
        let part = STEPS.iter().find(|step| letters(step.slug).contains(&wanted));
        part.or_else(|| {
            let allowed = (wanted.chars().count() / 3).max(1);
            STEPS
                .iter()
                .map(|step| (strsim::levenshtein(&wanted, &letters(step.slug)), step))
                .min_by_key(|(distance, _)| *distance)
                .filter(|(distance, _)| *distance <= allowed)
                .map(|(_, step)| step)
        })
    }

    /// The steps that this one stands on: all before it that add to the container.
    pub fn builds_on(&self) -> Vec<&'static Step> {
        STEPS.iter().filter(|step| step.number < self.number && step.part().is_some()).collect()
    }

    /// Those and this one.
    pub fn with_all_below(&'static self) -> impl Iterator<Item = &'static Step> {
        self.builds_on().into_iter().chain([self])
    }

    /// Whether it comes after another one.
    pub fn is_after(&self, other: &Step) -> bool {
        self.number > other.number
    }

    /// The part that it adds to the container, if that is what it builds.
    pub fn part(&self) -> Option<&Part> {
        match &self.builds {
            Build::Part(part) => Some(part),
            Build::Machine(_) => None,
        }
    }

    /// For what is about a container.
    ///
    /// # Errors
    /// A [`Fault::Usage`] where the step builds something beside it.
    pub fn must_make_a_container(&self) -> Result<(), Fault> {
        let with = [("step", &*self.number.to_string()), ("slug", self.slug)];
        self.part().map(|_| ()).ok_or_else(|| Fault::usage("step-makes-no-container", &with))
    }

    /// What our own container, or machine, is judged by at this step. That the real host is as before comes last.
    pub fn own_claims(&self) -> impl Iterator<Item = &'static Claim> {
        self.claims.iter().chain([&HOST_SAME]).filter(|claim| claim.is_of_ours())
    }

    /// What a learner's own program is asked for and judged by, if it has an exercise.
    pub fn task(&self) -> Option<Task> {
        self.exercise.map(|asks| Task { asks, claims: self.claims })
    }

    /// Whether this host gives what the step takes, and if not, what is missing.
    pub fn permitted(&self, lab: &Lab) -> Result<(), Fault> {
        self.permit.map_or(Ok(()), |ask| ask(lab))
    }

    /// Whether a host may refuse it, so that other steps must be able to stand without it.
    pub fn can_be_missed(&self) -> bool {
        self.permit.is_some()
    }

    /// The first step that wants something of a container that this tells.
    pub fn that_wants(is_it: fn(&Wanted) -> bool) -> Option<&'static Step> {
        STEPS.iter().find(|step| is_it(&wanted([*step], Limits::NONE)))
    }

    /// The step that an option of `run` asks for.
    pub fn with_option(option: &str) -> Option<&'static Step> {
        STEPS.iter().find(|step| step.part().is_some_and(|part| part.options.contains(&option)))
    }

    /// The step that makes one of the summary's aspects the container's own.
    pub fn that_owns(aspect: &str) -> Option<&'static Step> {
        STEPS.iter().find(|step| step.part().is_some_and(|part| part.owns.contains(&aspect)))
    }

    /// The step that comes after this one.
    pub fn next(&self) -> Option<&'static Step> {
        Step::numbered(self.number + 1)
    }

    /// Folder of the lesson below `lessons/`: `03-pivot-root`.
    pub fn folder(&self) -> String {
        format!("{:02}-{}", self.number, self.slug)
    }

    /// Source file of what the step builds: `src/engine/parts/pivot_root.rs`.
    pub fn source(&self) -> String {
        match &self.builds {
            Build::Part(_) => format!("src/engine/parts/{}.rs", self.slug.replace('-', "_")),
            Build::Machine(machine) => machine.source.into(),
        }
    }
}

/// What a container of these steps is to be, with these limits where one of them limits anything.
pub fn wanted<'s>(steps: impl IntoIterator<Item = &'s Step>, limits: Limits) -> Wanted {
    let mut wanted = Wanted::default();
    for part in steps.into_iter().filter_map(Step::part) {
        (part.wants)(&mut wanted, limits);
    }
    wanted
}

/// What counts when names are compared: `Pivot_Root` and `pivotroot` are meant alike.
fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use checks::ASPECTS;

    fn slug(step: Option<&Step>) -> Option<&str> {
        step.map(|step| step.slug)
    }

    #[test]
    fn a_step_is_found_by_number_slug_and_folder() {
        for name in ["3", "03", "pivot-root", "03-pivot-root"] {
            assert_eq!(slug(Step::find(name)), Some("pivot-root"), "{name}");
        }
        let one_too_many = (STEPS.len() + 1).to_string();
        for name in ["0", &one_too_many, "99", "", "pivotroot", "-3"] {
            assert_eq!(slug(Step::find(name)), None, "{name}");
        }
    }

    #[test]
    fn numbers_are_the_places_in_the_table() {
        assert!(STEPS.iter().zip(1..).all(|(step, place)| step.number == place));
    }

    #[test]
    fn each_step_owns_what_the_summary_shows_and_no_other_does() {
        let owned: Vec<_> =
            STEPS.iter().filter_map(Step::part).flat_map(|part| part.owns.iter().copied()).collect();
        for key in &owned {
            assert!(ASPECTS.iter().any(|aspect| aspect.key == *key), "{key}");
            assert_eq!(owned.iter().filter(|other| *other == key).count(), 1, "{key}");
        }
    }

    #[test]
    fn the_closest_step_is_the_one_meant() {
        for (name, meant) in [
            ("pivotroot", Some("pivot-root")),
            ("pviot-root", Some("pivot-root")),
            ("unshare", Some("unshare-pid")),
            ("Mount_Proc", Some("mount-proc")),
            ("cgroups-limit", Some("cgroup-limit")),
            ("overlayfs", Some("overlay")),
            ("bridge", Some("veth-bridge")),
            ("kubernetes", None),
            ("99", None),
            ("", None),
        ] {
            assert_eq!(slug(Step::closest(name)), meant, "{name}");
        }
    }

    #[test]
    fn steps_know_their_neighbours_and_files() {
        let Some(step) = Step::find("3") else { panic!("step 3 exists") };
        assert_eq!(step.builds_on().iter().map(|step| step.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(slug(step.next()), Some("cgroup-limit"));
        assert_eq!(slug(STEPS.last().and_then(Step::next)), None);
        assert_eq!(step.source(), "src/engine/parts/pivot_root.rs");
    }

    #[test]
    fn a_container_is_what_its_steps_want_together() {
        let Some(step) = Step::find("5") else { panic!("step 5 exists") };
        let without = step.builds_on().into_iter().filter(|below| !below.can_be_missed());
        let limits = Limits { memory: Some(1), ..Limits::NONE };
        let wanted = wanted(without.chain([step]), limits);
        assert!(wanted.spec.processes && wanted.spec.mounts && wanted.root && wanted.layers);
        assert!(wanted.spec.limits.is_none() && wanted.spec.network.is_none());
    }
}
