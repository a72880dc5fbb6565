//! `workshop vm` at a real terminal: keys and its size are the guest's, and the shell outside has it again afterwards.

#![cfg(test)]

mod common;

use std::sync::{Mutex, MutexGuard, PoisonError};

use common::Who;
use common::guest::{Guest, kernel};
use common::screen::{CTRL_C, CTRL_D, CTRL_Z, Screen};
use common::watch::{Desk, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One machine at a time: several at once take longer to boot than anybody waits at a terminal.
static ALONE: Mutex<()> = Mutex::new(());

/// A shell with job control at a terminal, and `$vm` to start a machine.
fn shell() -> Option<(Screen, MutexGuard<'static, ()>)> {
    if !Guest::possible() {
        return None;
    }
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let desk = Desk::new(Who::User, "machine");
    let mut screen = Screen::shell(&desk, &["sh", "-i"]);
    screen.wait_for("outer> ");
    screen.line(&format!("export WORKSHOP_KERNEL={}; vm='vm --accel tcg --lang en'", kernel().display()));
    screen.wait_for("outer> ");
    Some((screen, alone))
}

/// The workshop's state: `S` sleeps, `T` is stopped.
fn in_state(screen: &Screen, state: char) {
    wait_until(&format!("workshop in state {state}"), || {
        screen.processes().iter().any(|p| p.name == "workshop" && p.state == state)
    });
}

#[test]
fn keys_and_size_are_the_guests_and_the_terminal_is_given_back() {
    let Some((mut screen, _alone)) = shell() else { return };
    screen.line("$workshop $vm -- sh -i");
    screen.wait_for("# ");
    screen.line("stty size");
    screen.wait_for("24 80");
    // A key that comes before the program does is the shell's.
    screen.line("sh -c 'echo asleep $((6 * 6)); exec sleep 1000'");
    screen.wait_for("asleep 36");
    screen.keys(CTRL_C);
    screen.wait_for("# ");
    screen.line("sh -c 'echo asleep $((6 * 7)); exec sleep 1000'");
    screen.wait_for("asleep 42");
    screen.keys(CTRL_Z);
    screen.wait_for("Stopped");
    in_state(&screen, 'S');
    screen.wait_for("# ");
    // A shell that has not heard of the end of its job yet would refuse to exit.
    screen.line("kill -9 %1; sleep 1");
    screen.wait_for("Killed");
    screen.line("exit 5");
    screen.wait_for("outer> ");
    assert_eq!(screen.modes(), (true, true));
    screen.line("echo status $?");
    screen.wait_for("status 5");
    screen.line("exit 4");
    assert_eq!(screen.end(), 4, "{}", screen.text());
}

#[test]
fn a_machine_in_the_background_leaves_the_terminal_alone_until_fg() {
    let Some((mut screen, _alone)) = shell() else { return };
    screen.line("$workshop $vm -- sh -c 'read line; echo it read $line' &");
    in_state(&screen, 'T');
    assert_eq!(screen.modes(), (true, true));
    screen.line("fg");
    wait_until("raw mode", || screen.modes() == (false, false));
    screen.line("a key");
    screen.wait_for("it read a key");
    screen.wait_for("outer> ");
    assert_eq!(screen.modes(), (true, true));

    // Asked to end, it does, in the background too.
    screen.line("$workshop $vm -- cat &");
    in_state(&screen, 'T');
    screen.line("kill $!; kill -CONT $!");
    screen.wait_for("Ended by signal 15");
    wait_until("its end", || screen.processes().iter().all(|p| p.name != "workshop"));
    assert_eq!(screen.modes(), (true, true));
    screen.line("wait; exit 4");
    assert_eq!(screen.end(), 4, "{}", screen.text());
}

#[test]
fn stopped_from_elsewhere_it_lends_the_terminal_to_nobody() {
    let Some((mut screen, _alone)) = shell() else { return };
    screen.line("$workshop $vm -- cat");
    wait_until("raw mode", || screen.modes() == (false, false));
    let workshop = screen.processes().into_iter().find(|p| p.name == "workshop").expect("the workshop");
    kill(Pid::from_raw(workshop.pid), Signal::SIGTSTP).expect("send a signal");
    screen.wait_for("outer> ");
    assert_eq!(screen.modes(), (true, true));
    screen.line("fg");
    wait_until("raw mode", || screen.modes() == (false, false));
    screen.line("to and fro");
    screen.wait_for("to and fro\r\nto and fro");
    screen.keys(CTRL_D);
    screen.wait_for("outer> ");
    screen.line("exit 4");
    assert_eq!(screen.end(), 4, "{}", screen.text());
}
