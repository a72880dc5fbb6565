//! Why a program says that it failed: the words that matter in what it wrote on standard error. The last line often is
//! none of them, but a stack frame, a hint or a note of what to try.

/// What tells apart the words on two things of which one has led to the other, the last first.
const LED_TO: &str = " <- ";

/// The reason, on one line. `None` if nothing was said.
pub fn of(said: &str) -> Option<String> {
    let said = console::strip_ansi_codes(said);
    let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
    let known = [rust_panic, go_panic, sanitizer, python, rust_error];
    let reason = known.iter().find_map(|reason| reason(&lines)).or_else(|| last_words(&lines));
    reason.map(|reason| reason.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// `thread 'main' panicked at src/main.rs:3:5:`, and below it what was wrong, up to a note or a backtrace. The first of
/// several is the cause of the others.
fn rust_panic(lines: &[&str]) -> Option<String> {
    let mut lines = lines.iter();
    let at = lines.find_map(|line| Some(line.strip_prefix("thread '")?.split_once(" panicked at ")?.1))?;
    let over =
        |line: &&&str| !(line.starts_with("note: ") || line.starts_with("stack backtrace:") || is_next(line));
    let is_old = !at.ends_with(':');
    // Before Rust 1.73 the message stood on the same line.
    let message = lines.take_while(over).filter(|_| !is_old);
    Some(format!("panicked at {at} {}", message.copied().collect::<Vec<_>>().join(" ")))
}

fn is_next(line: &str) -> bool {
    line.starts_with("thread '") || line.starts_with("thread caused non-unwinding panic")
}

/// `panic: …` or `fatal error: …` of Go's runtime, above the goroutines.
fn go_panic(lines: &[&str]) -> Option<String> {
    let end = lines.iter().position(|line| line.starts_with("goroutine ") && line.ends_with(':'))?;
    let begins = |line: &&str| line.starts_with("panic: ") || line.starts_with("fatal error: ");
    let is_more = |line: &&str| !line.is_empty() && !line.starts_with("[signal ");
    let above = lines.iter().take(end).copied().skip_while(|line| !begins(line));
    let words = above.take_while(is_more).collect::<Vec<_>>();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The summary of a sanitizer's report, or its first line; where undefined behaviour was found, the line that tells it.
fn sanitizer(lines: &[&str]) -> Option<String> {
    let find = |mark: &str| lines.iter().find(|line| line.contains(mark));
    let told = find(": runtime error: ").copied();
    let found = lines.iter().find_map(|line| {
        let (_, report) = line.strip_prefix("==")?.split_once("==")?;
        let report = report.strip_prefix("ERROR: ").or_else(|| report.strip_prefix("WARNING: "))?;
        report.contains("Sanitizer: ").then_some(report)
    });
    let summary = lines.iter().find_map(|line| line.strip_prefix("SUMMARY: "));
    let summary = summary.filter(|line| line.contains("Sanitizer: ") && !line.starts_with("Undefined"));
    // What it was, and where; the first line has an address instead of a place.
    summary.or(found).or(told).map(String::from)
}

/// The last exception of Python's, and the one that it came of. Lines of a traceback are indented.
fn python(lines: &[&str]) -> Option<String> {
    let lines: Vec<&str> = lines.iter().map(|line| out_of_group(line)).collect();
    if let Some(fatal) = lines.iter().find(|line| line.starts_with("Fatal Python error: ")) {
        return Some((*fatal).into());
    }
    let mut parts = lines.split(|line| is_traceback(line));
    let above = parts.next()?;
    let exceptions: Vec<String> = parts.filter_map(exception).collect();
    let (last, before) = exceptions.split_last()?;
    let before = match before.last() {
        Some(before) => Some(before.as_str()),
        // Whoever was run said it above.
        None if last.contains("CalledProcessError: ") => {
            above.iter().rev().find(|line| !is_noise(line)).copied()
        }
        None => None,
    };
    Some(last.clone() + &before.map(|before| format!("{LED_TO}{before}")).unwrap_or_default())
}

fn is_traceback(line: &str) -> bool {
    line.ends_with("Traceback (most recent call last):")
}

/// The exception below a traceback's frames: `Type: message`, which may have several lines.
fn exception(below: &[&str]) -> Option<String> {
    let is_frame = |line: &&&str| line.starts_with(' ') || line.is_empty();
    let is_more = |line: &&str| !line.is_empty() && !line.trim_start().starts_with("+-");
    let words: Vec<&str> = below.iter().skip_while(is_frame).copied().take_while(is_more).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// A line of an exception group without the bars that it is drawn with.
fn out_of_group(line: &str) -> &str {
    let inner = line.trim_start();
    inner.strip_prefix("| ").or_else(|| inner.strip_prefix("+ ")).unwrap_or(line)
}

/// `Error: …` as main returns it, with the last of its causes (the crates anyhow and eyre).
fn rust_error(lines: &[&str]) -> Option<String> {
    let mut parts = lines.splitn(2, |line| *line == "Caused by:");
    let (above, causes) = (parts.next()?, parts.next()?);
    let error = above.iter().rev().find(|line| line.starts_with("Error: "))?;
    let is_cause = |line: &&&str| line.starts_with(' ');
    let last = causes.iter().take_while(is_cause).last()?.trim();
    let last =
        last.split_once(": ").filter(|(n, _)| n.parse::<u32>().is_ok()).map_or(last, |(_, cause)| cause);
    Some(format!("{error}{LED_TO}{last}"))
}

/// The last line that is more than noise, or the last one.
fn last_words(lines: &[&str]) -> Option<String> {
    // A busybox that was called wrongly explains all of itself.
    let end = lines.iter().position(|line| line.starts_with("BusyBox v")).filter(|end| *end > 0);
    let lines: Vec<&str> = lines.iter().copied().take(end.unwrap_or(lines.len())).collect();
    let spoken = || lines.iter().rev().filter(|line| !line.trim().is_empty());
    spoken().find(|line| !is_noise(line)).or_else(|| spoken().next()).map(|line| (*line).into())
}

/// Whether a line says less than those before it.
fn is_noise(line: &str) -> bool {
    const HINTS: [&str; 5] = [
        // mount(8), getopt(3), iptables(8), Rust, LeakSanitizer.
        "dmesg(1) may have more information",
        " --help' for more information",
        "Perhaps iptables or your kernel needs to be upgraded",
        "note: run with `RUST_BACKTRACE=1`",
        "==HINT: ",
    ];
    // What a shell says of what it ran.
    const ENDS: [&str; 6] =
        ["Aborted", "Bad system call", "Killed", "Terminated", "Segmentation fault", "(core dumped)"];
    let line = line.trim();
    let traced = line.trim_start_matches('+').starts_with(' ') && line.starts_with('+');
    let drawn = !line.is_empty() && line.chars().all(|c| "+-|=^~ ".contains(c));
    let go_run = line.strip_prefix("exit status ").is_some_and(|status| status.parse::<u8>().is_ok());
    let ended = ENDS
        .iter()
        .any(|end| line == *end || line.contains(&format!(" {end} ")) || line.ends_with(&format!(" {end}")));
    traced || drawn || go_run || ended || line.is_empty() || HINTS.iter().any(|hint| line.contains(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_in_what_programs_really_say() {
        for (said, reason) in CASES {
            assert_eq!(of(said).as_deref(), Some(*reason), "{said}");
        }
        assert_eq!(of(""), None);
        assert_eq!(of("\n \n"), None);
    }

    const CASES: &[(&str, &str)] = &[
        // Rust.
        (
            "\nthread 'main' (13723) panicked at p.rs:1:42:\ncalled `Result::unwrap()` on an `Err` value: Os { code: 2 }\n\
             note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
            "panicked at p.rs:1:42: called `Result::unwrap()` on an `Err` value: Os { code: 2 }",
        ),
        (
            "thread 'main' panicked at q.rs:1:12:\nassertion `left == right` failed: counts\n  left: 1\n right: 2\n\
             stack backtrace:\n   0: rust_begin_unwind\n             at /rustc/59807/library/std/src/panicking.rs:689:5\n\
             note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n",
            "panicked at q.rs:1:12: assertion `left == right` failed: counts left: 1 right: 2",
        ),
        (
            "thread 'main' panicked at 'no root', src/main.rs:2:5\nnote: run with `RUST_BACKTRACE=1` environment variable\n",
            "panicked at 'no root', src/main.rs:2:5",
        ),
        (
            "thread '<unnamed>' (2) panicked at a.rs:1:2:\nfirst\nthread 'main' (1) panicked at a.rs:9:9:\nAny { .. }\n",
            "panicked at a.rs:1:2: first",
        ),
        ("Error: Os { code: 1, kind: PermissionDenied }\n", "Error: Os { code: 1, kind: PermissionDenied }"),
        (
            "Error: no /proc\n\nCaused by:\n    0: mount\n    1: Operation not permitted (os error 1)\n\nStack backtrace:\n   0: x\n",
            "Error: no /proc <- Operation not permitted (os error 1)",
        ),
        // Go.
        (
            "panic: runtime error: invalid memory address or nil pointer dereference\n\
             [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x460671]\n\n\
             goroutine 1 [running]:\nmain.main()\n\t/x/main.go:4 +0x31\nexit status 2\n",
            "panic: runtime error: invalid memory address or nil pointer dereference",
        ),
        (
            "panic: first\nline\n\tpanic: second\n\ngoroutine 1 [running]:\nmain.main.func1()\n\t/x/main.go:4 +0x27\n",
            "panic: first line panic: second",
        ),
        (
            "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/x.go:2 +0x2c\n",
            "fatal error: all goroutines are asleep - deadlock!",
        ),
        (
            "2026/11/29 12:00:00 mount: operation not permitted\nexit status 1\n",
            "2026/11/29 12:00:00 mount: operation not permitted",
        ),
        // Python.
        (
            "Traceback (most recent call last):\n  File \"e.py\", line 5, in <module>\n    open(\"/x\")\n    ~~~~^^^^^^\n\
             FileNotFoundError: [Errno 2] No such file or directory: '/x'\n\n\
             The above exception was the direct cause of the following exception:\n\n\
             Traceback (most recent call last):\n  File \"e.py\", line 7, in <module>\n    raise RuntimeError(\"no root\") from e\n\
             RuntimeError: no root\n",
            "RuntimeError: no root <- FileNotFoundError: [Errno 2] No such file or directory: '/x'",
        ),
        (
            "Traceback (most recent call last):\n  File \"e.py\", line 1\nValueError: two\nlines\n",
            "ValueError: two lines",
        ),
        (
            "  File \"e.py\", line 1\n    def f(:\n          ^\nSyntaxError: invalid syntax\n",
            "SyntaxError: invalid syntax",
        ),
        (
            "unshare: unshare failed: Operation not permitted\nTraceback (most recent call last):\n  File \"e.py\", line 2\n\
             subprocess.CalledProcessError: Command '['unshare']' returned non-zero exit status 1.\n",
            "subprocess.CalledProcessError: Command '['unshare']' returned non-zero exit status 1. <- \
             unshare: unshare failed: Operation not permitted",
        ),
        (
            "  + Exception Group Traceback (most recent call last):\n  |   File \"e5.py\", line 1, in <module>\n\
             \x20 | ExceptionGroup: many (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | ValueError: a\n\
             \x20   +------------------------------------\n",
            "ExceptionGroup: many (2 sub-exceptions)",
        ),
        (
            "Fatal Python error: Aborted\n\nCurrent thread 0x00007f (most recent call first):\n  File \"<string>\", line 1 in <module>\n",
            "Fatal Python error: Aborted",
        ),
        // C, and its sanitizers.
        ("mount: Operation not permitted\n", "mount: Operation not permitted"),
        (
            "box: box.c:9: main: Assertion `x' failed.\nAborted (core dumped)\n",
            "box: box.c:9: main: Assertion `x' failed.",
        ),
        ("*** stack smashing detected ***: terminated\n", "*** stack smashing detected ***: terminated"),
        (
            "=================================================================\n\
             ==15118==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000015 at pc 0x55de bp 0x7ffc sp 0x7ffc\n\
             WRITE of size 1 at 0x602000000015 thread T0\n    #0 0x55de4abe21da in main /x/a.c:2\n\n\
             SUMMARY: AddressSanitizer: heap-buffer-overflow /x/a.c:2 in main\nShadow bytes around the buggy address:\n\
             \x20 0x0c047fff7fb0: 00 00\n==15118==ABORTING\n",
            "AddressSanitizer: heap-buffer-overflow /x/a.c:2 in main",
        ),
        (
            "AddressSanitizer:DEADLYSIGNAL\n==7==ERROR: AddressSanitizer: SEGV on unknown address 0x000000000000 (pc 0x5)\n",
            "AddressSanitizer: SEGV on unknown address 0x000000000000 (pc 0x5)",
        ),
        (
            "==8==ERROR: LeakSanitizer: detected memory leaks\n\nDirect leak of 4 byte(s) in 1 object(s) allocated from:\n\
             \x20   #0 0x7f in malloc\n\nSUMMARY: AddressSanitizer: 4 byte(s) leaked in 1 allocation(s).\n",
            "AddressSanitizer: 4 byte(s) leaked in 1 allocation(s).",
        ),
        (
            "u.c:2:46: runtime error: signed integer overflow: 2147483647 + 1 cannot be represented in type 'int'\n\
             SUMMARY: UndefinedBehaviorSanitizer: undefined-behavior u.c:2:46\n",
            "u.c:2:46: runtime error: signed integer overflow: 2147483647 + 1 cannot be represented in type 'int'",
        ),
        // Shells, and what they run.
        ("./box.sh: 3: foo: not found\n", "./box.sh: 3: foo: not found"),
        ("box: line 3: foo: command not found\n+ exit 127\n", "box: line 3: foo: command not found"),
        ("+ unshare --foo\n++ true\n", "++ true"),
        (
            "unshare: unrecognized option '--foo'\nTry 'unshare --help' for more information.\n",
            "unshare: unrecognized option '--foo'",
        ),
        (
            "unshare: unrecognized option: foo\nBusyBox v1.36.1 (Debian 1:1.36.1-1) multi-call binary.\n\nUsage: unshare [OPTIONS]\n\n\t-m\tUnshare\n",
            "unshare: unrecognized option: foo",
        ),
        (
            "mount: /proc: permission denied.\n       dmesg(1) may have more information after failed mount system call.\n",
            "mount: /proc: permission denied.",
        ),
        (
            "free(): invalid pointer\nbash: line 1: 15432 Aborted                 ./st\n",
            "free(): invalid pointer",
        ),
        ("\u{1b}[31merror\u{1b}[0m: no root\n\n", "error: no root"),
        ("Segmentation fault\n", "Segmentation fault"),
    ];
}
