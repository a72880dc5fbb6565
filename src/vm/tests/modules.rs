//! Modules in order, from trees made for the test and from a real kernel's.

use object::write::Object;
use object::{Architecture, BinaryFormat, Endianness, SectionKind};

use super::*;

/// A file with nothing of a module but what it says about itself.
fn module_file(lines: &[&str]) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let section = object.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
    let text: String = lines.iter().map(|line| format!("{line}\0")).collect();
    object.append_section_data(section, text.as_bytes(), 1);
    object.write().unwrap()
}

/// A kernel whose modules are FILES: path below kernel/, and the lines of .modinfo.
fn kernel_with(dir: &Path, built_in: &str, files: &[(&str, &[&str])]) -> Kernel {
    put(&dir.join("modules.builtin"), built_in);
    for (path, lines) in files {
        put(&dir.join("kernel").join(path), module_file(lines));
    }
    Kernel { image: "/boot/vmlinuz".into(), release: "6.9.1-test".into(), modules: Some(dir.into()) }
}

fn names(modules: &[Module]) -> Vec<&str> {
    modules.iter().map(|module| module.name.as_str()).collect()
}

#[test]
fn each_module_comes_after_those_that_it_needs_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = kernel_with(
        dir.path(),
        "kernel/lib/crc-core.ko\n",
        &[
            ("net/bridge.ko", &["license=GPL", "depends=stp,llc", "name=bridge"]),
            ("net/802/stp.ko", &["depends=llc"]),
            ("net/llc.ko", &["depends="]),
            ("net/nf-tables.ko", &["depends=crc_core,nf-link"]),
            ("net/nf_link.ko", &[]),
            ("net/unused.ko", &["depends=nowhere"]),
        ],
    );
    let found = modules(&kernel, &["bridge", "llc", "nf_tables", "crc_core", "nf-tables"]).unwrap();
    assert_eq!(names(&found), ["llc", "stp", "bridge", "nf_link", "nf_tables"]);
    assert_eq!(found[0].bytes, module_file(&["depends="]));
}

#[test]
fn a_soft_dependency_comes_first_if_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = kernel_with(
        dir.path(),
        "",
        &[
            ("lib/sums.ko", &["softdep=pre: crc-32c an_alias post: later", "depends=crc32"]),
            ("lib/crc-32c.ko", &["depends=crc32"]),
            ("lib/crc32.ko", &[]),
            ("lib/later.ko", &[]),
        ],
    );
    assert_eq!(names(&modules(&kernel, &["sums"]).unwrap()), ["crc32", "crc_32c", "sums"]);
}

#[test]
fn two_modules_that_need_each_other_end_the_search_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let files: [(&str, &[&str]); 2] = [("a.ko", &["depends=b"]), ("b.ko", &["softdep=pre: a"])];
    let kernel = kernel_with(dir.path(), "", &files);
    assert_eq!(names(&modules(&kernel, &["a"]).unwrap()), ["b", "a"]);
}

#[test]
fn a_module_that_the_kernel_lacks_is_named_with_its_package() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = kernel_with(dir.path(), "", &[("needy.ko", &["depends=gone"])]);
    for (wanted, missing) in [("nf-tables", "nf_tables"), ("needy", "gone")] {
        let (key, status, words) = told(&modules(&kernel, &[wanted]).unwrap_err());
        assert_eq!((key.as_str(), status), ("module-missing", 3));
        assert!(words.contains(&format!("no module {missing}")), "{words}");
        assert!(words.contains("linux-modules-extra-6.9.1-test"), "{words}");
    }
}

#[test]
fn a_kernel_without_modules_is_at_fault_only_when_one_is_wanted() {
    let kernel = Kernel { image: "/boot/vmlinuz".into(), release: "6.9.1-test".into(), modules: None };
    assert_eq!(modules(&kernel, &[]).unwrap(), []);
    let (key, status, words) = told(&modules(&kernel, &["overlay"]).unwrap_err());
    assert_eq!((key.as_str(), status), ("modules-none", 3));
    assert!(words.contains("/lib/modules/6.9.1-test"), "{words}");
}

#[test]
fn a_damaged_module_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = kernel_with(dir.path(), "", &[]);
    let file = dir.path().join("kernel/broken.ko.zst");
    let damaged: [&[u8]; 5] =
        [b"", b"\x7fELF", b"\x1f\x8b\x08\0\0", b"\xfd7zXZ\0\0\x01and more", b"\x28\xb5\x2f\xfd\xff\xff"];
    for content in damaged {
        put(&file, content);
        let fault = modules(&kernel, &["broken"]).unwrap_err();
        assert_eq!(fault.status(), 4, "{content:?}");
        assert!(fault.to_string().contains(&*file.to_string_lossy()), "{fault}");
    }
}

/// BYTES as COMMAND compresses them; skips aloud if it is not installed.
fn compress(bytes: &[u8], command: &[&str], package: &str) -> Option<Vec<u8>> {
    let mut compressor = testing::command(program(command[0], package)?);
    let mut plain = tempfile::tempfile().unwrap();
    plain.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut plain).unwrap();
    let output = compressor.args(&command[1..]).stdin(plain).output().unwrap();
    assert!(output.status.success() && output.stdout.len() < bytes.len(), "{command:?}");
    Some(output.stdout)
}

#[test]
fn compressed_modules_are_the_same_once_unpacked() {
    let Some(kernel) = real_kernel() else { return };
    let wanted = ["bridge", "nf_tables"];
    let plain = modules(&kernel, &wanted).unwrap();
    assert!(plain.len() > 2, "{:?}", names(&plain));
    let commands: [(&str, &str, &[&str]); 5] = [
        ("gz", "gzip", &["gzip", "-n", "-9", "-c"]),
        // As the kernel's own makefiles compress them, then with what xz has besides.
        ("xz", "xz-utils", &["xz", "--check=crc32", "--lzma2=dict=1MiB", "-c"]),
        ("xz", "xz-utils", &["xz", "--check=sha256", "--x86", "--lzma2", "-c"]),
        ("zst", "zstd", &["zstd", "-q", "-19", "-c"]),
        ("zst", "zstd", &["zstd", "-q", "-1", "--no-check", "-c"]),
    ];
    for (suffix, package, command) in commands {
        let dir = tempfile::tempdir().unwrap();
        let copy = kernel_with(dir.path(), "", &[]);
        for module in &plain {
            let Some(stored) = compress(&module.bytes, command, package) else { return };
            put(&dir.path().join(format!("kernel/{}.ko.{suffix}", module.name)), stored);
        }
        let unpacked = modules(&copy, &wanted).unwrap();
        assert!(unpacked == plain, "{command:?}: {:?}", names(&unpacked));
    }
}
