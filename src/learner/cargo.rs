//! Where Cargo has put a program. CARGO_TARGET_DIR, `build.target-dir`, `build.target`, a workspace above and a profile
//! move it; Cargo itself says where it is (`--message-format=json`, "External tools" in the Cargo book).

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use fault::Fault;

use super::Project;
use super::build::{command_of, same_file, typed};

/// Cargo's commands that build.
const BUILDS: [&str; 3] = ["build", "b", "rustc"];

const FORMAT: &str = "--message-format";

/// One of Cargo's messages; those that are not about something that was compiled lack the rest.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

/// A program that Cargo has built.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    name: String,
    manifest: PathBuf,
    path: PathBuf,
}

/// The executable that Cargo has built for the program that is `named` in workshop.toml, once the build has succeeded.
/// `None` if the build is none of Cargo's.
pub fn executable(project: &Project, named: &Path) -> Result<Option<PathBuf>, Fault> {
    let asked = project.build().and_then(question).and_then(|words| command_of(project, &words));
    let Some(mut command) = asked else { return Ok(None) };
    // Everything is built, so that nothing is but asked. What it warns of it has said before.
    let said = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let Some(said) = said.ok().filter(|said| said.status.success()) else { return Ok(None) };
    let programs = programs(&String::from_utf8_lossy(&said.stdout));
    match choose(&programs, named, &project.dir) {
        Some(program) => Ok(Some(program.path.clone())),
        // Somebody else's program.
        None if !named.starts_with(&project.dir) => Ok(None),
        None => {
            let (command, named) = (typed(project), named.display().to_string());
            let names: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
            let with = [("command", command.as_str()), ("program", &named), ("names", &names.join(", "))];
            Err(Fault::usage(if names.is_empty() { "build-made-none" } else { "build-made-others" }, &with))
        }
    }
}

/// The same build, as a question. `None` if it is none of Cargo's.
fn question(build: &[String]) -> Option<Vec<String>> {
    let program = Path::new(build.first()?).file_name()?;
    let end = build.iter().position(|word| word == "--").unwrap_or(build.len());
    let (cargo, rest) = build.split_at(end);
    if program != "cargo" || !cargo.iter().any(|word| BUILDS.contains(&word.as_str())) {
        return None;
    }
    let mut words: Vec<String> = Vec::new();
    for word in cargo {
        // Another format than ours would be refused.
        let is_value = words.last().is_some_and(|before| before == FORMAT);
        if is_value {
            words.pop();
        } else if !word.starts_with(&format!("{FORMAT}=")) {
            words.push(word.clone());
        }
    }
    words.push(format!("{FORMAT}=json"));
    words.extend_from_slice(rest);
    Some(words)
}

/// The programs that Cargo's messages tell of.
fn programs(messages: &str) -> Vec<Program> {
    let read = |line: &str| -> Option<Program> {
        let message: Message = serde_json::from_str(line).ok()?;
        let target = message.target.filter(|target| target.kind.iter().any(|kind| kind == "bin"))?;
        let is_program = message.reason == "compiler-artifact";
        let path = message.executable.filter(|_| is_program)?;
        Some(Program { name: target.name, manifest: message.manifest_path, path })
    };
    messages.lines().filter_map(read).collect()
}

/// Which of them is meant: the file itself, or what has its name, in this folder rather than in another of the
/// workspace; or the only one, which may have been given another name.
fn choose<'p>(programs: &'p [Program], named: &Path, dir: &Path) -> Option<&'p Program> {
    let name = named.file_name().unwrap_or_default();
    let of_name = || programs.iter().filter(|program| name == program.name.as_str());
    let here = |program: &&Program| program.manifest.parent().is_some_and(|package| same_file(package, dir));
    let only =
        || Some(programs).filter(|all| all.len() == 1 && named.starts_with(dir)).and_then(<[Program]>::first);
    let itself = programs.iter().find(|program| same_file(&program.path, named));
    itself.or_else(|| of_name().find(here)).or_else(|| of_name().next()).or_else(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Option<String> {
        let words: Vec<String> = line.split(' ').map(String::from).collect();
        question(&words).map(|words| words.join(" "))
    }

    #[test]
    fn a_build_of_cargos_is_asked_about_and_no_other() {
        for (build, question) in [
            ("cargo build --quiet", Some("cargo build --quiet --message-format=json")),
            ("/opt/bin/cargo +nightly b", Some("/opt/bin/cargo +nightly b --message-format=json")),
            ("cargo rustc -q -- -C lto", Some("cargo rustc -q --message-format=json -- -C lto")),
            ("cargo build --message-format short -q", Some("cargo build -q --message-format=json")),
            ("cargo build --message-format=short", Some("cargo build --message-format=json")),
            ("cargo run -- build", None),
            ("make build", None),
        ] {
            assert_eq!(asked(build).as_deref(), question, "{build}");
        }
    }

    #[test]
    fn the_program_of_the_name_is_chosen_or_the_only_one() {
        let program = |name: &str, package: &str| Program {
            name: name.into(),
            manifest: Path::new(package).join("Cargo.toml"),
            path: Path::new("/t").join(package).join(name),
        };
        let all = [program("box", "/other"), program("tool", "/mine"), program("box", "/mine")];
        let chosen = |programs: &[Program], named: &str| {
            choose(programs, named.as_ref(), "/mine".as_ref()).map(|program| program.path.clone())
        };
        assert_eq!(chosen(&all, "/mine/target/debug/box"), Some(all[2].path.clone()));
        assert_eq!(chosen(&all, "/mine/target/debug/gone"), None);
        assert_eq!(chosen(&all[..1], "/mine/target/debug/old-name"), Some(all[0].path.clone()));
        assert_eq!(chosen(&[], "/mine/target/debug/box"), None);
    }

    #[test]
    fn only_programs_are_read_from_the_messages() {
        let lines = [
            r#"{"reason":"compiler-artifact","package_id":"x","manifest_path":"/n/Cargo.toml","target":{"kind":["lib"],"name":"nix"},"executable":null,"fresh":true}"#,
            r#"{"reason":"build-script-executed","package_id":"x"}"#,
            r#"{"reason":"compiler-artifact","package_id":"y","manifest_path":"/b/Cargo.toml","target":{"kind":["bin"],"name":"box"},"executable":"/t/box","fresh":true}"#,
            r#"{"reason":"build-finished","success":true}"#,
        ];
        let wanted = Program { name: "box".into(), manifest: "/b/Cargo.toml".into(), path: "/t/box".into() };
        assert_eq!(programs(&lines.join("\n")), [wanted]);
    }
}
