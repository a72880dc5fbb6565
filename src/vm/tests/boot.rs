//! The last word is the kernel's: it unpacks the archive, and loads the modules in our order.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::*;
use image::explain_exec;

/// What the steps of the course need that a distribution's kernel may have as modules.
const WANTED: [&str; 6] = ["overlay", "veth", "bridge", "nf_tables", "nft_chain_nat", "nft_masq"];

/// Loads the modules, then shows what it finds.
const INIT: &str = "#!/busybox sh
/busybox mount -t proc proc /proc
for module in $(/busybox cat /order); do
  /busybox insmod /modules/$module.ko || echo failed: $module
done
echo release: $(/busybox uname -r)
for module in $(/busybox cut -d ' ' -f 1 /proc/modules); do echo loaded: $module; done
/busybox stat -c 'file: %n %A %u:%g %t:%T %Y' /init /copied/sh /copied/fifo /null /sticky
echo link: $(/busybox readlink /copied/link)
/busybox reboot -f
";

/// Boots KERNEL with the initramfs INITRD in software emulation, and returns what the guest printed.
fn boot(qemu: &Path, kernel: &Path, initrd: &Path) -> String {
    let console = initrd.with_file_name("console");
    // On a busy host the software emulation of QEMU 7.2 now and then ends Linux 6.12 with a double fault right
    // after cmpxchg16b, in the allocator. On a processor without that instruction it does not.
    let mut child = command(qemu)
        .args(["-M", "microvm,acpi=off,isa-serial=on,rtc=on", "-m", "512"])
        .args(["-accel", "tcg", "-cpu", "max,cx16=off"])
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"])
        .args(["-serial", &format!("file:{}", console.display())])
        .args(["-append", "console=ttyS0 quiet reboot=t panic=-1"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initrd)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = child.try_wait().unwrap().is_some();
    // Whoever has ended already can't be killed any more.
    let _ = child.kill();
    let _ = child.wait();
    let said = fs::read_to_string(console).unwrap_or_default().replace('\r', "");
    assert!(ended, "the guest did not end:\n{said}");
    said
}

/// busybox, if it runs with no library around; skips aloud if not.
fn static_busybox(dir: &Path) -> Option<PathBuf> {
    let busybox = program("busybox", "busybox-static")?;
    fs::copy(&busybox, dir.join("busybox")).unwrap();
    if let Some(problem) = explain_exec(dir, Path::new("/busybox")) {
        skip(&format!("busybox is not static ({problem:?})"), "Install busybox-static");
        return None;
    }
    Some(busybox)
}

/// Writes an initramfs with everything that it can hold, the modules NEEDED in it and their ORDER.
fn write_initramfs(file: &Path, busybox: &Path, needed: &[Module], order: &str) -> Result<(), Fault> {
    let tree = file.with_file_name("tree");
    put(&tree.join("sh"), "");
    fs::set_permissions(tree.join("sh"), fs::Permissions::from_mode(0o4755)).unwrap();
    symlink("../busybox", tree.join("link")).unwrap();
    nix::unistd::mkfifo(&tree.join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();

    let mut archive = Initramfs::new(fs::File::create(file).unwrap());
    archive.file("/order", 0o644, order.as_bytes())?;
    for module in needed {
        archive.file(format!("/modules/{}.ko", module.name), 0o644, &module.bytes)?;
    }
    archive.file_from("/busybox", 0o755, busybox)?;
    archive.tree(&tree, "/copied")?;
    archive.node("/null", libc::S_IFCHR | 0o666, libc::makedev(1, 3))?;
    archive.directory("/sticky", 0o1777)?;
    archive.directory("/proc", 0o555)?;
    archive.file("/init", 0o755, INIT.as_bytes())?;
    archive.finish().map(drop)
}

#[test]
fn the_kernel_unpacks_the_archive_and_loads_the_modules_in_this_order() {
    let Some(kernel) = real_kernel() else { return };
    let Some(qemu) = program("qemu-system-x86_64", "qemu-system-x86") else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(busybox) = static_busybox(dir.path()) else { return };
    let needed = modules(&kernel, &WANTED).unwrap();
    let order: String = needed.iter().map(|module| module.name.clone() + "\n").collect();
    let initrd = dir.path().join("initrd");
    write_initramfs(&initrd, &busybox, &needed, &order).unwrap();

    let said = boot(&qemu, &kernel.image, &initrd);
    let answers =
        |label: &str| -> Vec<&str> { said.lines().filter_map(|line| line.strip_prefix(label)).collect() };
    assert_eq!(answers("release: "), [kernel.release.as_str()], "{said}");
    assert_eq!(answers("failed: "), Vec::<&str>::new(), "{said}");
    // /proc/modules has the youngest first.
    let loaded: String = answers("loaded: ").iter().rev().map(|name| format!("{name}\n")).collect();
    assert_eq!(loaded, order, "{said}");
    let expected = [
        "/init -rwxr-xr-x 0:0 0:0 0",
        "/copied/sh -rwsr-xr-x 0:0 0:0 0",
        "/copied/fifo pr-------- 0:0 0:0 0",
        "/null crw-rw-rw- 0:0 1:3 0",
        "/sticky drwxrwxrwt 0:0 0:0 0",
    ];
    assert_eq!(answers("file: "), expected, "{said}");
    assert_eq!(answers("link: "), ["../busybox"]);
}
