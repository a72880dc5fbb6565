//! A project's state, as learners edit it and as older and newer workshops leave it.

use super::*;

const TEXT: &str = "\
# mine
version = 1
language = \"sh\"
run = [\"./box.sh\", \"-v\"]   # how
step = 2  # here

[progress]
done = [0, 1] # so far
hints = { \"1\" = 3, \"2\" = 1 }
";

fn project(text: &str) -> (tempfile::TempDir, Result<Project, Fault>) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), text).unwrap();
    let project = Project::read(dir.path());
    (dir, project)
}

#[test]
fn what_the_file_says_is_known() {
    let (dir, project) = project(TEXT);
    let project = project.unwrap();
    assert_eq!((project.step(), project.is_done(1), project.is_done(2)), (2, true, false));
    assert_eq!([0, 1, 2].map(|step| project.hints(step)), [0, 3, 1]);
    assert_eq!(project.build(), None);
    assert_eq!(project.program(), [dir.path().join("box.sh").into_os_string(), "-v".into()]);
}

#[test]
fn changes_leave_comments_and_all_else_as_they_were() {
    let (dir, project) = project(TEXT);
    let mut project = project.unwrap();
    project.note_done(2).unwrap();
    project.work_on(3).unwrap();
    project.note_hints(3, 1).unwrap();
    let text = || fs::read_to_string(dir.path().join(FILE)).unwrap();
    assert_eq!(
        text(),
        TEXT.replace("step = 2", "step = 3")
            .replace("[0, 1]", "[0, 1, 2]")
            .replace("\"2\" = 1 }", "\"2\" = 1, 3 = 1 }")
    );
    project.start_again(2).unwrap();
    assert_eq!((project.step(), project.is_done(1), project.is_done(2)), (2, true, false));
    assert_eq!([1, 2, 3].map(|step| project.hints(step)), [3, 0, 0]);
    assert!(text().contains("done = [0, 1] # so far"), "{}", text());
}

#[test]
fn a_step_that_was_left_out_is_not_done_until_it_was_judged() {
    let (dir, project) = project(TEXT);
    let mut project = project.unwrap();
    let text = || fs::read_to_string(dir.path().join(FILE)).unwrap();
    project.leave_out(2).unwrap();
    assert_eq!((project.is_left_out(2), project.is_done(2)), (true, false));
    assert_eq!(text(), format!("{TEXT}left_out = [2]\n"));
    project.start_again(2).unwrap();
    assert!(!project.is_left_out(2));
    project.leave_out(2).unwrap();
    project.note_done(2).unwrap();
    assert_eq!((project.is_left_out(2), project.is_done(2)), (false, true));
}

#[test]
fn a_file_without_a_table_of_progress_gets_one() {
    let (dir, project) = project("version = 1\nlanguage = \"c\"\nrun = [\"./box\"]\nstep = 0\n");
    let mut project = project.unwrap();
    project.note_hints(0, 2).unwrap();
    project.note_done(0).unwrap();
    let project = Project::read(dir.path()).unwrap();
    assert_eq!((project.hints(0), project.is_done(0)), (2, true));
}

#[test]
fn a_broken_or_newer_file_is_named_with_its_line_and_left_alone() {
    for (text, key, line) in [
        (TEXT.replace("step = 2", "step = 9"), "project-broken", "5"),
        (TEXT.replace("step = 2", "step = "), "project-broken", "5"),
        (TEXT.replace("[\"./box.sh\", \"-v\"]", "[]"), "project-broken", "4"),
        (TEXT.replace("\"sh\"", "\"cobol\""), "project-broken", "3"),
        (TEXT.replace("run", "rum"), "project-broken", "4"),
        (TEXT.replace("[0, 1]", "[0, 7]"), "project-broken", "8"),
        (TEXT.replace("version = 1", "version = 2"), "project-newer", ""),
    ] {
        let (dir, project) = project(&text);
        let Err(Fault::Usage { key: found, with }) = project else { panic!("{text}") };
        let value = |name| with.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        assert_eq!((found.as_str(), value("line")), (key, line), "{text}: {with:?}");
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), text);
    }
}
