//! Jobs and keys at a real terminal: Ctrl-C, Ctrl-D and Ctrl-Z do what they do to any program, a shell in the
//! container controls its own jobs, and the shell outside has its terminal again afterwards.

#![cfg(test)]

mod common;

use common::screen::{CTRL_C, CTRL_D, CTRL_Z, ESCAPE, Screen, word};
use common::watch::{Desk, wait_until};
use common::{have, who};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A shell without job control of its own, which says how the workshop ended and then reads a line: that only
/// works in the foreground. Keys reach it as well as the workshop, and don't end it.
fn outside(desk: &Desk, command: &str) -> Screen {
    let script = format!("trap : INT; $workshop {command}; echo status $?; read line; echo it read $line");
    Screen::shell(desk, &["sh", "-c", &script])
}

/// The workshop ended with this status, and the terminal is the outer shell's, as it was.
fn given_back(screen: &mut Screen, status: i32, modes: (bool, bool)) {
    screen.wait_for(&format!("status {status}\r\n"));
    assert_eq!(screen.foreground(), screen.pid(), "the outer shell is in the foreground");
    assert_eq!(screen.modes(), modes, "echo and line editing are as before");
    screen.line("a line");
    screen.wait_for("it read a line");
    assert_eq!(screen.end(), 0);
    screen.gone();
}

/// Waits for the program to be in a state: `S` sleeps, `T` is stopped.
fn all_in_state(screen: &Screen, name: &str, state: char) {
    wait_until(&format!("{name} in state {state}"), || {
        let found: Vec<_> = screen.processes().into_iter().filter(|p| p.name == name).collect();
        !found.is_empty() && found.iter().all(|p| p.state == state)
    });
}

/// Opens `step 3 --shell` and waits for the prompt in the container.
fn shell_in_step_3(desk: &Desk) -> (Screen, (bool, bool)) {
    let mut screen = outside(desk, "step 3 --shell");
    screen.wait_for(&word("en", "your-guess"));
    screen.keys(ESCAPE);
    screen.wait_for("(step 3) # ");
    (screen, (true, true))
}

#[test]
fn a_shell_in_the_container_controls_its_jobs() {
    for who in who() {
        let desk = Desk::new(who, "shell");
        let (mut screen, modes) = shell_in_step_3(&desk);
        screen.line("echo $$ is $((40 + 2))");
        screen.wait_for("1 is 42");
        screen.line("sleep 1000 &");
        screen.wait_for("[1]");
        screen.line("jobs");
        screen.wait_for("Running");
        screen.line("fg");
        screen.wait_for("sleep 1000\r\n");
        all_in_state(&screen, "sleep", 'S');
        screen.keys(CTRL_Z);
        screen.wait_for("Stopped");
        all_in_state(&screen, "sleep", 'T');
        all_in_state(&screen, "workshop", 'S');
        screen.line("fg");
        all_in_state(&screen, "sleep", 'S');
        screen.keys(CTRL_C);
        wait_until("the end of sleep", || !screen.processes().iter().any(|p| p.name == "sleep"));
        screen.line("echo still here: $((6 * 7))");
        screen.wait_for("still here: 42");
        screen.keys(CTRL_C);
        screen.line("stty -echo -icanon; exit 5");
        // The step's own verdict: a shell's status says nothing about the checks.
        given_back(&mut screen, 0, modes);
    }
}

#[test]
fn ctrl_d_ends_a_shell_in_the_container() {
    for who in who() {
        let desk = Desk::new(who, "eof");
        let (mut screen, modes) = shell_in_step_3(&desk);
        screen.keys(CTRL_D);
        given_back(&mut screen, 0, modes);
        for shell in ["sh", "sh -i"] {
            let mut screen = outside(&desk, &format!("run -- {shell}"));
            screen.wait_for("# ");
            screen.line("exit 5");
            given_back(&mut screen, 5, modes);
            assert!(!screen.text().contains("annot"), "the shell complains: {}", screen.text());
        }
    }
}

#[test]
fn a_signal_to_the_workshop_ends_the_shell_and_gives_the_terminal_back() {
    for who in who() {
        let desk = Desk::new(who, "term");
        let (mut screen, modes) = shell_in_step_3(&desk);
        screen.line("stty -echo; sleep 1000");
        wait_until("sleep", || screen.processes().iter().any(|p| p.name == "sleep"));
        let workshop = screen.processes().into_iter().find(|p| p.name == "workshop").expect("the workshop");
        kill(Pid::from_raw(workshop.pid), Signal::SIGTERM).expect("send a signal");
        given_back(&mut screen, 143, modes);
    }
}

#[test]
fn the_outer_shell_goes_on_where_it_was() {
    for (who, shell) in who().into_iter().flat_map(|who| [(who, "bash --norc -i"), (who, "sh -i")]) {
        if !have(shell.split(' ').next().unwrap_or(shell), "a shell") {
            continue;
        }
        let desk = Desk::new(who, "outer");
        let mut screen = Screen::shell(&desk, &shell.split(' ').collect::<Vec<_>>());
        screen.wait_for("outer> ");
        let foreground = screen.foreground();
        screen.line("$workshop step 3 --shell");
        screen.wait_for(&word("en", "your-guess"));
        screen.keys(ESCAPE);
        screen.wait_for("(step 3) # ");
        assert_ne!(screen.foreground(), foreground);
        screen.line("exit");
        screen.wait_for("outer> ");
        wait_until("the outer shell's turn", || screen.foreground() == foreground);
        screen.line("echo $((6 * 7))");
        screen.wait_for("42");
        screen.line("exit 4");
        assert_eq!(screen.end(), 4, "{}", screen.text());
    }
}

#[test]
fn ctrl_d_and_ctrl_c_end_a_program_that_reads() {
    for who in who() {
        let desk = Desk::new(who, "cat");
        for command in ["step 3 -- cat", "step 3 --init -- cat", "run -- cat", "run --init -- cat"] {
            for (key, status) in [(CTRL_D, 0), (CTRL_C, 130)] {
                let mut screen = outside(&desk, command);
                wait_until("cat", || screen.processes().iter().any(|p| p.name == "cat"));
                screen.line("to and fro");
                // Once by the terminal, once by cat.
                screen.wait_for("to and fro\r\nto and fro");
                screen.keys(key);
                given_back(&mut screen, status, (true, true));
            }
        }
    }
}

#[test]
fn a_key_reaches_a_program_with_a_handler_once() {
    for who in who() {
        let desk = Desk::new(who, "once");
        for command in ["step 1", "run", "run --init"] {
            // It counts while it waits, and for a while after the first. It waits for a moment at a time: a signal may
            // come between its look at the count and its next wait.
            let program = "trap \"n=\\$((n + 1))\" INT; echo it runs; \
                           until [ \"$n\" ]; do sleep 0.1 & wait; done; sleep 0.3; echo in all $n; exit 9";
            let mut screen = outside(&desk, &format!("{command} -- sh -c '{program}'"));
            screen.wait_for("it runs\r\n");
            screen.keys(CTRL_C);
            screen.wait_for("in all 1\r\n");
            given_back(&mut screen, 9, (true, true));
        }
    }
}

#[test]
fn ctrl_z_stops_the_whole_job_and_fg_continues_it() {
    for who in who() {
        let desk = Desk::new(who, "stop");
        for command in ["step 1 -- sleep 1000", "run -- sleep 1000", "run --init -- sleep 1000"] {
            let mut screen = Screen::shell(&desk, &["sh", "-i"]);
            screen.wait_for("outer> ");
            let foreground = screen.foreground();
            screen.line(&format!("$workshop {command}"));
            all_in_state(&screen, "sleep", 'S');
            screen.keys(CTRL_Z);
            screen.wait_for("Stopped");
            all_in_state(&screen, "sleep", 'T');
            all_in_state(&screen, "workshop", 'T');
            assert_eq!(screen.foreground(), foreground);
            screen.line("fg");
            all_in_state(&screen, "sleep", 'S');
            screen.keys(CTRL_C);
            screen.wait_for("outer> ");
            screen.line("echo status $?");
            screen.wait_for("status 130");
            screen.line("exit 4");
            assert_eq!(screen.end(), 4, "{}", screen.text());
        }
    }
}

#[test]
fn a_container_in_the_background_leaves_the_terminal_alone() {
    for who in who() {
        let desk = Desk::new(who, "background");
        for command in ["step 1 -- sleep 1000", "run -- sleep 1000", "run --init -- sleep 1000"] {
            let mut screen = Screen::shell(&desk, &["sh", "-i"]);
            screen.wait_for("outer> ");
            let foreground = screen.foreground();
            screen.line(&format!("$workshop {command} >/dev/null &"));
            all_in_state(&screen, "sleep", 'S');
            assert_eq!(screen.foreground(), foreground, "{command}");
            screen.line("echo $((6 * 7))");
            screen.wait_for("42");
            screen.line("kill $!; wait $!; echo status $?");
            screen.wait_for("status 143");
            assert_eq!((screen.foreground(), screen.modes()), (foreground, (true, true)), "{command}");
            screen.line("exit 4");
            assert_eq!(screen.end(), 4, "{}", screen.text());
        }
    }
}

#[test]
fn what_reads_from_the_terminal_in_the_background_is_stopped_until_fg() {
    for who in who() {
        let desk = Desk::new(who, "reader");
        let mut screen = Screen::shell(&desk, &["sh", "-i"]);
        screen.wait_for("outer> ");
        screen.line("$workshop run -- cat &");
        all_in_state(&screen, "workshop", 'T');
        all_in_state(&screen, "cat", 'T');
        screen.line("fg");
        all_in_state(&screen, "cat", 'S');
        screen.wait_for("run -- cat\r\n");
        screen.line("to and fro");
        screen.wait_for("to and fro\r\nto and fro");
        screen.keys(CTRL_C);
        screen.wait_for("outer> ");

        screen.line("$workshop step 1 &");
        all_in_state(&screen, "workshop", 'T');
        assert_eq!(screen.modes(), (true, true), "a question waits too");
        screen.line("fg");
        wait_until("raw mode", || screen.modes() == (false, false));
        screen.keys(ESCAPE);
        screen.wait_for("workshop step 2");
        screen.wait_for("outer> ");
        screen.line("exit 4");
        assert_eq!(screen.end(), 4, "{}", screen.text());
    }
}

#[test]
fn a_program_that_is_not_there_leaves_the_terminal_as_it_was() {
    let desk = Desk::new(common::Who::User, "missing");
    for (command, status) in
        [("run -- no-such-program", 127), ("run -- /etc", 126), ("step 3 -- no-such-program", 127)]
    {
        let mut screen = outside(&desk, command);
        given_back(&mut screen, status, (true, true));
    }
}
