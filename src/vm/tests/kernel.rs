//! Which kernel is found, and what is said of a file that is none.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// The beginning of a bzImage with a setup header of protocol 2.15.
fn bzimage(release: &str) -> Vec<u8> {
    let mut image = vec![0; 0x2000];
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    image[0x20e..0x210].copy_from_slice(&0x1000_u16.to_le_bytes());
    image[0x236] = 0x7f;
    let version = format!("{release} (builder@example.org) #1 SMP\0");
    image[0x1200..0x1200 + version.len()].copy_from_slice(version.as_bytes());
    image
}

/// A kernel in /boot of ROOT, with its modules if WITH_MODULES.
fn install(root: &Path, release: &str, with_modules: bool) -> PathBuf {
    let image = root.join("boot").join(format!("vmlinuz-{release}"));
    put(&image, bzimage(release));
    if with_modules {
        put(&root.join("lib/modules").join(release).join("modules.builtin"), "");
    }
    image
}

#[test]
fn a_real_kernel_is_the_release_that_its_name_says() {
    let Some(kernel) = real_kernel() else { return };
    let modules = kernel.modules.unwrap();
    assert_eq!(modules.file_name().unwrap(), kernel.release.as_str());
    let name = kernel.image.file_name().unwrap().to_string_lossy().into_owned();
    if let Some(version) = name.strip_prefix("vmlinuz-").filter(|rest| rest.starts_with(char::is_numeric)) {
        assert_eq!(version, kernel.release);
    }
}

#[test]
fn a_given_file_comes_before_all_others() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("bzImage");
    put(&image, bzimage("6.9.1-test"));
    let kernel = Kernel::find(Some(&image)).unwrap();
    assert_eq!(kernel, Kernel { image, release: "6.9.1-test".into(), modules: None });
}

#[test]
fn modules_are_found_beside_the_image() {
    let release = "6.9.1-test";
    // (image, modules, found): an unpacked package, one of a distribution whose /lib is a link, Fedora.
    let places = [
        ("boot/vmlinuz-6.9.1-test", "lib/modules/6.9.1-test", true),
        ("boot/vmlinuz-6.9.1-test", "usr/lib/modules/6.9.1-test", true),
        ("usr/lib/modules/6.9.1-test/vmlinuz", "usr/lib/modules/6.9.1-test", true),
        ("boot/vmlinuz-linux", "lib/modules/6.9.1-test", true),
        ("boot/vmlinuz-6.9.1-test", "lib/modules/6.9.2-test", false),
    ];
    for (image, modules, found) in places {
        let dir = tempfile::tempdir().unwrap();
        let (image, modules) = (dir.path().join(image), dir.path().join(modules));
        put(&image, bzimage(release));
        put(&modules.join("modules.builtin"), "");
        let link = dir.path().join("vmlinuz");
        symlink(&image, &link).unwrap();
        for image in [image, link] {
            let kernel = Kernel::find(Some(&image)).unwrap();
            assert_eq!(kernel.modules, found.then(|| modules.clone()), "{image:?}");
        }
    }
}

#[test]
fn a_directory_with_headers_only_has_no_modules() {
    let dir = tempfile::tempdir().unwrap();
    let image = install(dir.path(), "6.9.1-test", false);
    put(&dir.path().join("lib/modules/6.9.1-test/build/Makefile"), "");
    assert_eq!(Kernel::find(Some(&image)).unwrap().modules, None);
}

#[test]
fn the_running_kernel_comes_first_then_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let best = |running: &str| Kernel::installed(dir.path(), running).map(|kernel| kernel.release).unwrap();
    // Each line is better than all lines above it.
    let better = [
        ("6.20.0-no-modules", false),
        ("5.10.9-1-amd64", true),
        ("6.9.0-100-amd64", true),
        ("6.10.0-9-amd64", true),
        ("6.10.0-10-amd64", true),
        ("6.10.0-10-cloud-amd64", true),
        ("6.10.0-11-rt-amd64", true),
    ];
    for (release, with_modules) in better {
        install(dir.path(), release, with_modules);
        assert_eq!(best("6.6.6-elsewhere"), release);
        assert_eq!(best("6.20.0-no-modules"), "6.20.0-no-modules");
    }

    // Fedora and Arch have the image among the modules.
    let image = dir.path().join("lib/modules/7.0.1-arch1-1/vmlinuz");
    put(&image, bzimage("7.0.1-arch1-1"));
    put(&image.with_file_name("modules.builtin"), "");
    assert_eq!(best("6.6.6-elsewhere"), "7.0.1-arch1-1");
    put(&dir.path().join("boot/vmlinuz-9.9.9"), "no kernel");
    put(&dir.path().join("boot/initrd.img-9.9.9"), bzimage("9.9.9"));
    assert_eq!(best("9.9.9"), "7.0.1-arch1-1");
}

#[test]
fn without_a_kernel_the_packages_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (key, status, words) = told(&Kernel::installed(dir.path(), "6.6.6").unwrap_err());
    assert_eq!((key.as_str(), status), ("kernel-none", 3));
    for package in ["linux-image-cloud-amd64", "linux-image-virtual", "kernel-core", "pacman -S linux"] {
        assert!(words.contains(package), "{words}");
    }
}

#[test]
fn a_kernel_for_root_only_is_named_unless_another_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let closed = install(dir.path(), "6.10.0-9-amd64", true);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let find = || as_ordinary_user(|| Kernel::installed(dir.path(), "6.10.0-9-amd64"));
    let (key, status, words) = told(&find().unwrap_err());
    assert_eq!((key.as_str(), status), ("kernel-unreadable", 3));
    assert!(words.contains(&format!("sudo chmod +r {}", closed.display())), "{words}");
    let (key, status, _) = told(&as_ordinary_user(|| Kernel::find(Some(&closed))).unwrap_err());
    assert_eq!((key.as_str(), status), ("kernel-closed", 2));

    install(dir.path(), "6.1.0-2-amd64", true);
    assert_eq!(find().unwrap().release, "6.1.0-2-amd64");
}

#[test]
fn a_file_that_is_no_kernel_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let marked = |offset: usize, mark: &[u8]| {
        let mut content = vec![0xff; 0x400];
        content[offset..offset + mark.len()].copy_from_slice(mark);
        content
    };
    let mut old = bzimage("2.6.12");
    old[0x206..0x208].copy_from_slice(&0x0203_u16.to_le_bytes());
    let mut narrow = bzimage("6.9.1");
    narrow[0x236] = 0x7e;
    let mut arm64 = marked(0x38, b"ARM\x64");
    arm64[..2].copy_from_slice(b"MZ");
    let files: [(&str, &str, Vec<u8>); 13] = [
        ("kernel-empty", "empty", Vec::new()),
        ("kernel-text", "text", "CONFIG_X86_64=y\n# 커널\n".into()),
        ("kernel-elf", "x86_64", fs::read("/proc/self/exe").unwrap()),
        ("kernel-elf", "s390x", marked(0, b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x16")),
        ("kernel-machine", "aarch64", arm64),
        ("kernel-machine", "for arm.", marked(0x24, &[0x18, 0x28, 0x6f, 0x01])),
        ("kernel-machine", "i386", old),
        ("kernel-machine", "i386", narrow),
        ("kernel-format", "gzip", marked(0, &[0x1f, 0x8b, 8])),
        ("kernel-format", "EFI", marked(0, b"MZ")),
        ("kernel-format", ".deb", marked(0, b"!<arch>\ndebian-binary")),
        ("kernel-not-one", "HdrS", marked(0, &[0xeb])),
        // Cut short: the version that its header points to is not there.
        ("kernel-not-one", "cut short", bzimage("6.9.1")[..0x800].to_vec()),
    ];
    for (expected, part, content) in files {
        put(&file, &content);
        let (key, status, words) = told(&Kernel::find(Some(&file)).unwrap_err());
        assert_eq!((key.as_str(), status), (expected, 2), "{part}");
        assert!(words.contains(part) && words.contains(&*file.to_string_lossy()), "{words}");
    }
}

#[test]
fn a_path_without_a_file_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let paths = [
        (dir.path().join("nothing"), "kernel-missing"),
        (fifo.join("below"), "kernel-missing"),
        (dir.path().to_path_buf(), "kernel-directory"),
        (fifo, "kernel-not-one"),
    ];
    for (path, expected) in paths {
        let (key, status, _) = told(&Kernel::find(Some(&path)).unwrap_err());
        assert_eq!((key.as_str(), status), (expected, 2), "{path:?}");
    }
}
