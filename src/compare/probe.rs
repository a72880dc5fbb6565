//! What runs in each subject: our own program as `workshop __probe`. It says that it has begun, rests a moment so
//! that it can be looked at, measures what things cost where it is, reports that, and ends.
//!
//! ```text
//! main ──▶ "." ──▶ rest ──▶ measure ──▶ {"kernel":…}\n ──▶ exit
//! ```

use std::ffi::OsString;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use serde::{Deserialize, Serialize};

use kernel::process::pids;

/// The word on the command line that makes our program a probe; nobody types it by accident.
pub const PROBE: &str = "__probe";

/// The first byte that a probe writes.
pub const BEGUN: u8 = b'.';

/// How long a probe rests: enough for the host to read a few files of /proc.
const REST: Duration = Duration::from_millis(200);

/// What a probe found out. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The release of the kernel that it runs on (uname(2)).
    pub kernel: String,
    /// The processes that its /proc lists.
    pub processes: usize,
    /// One system call.
    pub system_call: f64,
    /// One page fault.
    pub page_fault: f64,
    /// One reading of a file of [`FILE`] bytes.
    pub file_read: f64,
    /// Work of its own, without the kernel.
    pub cpu_loop: f64,
}

/// Whether this process was started as a probe.
pub fn is_asked(mut arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.nth(1).is_some_and(|word| word == PROBE) && arguments.next().is_none()
}

/// The whole of it. `main` calls this before anything else, so that nothing is measured but the way there.
/// Returns the exit status: 0, or 4 for an error, whose text goes to standard error.
pub fn run() -> i32 {
    let begun = write_all(&[BEGUN]);
    match begun.and_then(|()| report()) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "probe: {error}");
            4
        }
    }
}

fn report() -> io::Result<()> {
    std::thread::sleep(REST);
    let report = Report {
        kernel: nix::sys::utsname::uname()?.release().to_string_lossy().into_owned(),
        processes: pids(Path::new("/proc")).len(),
        system_call: system_call(),
        page_fault: page_fault()?,
        file_read: file_read(Path::new("/tmp/probe"))?,
        cpu_loop: cpu_loop(),
    };
    let mut line = serde_json::to_vec(&report)?;
    line.push(b'\n');
    write_all(&line)
}

/// Writes to standard output without the buffer and the lock of `io::stdout`.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = nix::unistd::write(io::stdout(), bytes)?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// getppid(2): no work but the way into the kernel and back. (The C library may remember what getpid(2) said, and
/// the vDSO answers some calls without the kernel.)
fn system_call() -> f64 {
    const CALLS: u32 = 100_000;
    let start = Instant::now();
    for _ in 0..CALLS {
        // SAFETY: no pointers, and it can't fail.
        black_box(unsafe { libc::syscall(libc::SYS_getppid) });
    }
    start.elapsed().as_secs_f64() / f64::from(CALLS)
}

/// The first touch of a page of fresh memory: the processor finds nothing there and asks the kernel, which has to
/// clear one. Without huge pages (madvise(2), `MADV_NOHUGEPAGE`), of which one fault would bring 512.
fn page_fault() -> io::Result<f64> {
    const PAGE: usize = 4096;
    const PAGES: usize = 8192;
    let length = NonZeroUsize::new(PAGE * PAGES).ok_or(io::ErrorKind::InvalidInput)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: fresh memory at an address of the kernel's choice.
    let memory = unsafe { mmap_anonymous(None, length, access, MapFlags::MAP_PRIVATE)? };
    // A kernel without huge pages does not know the advice, and doesn't need it.
    // SAFETY: it is the memory just mapped, and the advice changes no contents.
    let _ = unsafe { madvise(memory, length.get(), MmapAdvise::MADV_NOHUGEPAGE) };
    let first: *mut u8 = memory.cast().as_ptr();
    let start = Instant::now();
    for page in 0..PAGES {
        // SAFETY: within the memory just mapped.
        unsafe { first.add(page * PAGE).write_volatile(1) };
    }
    let took = start.elapsed();
    // SAFETY: nothing refers to it any more.
    unsafe { munmap(memory, length.get())? };
    Ok(took.as_secs_f64() / PAGES as f64)
}

/// The size of the file that is read, in bytes.
pub const FILE: usize = 64 << 20;

/// Writes a file and reads it twice, a mebibyte at a time; the second reading counts. It comes from memory, not
/// from a disk: the file is in the page cache, or lies on a tmpfs.
fn file_read(path: &Path) -> io::Result<f64> {
    let mut room = vec![1u8; 1 << 20];
    let written = write_file(path, &room);
    let read = written.and_then(|()| read_file(path, &mut room)).and_then(|_| read_file(path, &mut room));
    fs::remove_file(path)?;
    read
}

fn write_file(path: &Path, piece: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    (0..FILE / piece.len()).try_for_each(|_| file.write_all(piece))
}

fn read_file(path: &Path, room: &mut [u8]) -> io::Result<f64> {
    let mut file = File::open(path)?;
    let start = Instant::now();
    while file.read(room)? > 0 {}
    Ok(start.elapsed().as_secs_f64())
}

/// An operation of [`cpu_loop`].
type Operation = fn(u64, u64) -> u64;

/// Never inlined: they are there to be called.
const OPERATIONS: [Operation; 4] = [
    |x, y| x ^ (x << 13) ^ y,
    |x, y| (x >> 7).wrapping_add(y),
    |x, y| x ^ (y << 17),
    |x, y| x.rotate_left(5) ^ y,
];

/// What programs do without the kernel, a little of each: arithmetic, memory that is in the processor's cache, and
/// calls by pointer, as an interpreter of bytecode has them. It takes as long in a container as outside, and in a
/// virtual machine as well, unless the processor is emulated. Arithmetic alone would not show that: a translator
/// turns one addition into one addition, but a load into a search for where the guest's memory lies, and a call by
/// pointer into a search for the translation.
fn cpu_loop() -> f64 {
    const ROUNDS: usize = 5_000_000;
    const CELLS: usize = 4096;
    let (operations, mut memory) = (black_box(OPERATIONS), vec![1u64; CELLS]);
    let start = Instant::now();
    let mut x = 88_172_645_463_325_252_u64;
    for operation in operations.iter().cycle().take(ROUNDS) {
        if let Some(cell) = memory.get_mut(x as usize % CELLS) {
            x = operation(x, *cell);
            *cell = x;
        }
    }
    black_box((x, memory));
    start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_word_makes_a_probe() {
        let asked = |words: &[&str]| is_asked(words.iter().map(OsString::from));
        assert!(asked(&["workshop", PROBE]));
        assert!(!asked(&["workshop"]) && !asked(&[PROBE]) && !asked(&["workshop", "run", PROBE]));
        assert!(!asked(&["workshop", PROBE, "--help"]) && !asked(&["workshop", "probe"]));
    }

    #[test]
    fn everything_takes_some_time_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let times = [system_call(), page_fault().unwrap(), file_read(&file).unwrap(), cpu_loop()];
        assert!(times.iter().all(|time| *time > 0.0), "{times:?}");
        assert!(!file.exists());
    }
}
