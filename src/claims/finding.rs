//! What came of a claim: what was to be seen of the kernel's state, and what was. Findings are made without a sentence;
//! those of each language are in `lessons/words`, below `[found]`.

use std::fmt::Display;

/// What came of one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub held: bool,
    pub expected: Seen,
    pub actual: Seen,
    /// What the evidence says of the cause: signs that tell it apart from the others of a check.
    pub signs: Vec<&'static str>,
}

/// Something that was to be seen, or was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// The kernel's, the program's or the learner's own, the same in each language: `pid:[4026531836]`, a path, a number.
    Fact(String),
    /// A sentence of `[found]`, and what stands for its placeholders.
    Words(&'static str, Vec<(&'static str, Seen)>),
    /// Several of a kind.
    List(Vec<Seen>),
}

impl Finding {
    /// One that holds if both sides are the same.
    pub fn same(expected: Seen, actual: Seen) -> Finding {
        Finding { held: expected == actual, expected, actual, signs: Vec::new() }
    }

    /// One with what is to be seen, and what is if it does not hold.
    pub fn holds(held: bool, expected: Seen, otherwise: Seen) -> Finding {
        let actual = if held { expected.clone() } else { otherwise };
        Finding { held, expected, actual, signs: Vec::new() }
    }

    /// One that holds if there is none of what was found.
    pub fn nothing(found: Vec<Seen>) -> Finding {
        Finding::holds(found.is_empty(), Seen::words("nothing"), Seen::List(found))
    }

    /// The same, and what the evidence says of the cause.
    pub fn with_signs(self, signs: impl IntoIterator<Item = &'static str>) -> Finding {
        Finding { signs: signs.into_iter().collect(), ..self }
    }
}

impl Seen {
    pub fn fact(fact: impl Display) -> Seen {
        Seen::Fact(fact.to_string())
    }

    /// A sentence without placeholders.
    pub fn words(key: &'static str) -> Seen {
        Seen::Words(key, Vec::new())
    }

    /// A sentence, and the facts that stand for its placeholders.
    pub fn found<const N: usize>(key: &'static str, with: [(&'static str, &dyn Display); N]) -> Seen {
        Seen::Words(key, with.into_iter().map(|(name, fact)| (name, Seen::fact(fact))).collect())
    }

    /// A sentence about other ones.
    pub fn of(key: &'static str, name: &'static str, seen: Seen) -> Seen {
        Seen::Words(key, vec![(name, seen)])
    }

    pub fn facts<T: Display>(facts: impl IntoIterator<Item = T>) -> Seen {
        Seen::List(facts.into_iter().map(Seen::fact).collect())
    }
}
