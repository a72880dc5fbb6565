//! The lessons are part of the program (include_dir), so a new one must make a new program.

fn main() {
    println!("cargo::rerun-if-changed=lessons");
}
