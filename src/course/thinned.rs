//! Each step's plan with each single operation left out: either that is refused in so many words, or the container
//! lacks exactly what the operation was for.

use nix::unistd::{Gid, geteuid, setgroups};

use crate::{STEPS, Step, wanted};
use engine::ids::Ids;
use engine::op::Op;
use engine::survey::{self, Survey};
use engine::template::{self, Files, Template};
use engine::{Plan, Site, sealed};
use fault::{Fault, errno_name};
use image::{Store, host_search_path};
use kernel::cgroup::{self, Controller, Limits, Version};
use kernel::lacks;
use kernel::signals::Signals;
use lab::Lab;
use lab::folders::Folders;
use testing::skip;

const LIMITS: Limits = Limits { memory: Some(64 << 20), pids: Some(64), cpus: Some(0.5), ..Limits::NONE };

/// A group that root is in besides its own: one number is as good as another.
const SOME_GROUP: u32 = 6;

/// What is said of a container that lacks nothing.
const SAME: &str = "the same";

/// Operations that this container would be the same without, and why they are there.
const UNMISSED: [(&str, &str); 6] = [
    ("/proc\", 0755)", "the image has the directory; a learner's own may lack it"),
    ("/dev\", 0755)", "as above"),
    ("/sys\", 0755)", "as above"),
    ("cpu.cfs_period_us", "the kernel's default is the same period"),
    ("addrgenmode none", "IPv6 addresses make noise and delay, and are otherwise as good as none"),
    ("chdir(\"/\")", "\".\" is the new root already, since nothing else is left of the old one"),
];

/// One line for each operation of a step's container, and what its absence comes to.
fn table(folders: &Folders, step: &'static Step) -> Vec<String> {
    let plan = planned(folders, step);
    let whole = surveyed(folders, step, None).unwrap_or_else(|fault| panic!("the whole plan: {fault}"));
    let absent = |(index, op): (usize, &Op)| {
        let came_of_it = match surveyed(folders, step, Some(index)) {
            Ok(survey) => lacking(&whole, &survey),
            Err(fault) => format!("refused: {}", in_short(&fault)),
        };
        let (name, args) = (op.call.name(), op.call.args().join(", "));
        format!("{} {} {name}({args})\n    {came_of_it}", op.step, op.stage.name())
    };
    plan.ops.iter().enumerate().map(absent).collect()
}

/// What a container of this step lacks, in the words of the questions that it answers otherwise.
fn lacking(whole: &Survey, thinned: &Survey) -> String {
    let differences = whole.differences(thinned);
    match &differences[..] {
        [] => SAME.into(),
        few if few.len() <= 6 => few.join("; "),
        many => format!("{}; and {} more", many[..5].join("; "), many.len() - 5),
    }
}

fn in_short(fault: &Fault) -> String {
    match fault {
        Fault::Refused(refused) => format!("{} {}", refused.name, errno_name(&refused.errno)),
        Fault::Unable { key, .. } | Fault::Usage { key, .. } | Fault::Program { key, .. } => key.clone(),
        other => other.to_string(),
    }
}

fn files(folders: &Folders) -> Result<Files, Fault> {
    let store = Store::new(folders.cache.join("images"));
    let image = store.host_image(&host_search_path());
    image.map(Files::Image).map_err(|e| Fault::broken("make an image", e))
}

/// The plan as it is drawn in a sealed lab.
fn planned(folders: &Folders, step: &'static Step) -> Plan {
    let spec = template::planned(folders, wanted(step.with_all_below(), LIMITS), || files(folders));
    let spec = spec.expect("what is wanted");
    let site = Site::planned(folders, !geteuid().is_root(), 1, &spec).expect("a site");
    Plan::new(&spec, &site).expect("a plan")
}

/// What the step's container has, made in a sealed lab of its own; without the operation of this number.
fn surveyed(folders: &Folders, step: &'static Step, without: Option<usize>) -> Result<Survey, Fault> {
    // In a process of its own, which enters the lab in our place.
    lacks::aside(|| {
        // As after a login: some of root's shells have other groups, some have none.
        let _ = setgroups(&[Gid::from_raw(SOME_GROUP)]);
        let signals = Signals::take().map_err(|e| Fault::broken("take signals", e))?;
        let lab = Lab::enter(folders.clone(), signals)?;
        sealed::within(&lab, |lab| {
            let template = Template::new(lab, wanted(step.with_all_below(), LIMITS), || files(folders))?;
            let site = Site::in_lab(lab, &template.spec)?;
            let mut plan = Plan::new(&template.spec, &site)?;
            if let Some(index) = without {
                plan = plan.without(index);
            }
            survey::of(&plan, &template.spec, &site, lab)
        })
    })?
}

/// What only this machine has in a line.
fn masked(line: &str, folders: &Folders) -> String {
    let ids = Ids::here(!geteuid().is_root()).expect("ids that are nobody's");
    let line = if ids.are_others() { line.replace(&ids.uid.to_string(), "FIRST") } else { line.into() };
    let numbers = regex::Regex::new(r"workshop-\d+-\d+-\d+").expect("a pattern");
    let group = regex::Regex::new(r"/sys/fs/cgroup/[^>\x22\s]*GROUP").expect("a pattern");
    let image = regex::Regex::new(r"LAB/images/\S+?([,\x22])").expect("a pattern");
    let line = line.replace(&*folders.cache.to_string_lossy(), "LAB");
    let line = numbers.replace_all(&line, "GROUP");
    let line = group.replace_all(&line, "GROUP");
    image.replace_all(&line, "IMAGE$1").into_owned()
}

#[test]
fn without_any_one_operation_a_plan_is_refused_or_its_container_lacks_what_that_was_for() {
    match cgroup::places(&Controller::ALL) {
        Err(_) => return skip("no group with limits can be made here", "Run the tests as root"),
        Ok(places) if places.iter().any(|place| place.hierarchy.version == Version::V2) => {
            return skip("the table was made on cgroup v1", "It is compared on such a host");
        }
        Ok(_) => {}
    }
    let dir = tempfile::tempdir().expect("a directory");
    let folders = Folders::at(dir.path());
    files(&folders).expect("an image");
    for step in STEPS.iter().filter(|step| step.part().is_some()) {
        let table: Vec<_> = table(&folders, step).iter().map(|line| masked(line, &folders)).collect();
        let unmissed = table.iter().filter(|line| line.ends_with(SAME));
        let known = |line: &&String| UNMISSED.iter().any(|(part, _)| line.contains(part));
        assert_eq!(unmissed.filter(|line| !known(line)).collect::<Vec<_>>(), Vec::<&String>::new());
        insta::assert_snapshot!(format!("thinned_{}", step.number), table.join("\n"));
    }
}
