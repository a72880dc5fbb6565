//! What cargo can't be told in Cargo.toml.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        // Where there are no static libraries, the program is linked as usual.
        let _ = link_statically();
    }
}

/// Links the program with the C library in it, at a fixed address: it starts in half the time if no loader has to find
/// three libraries and put thousands of pointers right, and the pages that those would be written to stay shared.
///
/// This is what `-C target-feature=+crt-static` does, which cargo takes from the environment only, for procedural macros
/// as well, which can't be static. So the linker is shown, in place of each library that rustc names, a script of the same
/// name that leads to the static one (ld(1), "Implicit Linker Scripts").
fn link_statically() -> Option<()> {
    let set = |name| env::var(name).unwrap_or_default();
    let host_is_target = set("HOST") == set("TARGET");
    if set("CARGO_CFG_TARGET_ENV") != "gnu"
        || !host_is_target
        || set("CARGO_CFG_TARGET_FEATURE").contains("crt-static")
    {
        return None;
    }
    let linker = env::var_os("RUSTC_LINKER").unwrap_or("cc".into());
    // The unwinder, and what rustc asks of the C library, which is one file or several.
    let scripts = [
        ("gcc_s", &["gcc_eh", "gcc"][..]),
        ("c", &["c", "gcc_eh", "gcc"]),
        ("m", &["m"]),
        ("dl", &["dl"]),
        ("rt", &["rt"]),
        ("pthread", &["pthread"]),
        ("util", &["util"]),
    ];
    let dir = PathBuf::from(env::var_os("OUT_DIR")?).join("static");
    fs::create_dir_all(&dir).ok()?;
    for (name, archives) in scripts {
        let files = archives.iter().map(|archive| find(linker.as_ref(), &format!("lib{archive}.a")));
        let files = files.collect::<Option<Vec<String>>>()?;
        fs::write(dir.join(format!("lib{name}.so")), format!("GROUP({})\n", files.join(" "))).ok()?;
    }
    println!("cargo::rustc-link-arg-bins=-L{}", dir.display());
    println!("cargo::rustc-link-arg-bins=-static");
    println!("cargo::rustc-link-arg-bins=-no-pie");
    Some(())
}

/// Where the linker's own library of this name is.
fn find(linker: &Path, name: &str) -> Option<String> {
    let answer = Command::new(linker).arg(format!("-print-file-name={name}")).output().ok()?;
    let file = String::from_utf8(answer.stdout).ok()?;
    let file = file.trim_end();
    // What it does not have, it calls by its name.
    (Path::new(file).is_absolute() && Path::new(file).exists()).then(|| format!("\"{file}\""))
}
