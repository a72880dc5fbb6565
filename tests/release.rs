//! What says the same in several files says it alike: lists of packages, versions, names of archives.

#![cfg(test)]

mod common;

use std::fs;

use regex::Regex;
use toml::Table;

fn read(file: &str) -> String {
    fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR")))
        .unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The parts of `.ci/packages`, each a list of packages.
fn packages() -> Vec<Vec<String>> {
    let text = read(".ci/packages");
    let parts = text.split("\n\n").map(|part| {
        let lines = part.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines.filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
    });
    parts.filter(|part: &Vec<String>| !part.is_empty()).collect()
}

#[test]
fn the_readme_names_the_packages_that_tests_use() {
    let readme = read("README.md");
    let line = Regex::new(r"\| Debian, Ubuntu \| `sudo apt install ([^`]+)` \|").expect("a pattern");
    let named = &line.captures(&readme).expect("the README has a line for Debian")[1];
    assert_eq!(named.split(' ').collect::<Vec<_>>(), packages()[0]);
}

#[test]
fn the_dev_container_installs_what_ci_installs() {
    let dockerfile = read(".devcontainer/Dockerfile");
    assert!(dockerfile.contains("COPY .ci/run .ci/packages "), "{dockerfile}");
    assert!(dockerfile.contains(".ci/run install_packages"), "{dockerfile}");
    assert!(!dockerfile.contains("apt-get"), "a second list: {dockerfile}");
    assert!(read(".devcontainer/devcontainer.json").contains(r#""context": "..""#));
    assert!(packages().concat().iter().any(|package| package == "qemu-system-x86"));
}

#[test]
fn every_paper_has_the_version() {
    if !common::have("jq", "jq") {
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(read("CITATION.cff").contains(&format!("\nversion: {version}\n")));
    let said =
        crate::common::child::command("bash").args([".ci/release", "version"]).output().expect("run it");
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), version);
    let tag = |tag: &str| {
        crate::common::child::command("bash")
            .args([".ci/release", "tag", tag])
            .output()
            .expect("run it")
            .status
    };
    assert!(tag(&format!("v{version}")).success() && !tag("v9.9.9").success());
}

#[test]
fn cargo_binstall_looks_for_what_a_release_has() {
    if !common::have("jq", "jq") {
        return;
    }
    let manifest: Table = read("Cargo.toml").parse().expect("TOML");
    let binstall = &manifest["package"]["metadata"]["binstall"];
    let text = |table: &toml::Value, key: &str, target: &str| {
        let pairs = [
            ("repo", "REPO"),
            ("version", env!("CARGO_PKG_VERSION")),
            ("target", target),
            ("bin", "workshop"),
        ];
        let text = table[key].as_str().expect("a template").to_owned();
        pairs.iter().fold(text, |text, (name, value)| text.replace(&format!("{{ {name} }}"), value))
    };
    let said = |what: &str| {
        let said =
            crate::common::child::command("bash").args([".ci/release", what]).output().expect("run it");
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    };
    let (name, host) = (said("name"), said("target"));
    let url = format!("REPO/releases/download/v{}/{name}.tar.gz", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(binstall, "pkg-url", &host), url);
    assert_eq!(text(binstall, "bin-dir", &host), format!("{name}/workshop"));
    // Where musl is, the same archives.
    for arch in ["x86_64", "aarch64"] {
        let musl = &binstall["overrides"][format!("{arch}-unknown-linux-musl")];
        let gnu = format!("{arch}-unknown-linux-gnu");
        for key in ["pkg-url", "bin-dir"] {
            assert_eq!(text(musl, key, "?"), text(binstall, key, &gnu));
        }
    }
}

#[test]
fn the_workflow_runs_functions_that_are_there() {
    let (workflow, script) = (read(".github/workflows/release.yml"), read(".ci/release"));
    let call = Regex::new(r"bash \.ci/release (\w+)").expect("a pattern");
    let called: Vec<_> = call.captures_iter(&workflow).map(|found| found[1].to_owned()).collect();
    assert_eq!(called, ["tag", "build", "pack", "verify", "notes"]);
    for name in called {
        assert!(script.contains(&format!("\n{name}() {{\n")), "{name}");
    }
    // Whoever can change a build must not be able to publish it too.
    assert!(workflow.contains("\npermissions:\n  contents: read\n"), "{workflow}");
    assert_eq!(workflow.matches("contents: write").count(), 1, "{workflow}");
}

#[test]
fn no_link_in_a_paper_is_dead() {
    let link = Regex::new(r"\]\(([^)#\s]+)").expect("a pattern");
    let block = Regex::new(r"(?ms)^ *```.*?^ *```$").expect("a pattern");
    let mut followed = 0;
    for paper in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        // What is in a block is for another file.
        let text = block.replace_all(&read(paper), "").into_owned();
        for found in link.captures_iter(&text) {
            let to = &found[1];
            if !to.contains("://") {
                let there = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(to).exists();
                assert!(there, "{paper} leads to {to}");
                followed += 1;
            }
        }
    }
    assert!(followed > 20, "{followed}");
}

/// The C program that the page on costs took its figures from.
#[test]
fn the_least_that_a_container_costs_can_be_measured() {
    if !common::have("unshare", "util-linux") {
        return;
    }
    let base = tempfile::tempdir().expect("a directory");
    let (source, floor) = ("book/examples/floor/floor.c", base.path().join("floor"));
    let folder = format!("-DBASE=\"{}\"", base.path().display());
    let built = crate::common::child::command("cc")
        .args(["-O1", "-w", &folder, "-o"])
        .arg(&floor)
        .arg(source)
        .output();
    let built = match built {
        Ok(built) => built,
        Err(_) => return common::skip("cc is missing", "Install gcc"),
    };
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let bin = base.path().join("bundle/rootfs/bin");
    fs::create_dir_all(&bin).expect("a root filesystem");
    fs::copy("/bin/true", bin.join("busybox")).expect("a program");
    // Its namespaces take a user namespace where the tests have no root.
    let mut measure = crate::common::child::command("unshare");
    measure.args(if common::am_root() {
        &["--mount"][..]
    } else {
        &["--user", "--map-root-user", "--mount"]
    });
    let measured = common::run(measure.arg(&floor).args(["-n", "3", "-w", "1", "-g", "0", "ns=pmui,priv"]));
    assert_eq!(measured.status, 0, "{}", measured.stderr);
    let last = measured.stdout.lines().last().unwrap_or_default();
    assert!(last.ends_with("  ns=pmui,priv"), "{}", measured.stdout);
    let median = last.split_whitespace().next().and_then(|number| number.parse::<f64>().ok());
    assert!(median.is_some_and(|median| median > 10.0), "{}", measured.stdout);
}
