//! The languages that a starter is there for.

use std::path::Path;

/// A language to write a runtime in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Rust,
    Go,
    Python,
    C,
    Sh,
}

/// A program that a language takes.
#[derive(Debug, PartialEq, Eq)]
pub struct Tool {
    pub program: &'static str,
    /// The package that has it, in Debian and Ubuntu, in Fedora, and in Arch.
    pub packages: [&'static str; 3],
}

// rustup.rs has it for every distribution, and newer than most have it.
const CARGO: Tool = Tool { program: "cargo", packages: ["rustup", "rustup", "rustup"] };
const CC: Tool = Tool { program: "cc", packages: ["gcc libc6-dev", "gcc", "gcc"] };
const MAKE: Tool = Tool { program: "make", packages: ["make", "make", "make"] };
const GO: Tool = Tool { program: "go", packages: ["golang-go", "golang", "go"] };
const PYTHON: Tool = Tool { program: "python3", packages: ["python3", "python3", "python"] };
const UNSHARE: Tool = Tool { program: "unshare", packages: ["util-linux", "util-linux", "util-linux"] };
const IP: Tool = Tool { program: "ip", packages: ["iproute2", "iproute", "iproute2"] };

impl Language {
    pub const ALL: [Language; 5] =
        [Language::Rust, Language::Go, Language::Python, Language::C, Language::Sh];

    /// The name that `--lang` and `workshop.toml` have for it, and its folder's below `lessons/00-run/starter`.
    pub fn name(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Go => "go",
            Language::Python => "python",
            Language::C => "c",
            Language::Sh => "sh",
        }
    }

    /// The language of this name.
    pub fn named(name: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.name() == name)
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Language::Rust => "Rust",
            Language::Go => "Go",
            Language::Python => "Python",
            Language::C => "C",
            Language::Sh => "POSIX shell",
        }
    }

    /// The file that the learner begins in.
    pub fn source(self) -> &'static str {
        match self {
            Language::Rust => "src/main.rs",
            Language::Go => "main.go",
            Language::Python => "box.py",
            Language::C => "box.c",
            Language::Sh => "box.sh",
        }
    }

    /// How a person builds it, and runs it, in its folder.
    pub fn by_hand(self) -> (Option<&'static str>, &'static str) {
        match self {
            Language::Rust => (Some("cargo build"), "target/debug/box"),
            Language::Go => (Some("GOWORK=off go build -buildvcs=false -o box ."), "./box"),
            Language::Python => (None, "./box.py"),
            Language::C => (Some("make"), "./box"),
            Language::Sh => (None, "./box.sh"),
        }
    }

    /// Whether a file is source code in it.
    pub fn is_source(self, file: &Path) -> bool {
        let extensions: &[&str] = match self {
            Language::Rust => &["rs"],
            Language::Go => &["go"],
            Language::Python => &["py"],
            Language::C => &["c", "h"],
            Language::Sh => &["sh"],
        };
        file.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known))
    }

    /// The programs that it takes to build and to run it.
    pub fn tools(self) -> &'static [Tool] {
        match self {
            Language::Rust => &[CARGO, CC],
            Language::Go => &[GO],
            Language::Python => &[PYTHON],
            Language::C => &[CC, MAKE],
            // What a shell can't do itself.
            Language::Sh => &[UNSHARE, IP],
        }
    }

    /// Those of its programs that are not in PATH.
    pub fn missing(self) -> Vec<&'static Tool> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has = |program: &str| std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
        self.tools().iter().filter(|tool| !has(tool.program)).collect()
    }
}
