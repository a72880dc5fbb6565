//! What is there on both sides after so many calls of a recording: the sum of what they have changed.

use super::read::{Effect, Made};
use kernel::told::Actor;

/// From above: who it is, what it sees, what it may use. Other kinds come last, and descriptors not at all: they are closed
/// again before the program starts.
const ORDER: [&str; 14] = [
    "process",
    "program",
    "privilege",
    "namespace",
    "name",
    "directory",
    "mount",
    "group",
    "file",
    "link",
    "address",
    "route",
    "rule",
    "table",
];

/// One thing on one side.
#[derive(Clone, Debug, PartialEq)]
pub struct Thing {
    pub kind: String,
    pub name: String,
    pub value: String,
    /// Whether the last call has made it or changed it.
    pub is_new: bool,
}

/// Both sides at one moment.
#[derive(Default)]
pub struct Scene {
    pub host: Vec<Thing>,
    pub container: Vec<Thing>,
}

impl Scene {
    /// After the first `count` calls.
    pub fn after<'a>(calls: impl Iterator<Item = &'a Made>, count: usize) -> Scene {
        let mut scene = Scene::default();
        for made in calls.take(count) {
            for things in [&mut scene.host, &mut scene.container] {
                things.iter_mut().for_each(|thing| thing.is_new = false);
            }
            made.effect.iter().filter(|effect| is_shown(effect)).for_each(|effect| scene.apply(effect));
        }
        for things in [&mut scene.host, &mut scene.container] {
            things.sort_by_key(|thing| place(&thing.kind));
        }
        scene
    }

    pub fn side(&self, actor: Actor) -> &[Thing] {
        match actor {
            Actor::Host => &self.host,
            Actor::Container => &self.container,
        }
    }

    /// Two mounts may have one name: what is there is changed, and what is new comes beside it.
    fn apply(&mut self, effect: &Effect) {
        let things = match effect.side {
            Actor::Host => &mut self.host,
            Actor::Container => &mut self.container,
        };
        let same = |thing: &Thing| thing.kind == effect.kind && thing.name == effect.name;
        let at = effect.old.as_ref().and_then(|_| things.iter().rposition(same));
        match (&effect.new, at) {
            (Some(new), at) => {
                let (kind, name) = (effect.kind.clone(), effect.name.clone());
                let thing = Thing { kind, name, value: short(&effect.kind, new), is_new: true };
                match at.and_then(|at| things.get_mut(at)) {
                    Some(known) => *known = thing,
                    None => things.push(thing),
                }
            }
            (None, Some(at)) => drop(things.remove(at)),
            (None, None) => {}
        }
    }
}

fn place(kind: &str) -> usize {
    ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
}

/// Not what the kernel adds by itself: the addresses and routes of its table `local`, and IPv6's.
fn is_shown(effect: &Effect) -> bool {
    let of_network = matches!(effect.kind.as_str(), "address" | "route");
    effect.kind != "descriptor"
        && !(of_network && (effect.name.contains("table 255") || effect.name.contains("::")))
}

/// A value as it fits beside its name: of `ext4 /dev/vda / (rw; rw,discard) shared:1` the filesystem, of several PIDs the
/// outermost first.
fn short(kind: &str, value: &str) -> String {
    match kind {
        "mount" => value.split([' ', ',']).next().unwrap_or_default().to_owned(),
        "process" => value.replace(' ', " → "),
        "namespace" => value.rsplit(':').next().unwrap_or_default().to_owned(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::told::Call;

    /// Kind, side, name, old and new.
    type Told<'a> = (&'a str, Actor, &'a str, Option<&'a str>, Option<&'a str>);

    fn made(effects: &[Told]) -> Made {
        let [step, name, result, why, source] = Default::default();
        let call = Call {
            step,
            actor: Actor::Host,
            name,
            args: Vec::new(),
            result,
            ok: true,
            why,
            source,
            brief: None,
        };
        let effect = effects.iter().map(|(kind, side, name, old, new)| Effect {
            kind: kind.to_string(),
            side: *side,
            name: name.to_string(),
            old: old.map(String::from),
            new: new.map(String::from),
        });
        Made { seq: 1, at: 0.0, call, effect: effect.collect() }
    }

    #[test]
    fn a_scene_is_the_sum_of_all_changes_up_to_a_call() {
        let inside = Actor::Container;
        let calls = [
            made(&[
                ("mount", inside, "/", None, Some("tmpfs t / (rw) private")),
                ("process", inside, "7", None, Some("7 1")),
            ]),
            made(&[("mount", inside, "/", None, Some("ext4 /dev/vda / (rw) private"))]),
            made(&[
                ("mount", inside, "/", Some("ext4 /dev/vda / (rw) private"), None),
                ("descriptor", inside, "3", None, Some("x")),
            ]),
            made(&[("mount", inside, "/", Some("tmpfs t / (rw) private"), Some("tmpfs t / (ro) private"))]),
        ];
        let at = |count| -> Vec<(String, bool)> {
            let scene = Scene::after(calls.iter(), count);
            assert!(scene.host.is_empty());
            scene
                .side(inside)
                .iter()
                .map(|thing| (format!("{} {}", thing.kind, thing.value), thing.is_new))
                .collect()
        };
        assert_eq!(at(0), []);
        assert_eq!(at(1), [("process 7 → 1".into(), true), ("mount tmpfs".into(), true)]);
        assert_eq!(at(2)[2], ("mount ext4".into(), true));
        assert_eq!(at(3), [("process 7 → 1".into(), false), ("mount tmpfs".into(), false)]);
        assert_eq!(at(4)[1], ("mount tmpfs".into(), true));
    }
}
