//! What a step asks of a program, anybody's, and claims of the container that it makes then.

use super::Claim;

/// What a step asks a program for: a few words more on its command line, and what is claimed of the container then.
#[derive(Clone, Copy)]
pub struct Task {
    /// In addition to what the steps before ask.
    pub asks: Asked,
    pub claims: &'static [Claim],
}

/// What a claim is about: parts of a container that can be judged by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Processes,
    Files,
    Limits,
    Network,
    Security,
}

impl Group {
    pub const ALL: [Group; 5] =
        [Group::Processes, Group::Files, Group::Limits, Group::Network, Group::Security];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Group::Processes => "processes",
            Group::Files => "files",
            Group::Limits => "limits",
            Group::Network => "network",
            Group::Security => "security",
        }
    }
}

/// What a program is asked for on its command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// A root filesystem of its own.
    pub root: bool,
    /// It is to stay as it is, below a layer that takes the writes.
    pub layers: bool,
    /// Limits, where groups can be made.
    pub limits: bool,
    /// A network with a way out.
    pub network: bool,
    /// Users of its own.
    pub users: bool,
}

impl Task {
    /// Those of its claims that a PROGRAM is judged by.
    pub fn claims(&self) -> impl Iterator<Item = &'static Claim> {
        self.claims.iter().filter(|claim| claim.is_of_programs())
    }
}

impl Asked {
    /// To run a program.
    pub const NOTHING: Asked =
        Asked { root: false, layers: false, limits: false, network: false, users: false };

    /// Both together.
    pub fn and(self, other: Asked) -> Asked {
        Asked {
            root: self.root || other.root,
            layers: self.layers || other.layers,
            limits: self.limits || other.limits,
            network: self.network || other.network,
            users: self.users || other.users,
        }
    }

    /// Whether nothing is asked for that the other does not ask for.
    pub fn is_within(self, other: Asked) -> bool {
        self.and(other) == other
    }
}
