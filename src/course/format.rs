//! The embedded lessons, held against the format that the command line and the book rely on.

use console::measure_text_width;

use super::exercise::{self, Exercise};
use super::language::Lang;
use super::lesson::{self, Lesson};
use super::markdown::Block;
use super::{STEPS, Step};
use claims::HOST_SAME;
use claims::task::Asked;

/// Sections that every lesson has, in this order; others may stand between them.
const SECTIONS: [&str; 12] = [
    "idea",
    "predict",
    "calls",
    "facts",
    "checks",
    "open",
    "by-hand",
    "docker",
    "why-not",
    "quiz",
    "quiz-1",
    "exercises",
];

/// Runs a test on each lesson in each language, and names the lesson where it fails.
fn each(test: impl Fn(&Step, Lang, &Lesson) -> Result<(), String>) {
    let problems: Vec<String> = STEPS
        .iter()
        .flat_map(|step| [Lang::En, Lang::Ko].map(|lang| (step, lang)))
        .filter_map(|(step, lang)| {
            let problem = test(step, lang, &Lesson::load(step, lang)).err()?;
            Some(format!("{}/{}.md: {problem}", step.folder(), lang.code()))
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn at_most(what: &str, limit: usize, length: usize) -> Result<(), String> {
    if length <= limit { Ok(()) } else { Err(format!("{what} is {length} long, {limit} are allowed")) }
}

fn columns(what: &str, limit: usize, text: &str) -> Result<(), String> {
    at_most(&format!("{what} ({text})"), limit, measure_text_width(text))
}

fn with_prefix<'a>(lesson: &'a Lesson, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    lesson.ids().filter(move |id| id.starts_with(prefix))
}

#[test]
fn sections_stand_in_order() {
    each(|step, _, lesson| {
        if lesson.ids().next() != Some(step.slug) {
            return Err(format!("the first heading's id is not {}", step.slug));
        }
        let places: Vec<_> =
            SECTIONS.iter().map(|id| (id, lesson.ids().position(|other| other == *id))).collect();
        match places.iter().find(|(_, place)| place.is_none()) {
            Some((id, _)) => Err(format!("no section {id}")),
            None if places.is_sorted_by_key(|(_, place)| *place) => Ok(()),
            None => Err(format!("sections in another order: {places:?}")),
        }
    });
}

#[test]
fn what_the_command_line_prints_is_short() {
    each(|_, lang, lesson| {
        columns("title", 40, lesson.title())?;
        columns("adds", 60, lesson.adds())?;
        at_most("idea", 420, lesson.idea().chars().count())?;
        at_most("open", 200, lesson.open().chars().count())?;
        at_most("docker", 150, lesson.docker().chars().count())?;
        lesson.by_hand().0.lines().try_for_each(|line| columns("a line by hand", 76, line))?;
        with_prefix(lesson, "fact-")
            .try_for_each(|id| columns(id, 16, &lesson.heading(id).unwrap_or_default().replace('`', "")))?;
        with_prefix(lesson, "check-")
            .try_for_each(|id| columns(id, 70, lesson.heading(id).unwrap_or_default()))?;
        let longest = if lang == Lang::En { 150 } else { 120 };
        with_prefix(lesson, "call-")
            .try_for_each(|id| at_most(id, longest, lesson.text(id).unwrap_or_default().chars().count()))
    });
}

#[test]
fn nothing_that_is_looked_up_is_empty() {
    each(|_, _, lesson| {
        let texts = [lesson.adds(), lesson.idea(), lesson.open(), lesson.by_hand().0, lesson.docker()];
        if texts.iter().any(|text| text.is_empty()) {
            return Err(format!("a text is missing: {texts:?}"));
        }
        let mut ids =
            ["call-", "fact-", "check-", "quiz-"].into_iter().flat_map(|kind| with_prefix(lesson, kind));
        match ids.find(|id| lesson.text(id).is_none() && !id.starts_with("quiz-")) {
            Some(id) => Err(format!("{id} has no paragraph")),
            None => Ok(()),
        }
    });
}

#[test]
fn every_question_has_exactly_one_right_answer() {
    each(|_, _, lesson| {
        let because = lesson.predict().map(|question| question.because.chars().count());
        at_most("predict's answer", 240, because.ok_or("no question")?)?;
        let mut questions = std::iter::once("predict").chain(with_prefix(lesson, "quiz-"));
        questions.try_for_each(|id| {
            let items = lesson.blocks(id).iter().find_map(|block| match block {
                Block::List(items) => Some(items),
                _ => None,
            });
            let items = items.ok_or(format!("{id} has no choices"))?;
            let right = items.iter().filter(|item| item.ticked == Some(true)).count();
            let choices = if id == "predict" { 3..=3 } else { 3..=4 };
            if right == 1 && choices.contains(&items.len()) && items.iter().all(|item| item.ticked.is_some())
            {
                Ok(())
            } else {
                Err(format!("{id} has {right} right answers of {}", items.len()))
            }
        })
    });
}

/// What must be alike in all languages: ids in order, and below each of them code, and how much of all else.
fn shape(lesson: &Lesson) -> Vec<(String, Vec<String>)> {
    let shape = |block: &Block| match block {
        Block::Paragraph(_) => "paragraph".to_string(),
        Block::Code(code) => code.clone(),
        Block::List(items) => format!("list {:?}", items.iter().map(|item| item.ticked).collect::<Vec<_>>()),
        Block::Table(table) => format!("table {}x{}", table.head.len(), table.rows.len()),
    };
    lesson.ids().map(|id| (id.to_string(), lesson.blocks(id).iter().map(shape).collect())).collect()
}

#[test]
fn both_languages_have_the_same_shape() {
    for step in STEPS {
        let [english, korean] = [Lang::En, Lang::Ko].map(|lang| shape(&Lesson::load(step, lang)));
        assert_eq!(english.len(), korean.len(), "{}", step.folder());
        for (english, korean) in english.iter().zip(&korean) {
            assert_eq!(english, korean, "{}", step.folder());
        }
    }
}

#[test]
fn every_claim_has_one_text() {
    each(|step, lang, lesson| {
        let claimed: Vec<&str> = step.claims.iter().chain([&HOST_SAME]).map(|claim| claim.name).collect();
        let told: Vec<&str> =
            with_prefix(lesson, "check-").filter_map(|id| id.strip_prefix("check-")).collect();
        if claimed != told {
            return Err(format!("{told:?} are explained, {claimed:?} are claimed"));
        }
        let text =
            lesson::file(&format!("{}/exercise/{}.md", step.folder(), lang.code())).unwrap_or_default();
        let second =
            Exercise::parse(step.number, text).checks.into_iter().find(|check| !check.claim.is_empty());
        second.map_or(Ok(()), |check| Err(format!("the exercise has a second text: {}", check.claim)))
    });
}

#[test]
fn what_only_one_side_is_judged_by_says_why() {
    for claim in STEPS.iter().flat_map(|step| step.claims).chain([&HOST_SAME]) {
        let both = claim.is_of_ours() && claim.is_of_programs();
        let why = claim.why_one_sided();
        assert_eq!(both, why.is_none(), "{}", claim.name);
        assert!(why.is_none_or(|why| why.split(' ').count() > 4), "{}", claim.name);
    }
}

#[test]
fn every_exercise_explains_what_is_judged() {
    for (entry, lang) in exercise::all().flat_map(|entry| [Lang::En, Lang::Ko].map(|lang| (entry, lang))) {
        let exercise = Exercise::load(entry.number, lang);
        let file = format!("lessons/{}/exercise/{}.md", exercise::folder(entry.number), lang.code());
        assert!(!exercise.title.is_empty() && !exercise.task.is_empty(), "{file}");
        assert!(exercise.hints.iter().all(|hint| !hint.is_empty()), "{file}");
        let explained: Vec<_> = exercise.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(explained, entry.task.claims().map(|claim| claim.name).collect::<Vec<_>>(), "{file}");
    }
}

#[test]
fn a_task_shows_the_command_line_of_its_step() {
    for lang in [Lang::En, Lang::Ko] {
        let mut line = "PROGRAM run CMD";
        for entry in exercise::all() {
            line = match entry.task.asks {
                Asked { users: true, .. } => "--userns",
                Asked { network: true, .. } => "--net",
                Asked { layers: true, .. } => "--image DIR",
                Asked { limits: true, .. } => "--memory BYTES --pids N --cpus F",
                Asked { root: true, .. } => "--rootfs DIR",
                Asked::NOTHING => line,
            };
            let task = Exercise::load(entry.number, lang).task;
            let paragraphs: Vec<&str> = task
                .iter()
                .filter_map(|block| match block {
                    Block::Paragraph(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect();
            assert!(paragraphs.first().is_some_and(|text| text.contains(line)), "{} {lang:?}", entry.slug);
            let words: usize = paragraphs.iter().map(|text| text.split_whitespace().count()).sum();
            let codes = task.iter().filter(|block| matches!(block, Block::Code(_))).count();
            assert!(words >= 20 && codes == 1, "{} {lang:?}", entry.slug);
        }
    }
}
