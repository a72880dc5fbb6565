//! Limits on one process (getrlimit(2)), by the names that Docker and limits.conf(5) have for them.

use std::str::FromStr;

use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

/// Names and resources.
const RESOURCES: [(&str, Resource); 15] = [
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("locks", Resource::RLIMIT_LOCKS),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("msgqueue", Resource::RLIMIT_MSGQUEUE),
    ("nice", Resource::RLIMIT_NICE),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("rtprio", Resource::RLIMIT_RTPRIO),
    ("rttime", Resource::RLIMIT_RTTIME),
    ("sigpending", Resource::RLIMIT_SIGPENDING),
    ("stack", Resource::RLIMIT_STACK),
];

/// One limit, each number in the resource's own unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub name: &'static str,
    resource: Resource,
    soft: u64,
    hard: u64,
}

/// `NAME=SOFT[:HARD]`; -1 and `unlimited` are none.
impl FromStr for Limit {
    type Err = ();

    fn from_str(text: &str) -> Result<Limit, ()> {
        let number = |text: &str| match text {
            "-1" | "unlimited" => Ok(RLIM_INFINITY),
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(drop),
            _ => Err(()),
        };
        let (name, value) = text.split_once('=').ok_or(())?;
        let (name, resource) = *RESOURCES.iter().find(|(known, _)| *known == name).ok_or(())?;
        let (soft, hard) = value.split_once(':').unwrap_or((value, value));
        let (soft, hard) = (number(soft)?, number(hard)?);
        if soft > hard { Err(()) } else { Ok(Limit { name, resource, soft, hard }) }
    }
}

impl Limit {
    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        RESOURCES.iter().map(|(name, _)| *name)
    }

    /// setrlimit(2) on the calling process.
    pub fn set(&self) -> nix::Result<()> {
        setrlimit(self.resource, self.soft, self.hard)
    }

    /// The arguments, as strace(1) shows them.
    pub fn args(&self) -> Vec<String> {
        let number =
            |limit| if limit == RLIM_INFINITY { "RLIM64_INFINITY".into() } else { format!("{limit}") };
        let (soft, hard) = (number(self.soft), number(self.hard));
        vec![
            format!("RLIMIT_{}", self.name.to_ascii_uppercase()),
            format!("{{rlim_cur={soft}, rlim_max={hard}}}"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_name_and_one_number_or_two() {
        for (text, args) in [
            ("nofile=64", "{rlim_cur=64, rlim_max=64}"),
            ("nofile=64:128", "{rlim_cur=64, rlim_max=128}"),
            ("core=0:unlimited", "{rlim_cur=0, rlim_max=RLIM64_INFINITY}"),
            ("memlock=-1", "{rlim_cur=RLIM64_INFINITY, rlim_max=RLIM64_INFINITY}"),
        ] {
            assert_eq!(text.parse::<Limit>().unwrap().args()[1], args, "{text}");
        }
        for text in
            ["", "nofile", "nofile=", "=5", "files=5", "nofile=5:4", "nofile=+5", "nofile=-2", "nofile=1:2:3"]
        {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
        assert!("nofile=99999999999999999999".parse::<Limit>().is_err());
    }
}
