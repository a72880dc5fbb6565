//! What cargo can't be told in Cargo.toml.

fn main() {
    // They are part of the program (include_dir), so a new one must make a new program.
    println!("cargo::rerun-if-changed=../../lessons");
}
