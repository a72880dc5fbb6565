//! The claim about the learner's real machine.

use super::evidence::Evidence;
use super::finding::{Finding, Seen};
use super::outside::Outside;

/// What is there now and was not before the lab, and what is not there any more.
pub fn host_same(evidence: &Evidence) -> Option<Finding> {
    let (before, now) = evidence.host.as_ref()?;
    let lists = [(&before.mounts, &now.mounts), (&before.links, &now.links), (&before.routes, &now.routes)];
    let new = lists.iter().flat_map(|(before, now)| Outside::new_in(now, before)).map(Seen::fact);
    let gone = lists.iter().flat_map(|(before, now)| Outside::new_in(before, now));
    let gone = gone.map(|line| Seen::found("no-more", [("what", &line)]));
    let changed = Seen::List(new.chain(gone).collect());
    let (mounts, links, routes) = (before.mounts.len(), before.links.len(), before.routes.len());
    let counts = Seen::found("host-has", [("mounts", &mounts), ("links", &links), ("routes", &routes)]);
    // Lines may also have come in another order, or twice.
    Some(Finding::holds(before == now, counts, changed))
}
