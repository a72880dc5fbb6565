//! The evidence on a container of our own: each kind is gathered when the first claim needs it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::scene::{Around, Scene, lab_now};
use super::{limits, network, processes, roots, writes};
use claims::bounds::{self, Limited};
use claims::contents::Contents;
use claims::evidence::{Evidence, Looked, SETTLE};
use claims::finding::Finding;
use claims::look::{Mark, Sought, look_at};
use claims::outside::Outside;
use claims::sight::Subject;
use claims::started::Started;
use claims::users;
use claims::{Claim, Need};
use engine::spec::Root;
use engine::template::SECOND;
use fault::{Doing, Fault};
use kernel::cgroup::Limits;
use kernel::told::Silence;
use lab::Lab;

/// How long is waited between two looks at what the kernel does in its own time.
const A_WHILE: Duration = Duration::from_millis(5);

/// Hundredths of a CPU in one.
const HUNDREDTHS: f64 = 100.0;

/// The inquiry into one container.
pub struct Inquiry {
    evidence: Evidence,
    gathered: Vec<Need>,
    /// Directories of its groups.
    groups: Vec<PathBuf>,
}

impl Inquiry {
    /// Looks at a step's container.
    pub fn begin(scene: &Scene) -> Result<Inquiry, Fault> {
        let groups: Vec<PathBuf> = scene.container.on_host.groups.iter().map(|g| g.dir.clone()).collect();
        let wanted = scene.template.spec.limits.map_or_else(Limited::default, limited);
        let evidence = Evidence { exact: true, wanted, ..Evidence::default() };
        let mut inquiry = Inquiry { evidence, gathered: Vec::new(), groups };
        inquiry.evidence.looked = Some(inquiry.look(scene)?);
        Ok(inquiry)
    }

    /// Judges a claim about the container while it is there.
    pub fn judge(&mut self, claim: &Claim, scene: &Scene) -> Result<Option<Finding>, Fault> {
        if !self.gathered.contains(&claim.needs) {
            self.gather(claim.needs, scene)?;
            self.gathered.push(claim.needs);
        }
        Ok(claim.judge(&self.evidence))
    }

    /// Judges one when it has ended.
    pub fn judge_end(&mut self, claim: &Claim, lab: &Lab) -> Result<Option<Finding>, Fault> {
        if claim.needs == Need::Host {
            self.evidence.host = Some(lab.compare_host()?);
        } else if let Some(looked) = self.evidence.looked.as_mut().filter(|looked| looked.left.is_none()) {
            looked.left = Some(settled(&self.groups, &looked.before)?);
        }
        Ok(claim.judge(&self.evidence))
    }

    fn look(&self, scene: &Scene) -> Result<Looked, Fault> {
        let around = Around::of(scene.container);
        let layers = scene.layers();
        let secret = roots::secret(scene);
        let sought = Sought {
            mark: scene.template.spec.root.is_some().then_some(Mark::NotInIt(&secret)),
            contents: &Contents::of_layers(&layers).doing("read the image")?,
            given: match &scene.template.spec.root {
                Some(Root::Directory(dir)) => Some(dir),
                Some(Root::Layers(layers)) => layers.last().map(PathBuf::as_path),
                None => None,
            },
            network: scene.template.spec.network.is_some(),
        };
        let states = (scene.before.clone(), lab_now(&[])?);
        let mut looked = look_at(scene.container.pid, &around, &sought, states)?;
        if scene.template.spec.ids.is_some() {
            looked.users.outside_power = Some(users::power(scene.container.pid)?);
        }
        let limits = looked.limits_first;
        let named = Some(scene.template.spec.hostname.clone()).filter(|name| !name.is_empty());
        let swap = bounds::way_around(scene.container.pid, &around);
        Ok(Looked { named, swap, limits_later: limits, limits_last: limits, ..looked })
    }

    fn gather(&mut self, need: Need, scene: &Scene) -> Result<(), Fault> {
        let (template, evidence) = (scene.template, &mut self.evidence);
        match need {
            Need::Early => {
                let (first, unset) = limits::first(template)?;
                if let Some(looked) = &mut evidence.looked {
                    (looked.limits_first, looked.unset_first) = (first, unset);
                }
            }
            Need::Started => {
                let (other, _held) = template.resident(SECOND, &mut Silence)?;
                let started = Started::of(&Subject::of(other.pid)?);
                if let Some(looked) = &mut evidence.looked {
                    looked.started = started;
                }
            }
            Need::Terminate => evidence.terminated = Some(processes::passed_on(template)?),
            Need::Orphan => evidence.orphans = Some(processes::orphans(template, true)?),
            Need::Kernel => {
                evidence.nested = Some(processes::nested(template)?);
                evidence.unreaped = Some(processes::orphans(template, false)?);
                evidence.ended_with_pid_1 = Some(processes::end_of_one(template)?);
            }
            Need::Strain => evidence.strained = Some(limits::strained(template, evidence.wanted)?),
            Need::Write => {
                let wrote = writes::write(scene)?;
                evidence.written = Some(wrote.written);
                evidence.again = Some(Ok(wrote.again));
                evidence.image_same = Some(wrote.image_same);
            }
            Need::Mount => evidence.mounted = Some(roots::mounted(scene)?),
            Need::Escape => evidence.escape = Some(roots::escape(scene)?),
            Need::Queue => evidence.queue = roots::queue(scene)?,
            Need::Neighbours => {
                let (pair, masqueraded) = network::neighbours(scene)?;
                (evidence.pair, evidence.masqueraded) = (Some(pair), Some(masqueraded));
            }
            // Known from the first look, or when the container has ended, or of others' only.
            _ => {}
        }
        Ok(())
    }
}

/// Limits as they are asked for, as the kernel's files say them.
fn limited(limits: Limits) -> Limited {
    let hundredths = |cpus: f64| (cpus * HUNDREDTHS).round() as u64;
    Limited { memory: limits.memory, pids: limits.pids, cpus: limits.cpus.map(hundredths) }
}

/// The lab when nothing more changes in it by itself, or after a while.
fn settled(groups: &[PathBuf], before: &Outside) -> Result<Outside, Fault> {
    let until = Instant::now() + SETTLE;
    loop {
        let now = lab_now(groups)?;
        if now == *before || Instant::now() > until {
            return Ok(now);
        }
        std::thread::sleep(A_WHILE);
    }
}
