//! The book's own words in one language, from `book/LANG/words.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The words that are not on any page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Words {
    pub title: String,
    pub description: String,
    /// The language's name for itself.
    pub name: String,
    /// What the link to this language says, in this language.
    pub switch: String,
    /// `{n}` minutes, at the top of a page.
    pub minutes: String,
    /// Above the output of commands.
    pub output: String,
    /// Above the source code of a call.
    pub source: String,
    /// The fold below a question.
    pub answer: String,
    /// On paper: above all answers, and above the list of pages.
    pub answers: String,
    pub contents: String,
    pub checkout: CheckoutWords,
    pub cover: CoverWords,
    pub exercise: ExerciseWords,
    pub fold: FoldWords,
    pub plan: PlanWords,
    /// What the script says; it gets them as they are.
    pub script: ScriptWords,
    /// The titles that mdBook gives to notes, and what stands in their place.
    pub notes: BTreeMap<String, String>,
    /// The English words of `theme/index.hbs` around a page, and what stands in their place.
    pub frame: BTreeMap<String, String>,
    /// The same, where the book knows the address of its source.
    pub frame_source: BTreeMap<String, String>,
}

/// How the reader comes to a checkout.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckoutWords {
    /// They have one, wherever they got it.
    pub here: String,
    /// Before the commands that fetch one, and after them.
    pub fetch: String,
    pub then: String,
}

/// The first screen of the first page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoverWords {
    pub sentence: String,
    pub command: String,
    /// The recorded run that is played.
    pub run: String,
    pub ways: Vec<Way>,
}

/// Where to go by who one is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Way {
    pub who: String,
    pub what: String,
    /// A page, without its ending.
    pub page: String,
}

/// The folds of an exercise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExerciseWords {
    /// A hint, its number being `{n}`.
    pub hint: String,
    /// Above the causes of a failed check.
    pub causes: String,
    /// A program in `{language}` of `{lines}` lines.
    pub solution: String,
    /// What the program in `{language}` has that step `{n}` had not.
    pub new: String,
    /// The languages of the solutions by what a fence calls them.
    pub languages: BTreeMap<String, String>,
}

/// The folds of a step's page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FoldWords {
    /// `{n}` checks.
    pub checks: String,
    /// A script of `{lines}` lines.
    pub by_hand: String,
    pub docker: String,
    /// A table of `{rows}` rows.
    pub table: String,
    /// The code of a call, `{lines}` lines of `{path}`.
    pub code: String,
    /// All that the terminal has shown of a run.
    pub run: String,
}

/// The head of the table of minutes, and its sum.
#[derive(Clone, Debug, Deserialize)]
pub struct PlanWords {
    pub page: String,
    pub minutes: String,
    pub sum: String,
}

/// Words that the scripts in `theme` say.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ScriptWords {
    pub theme: String,
    /// As the system has it, light, dark.
    pub themes: [String; 3],
    pub copy: String,
    pub copied: String,
    /// The run on the cover.
    pub play: String,
    pub pause: String,
    /// `{read}` of `{pages}` pages read, `{right}` questions answered.
    pub progress: String,
    /// Of one page.
    pub read: String,
    /// Of one step, and that `{done}` of `{steps}` are.
    pub done: String,
    pub steps: String,
    pub export: String,
    pub import: String,
    /// That a file holds no progress.
    pub unreadable: String,
    pub right: String,
    pub wrong: String,
    pub search: String,
    pub placeholder: String,
    pub nothing: String,
    /// That a result stands in the fold `{name}`.
    pub folded: String,
    pub close: String,
    pub runhere: String,
    pub stop: String,
    pub running: String,
    /// `{passed}` and `{failed}` are numbers of checks.
    pub ran: String,
    pub stopped: String,
    pub busy: String,
    pub notallowed: String,
    pub broken: String,
    pub outside: String,
    pub inside: String,
    pub player: PlayerWords,
}

/// Words of `theme/player.js`, and of the list that it plays.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PlayerWords {
    pub title: String,
    pub list: String,
    pub play: String,
    pub pause: String,
    pub back: String,
    pub forward: String,
    /// Call `{n}` of `{all}`.
    pub place: String,
    pub before: String,
    pub host: String,
    pub container: String,
    /// That nothing is changed that anybody outside sees.
    pub nothing: String,
    /// Stage `{n}` of `{all}`, whoever's it is; before the first; and when the program runs.
    pub stage: String,
    pub start: String,
    pub there: String,
    /// What two clocks show, and the list of their stages.
    pub race: String,
    pub stages: String,
    /// What is changed, by the recording's word for it.
    pub kinds: BTreeMap<String, String>,
}

impl Words {
    pub fn read(file: &Path) -> Result<Words> {
        let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not as words should be", file.display()))
    }
}
