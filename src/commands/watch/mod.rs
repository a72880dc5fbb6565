//! `workshop watch`: builds and checks a learner's runtime at each save, shows what came of it, and has a key for all
//! else.
//!
//! The check runs in a child, this very program: a lab takes a process with one thread, and to notice saves takes
//! another.

mod job;
mod keys;
mod page;
mod parts;
mod saves;
mod screen;
mod verdict;

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{getpgrp, tcgetpgrp};

use crate::course::exercise::{self, Exercise};
use crate::fault::{Doing, Fault};
use crate::kernel::signals::{ENDING, STOPPING, Signals, stop};
use crate::learner::build::{self, Before};
use crate::learner::{Project, snapshot, solution as solutions};
use crate::render::learner::{Hint, Solution, Told};

use super::keyboard::{Keyboard, ended};
use super::{Output, menu, progress, reset, solution};
use job::{Job, code};
use keys::{Key, key};
use saves::Saves;
use screen::{Outcome, Screen, Stage};
use verdict::Verdict;

/// Editors save in several calls. That long after the last of them a save is over.
const SETTLED: Duration = Duration::from_millis(150);

/// How often we stop again when we are continued in the background, where there are no keys for us.
const STUBBORN: usize = 10;

/// Watches until the learner has had enough.
pub fn run(out: &mut Output) -> Result<i32, Fault> {
    if !menu::can_ask(out) {
        return Err(Fault::usage("watch-needs-terminal", &[]));
    }
    let project = Project::here()?;
    let signals = Signals::take().doing("open an inbox for signals")?;
    let saves = Saves::of(&project.dir).doing(format!("watch {} for saves", project.dir.display()))?;
    let keyboard = Keyboard::take().doing("take the terminal")?;
    let screen = Screen::open(out, &project)?;
    let before = Before::of(&project);
    let (job, due, keep_aside) = (None, None, false);
    let mut watch = Watch { out, project, signals, keyboard, saves, screen, job, before, due, keep_aside };
    watch.show_task();
    if let Some(words) = watch.saves.why_blind(watch.out.words) {
        watch.screen.say(&words);
    }
    let outcome = watch.start().and_then(|()| watch.wait());
    watch.end_job();
    watch.screen.leave();
    ended(outcome)
}

/// All that is waited for, and what is shown.
struct Watch<'o> {
    out: &'o mut Output,
    project: Project,
    signals: Signals,
    keyboard: Keyboard,
    saves: Saves,
    screen: Screen,
    job: Option<Job>,
    /// The program as it was before the last build.
    before: Before,
    /// When a save is over, and the next run begins.
    due: Option<Instant>,
    /// The next run is not to wipe away what was asked for by key.
    keep_aside: bool,
}

/// What there is to attend to.
struct Woken {
    keys: bool,
    hung_up: bool,
    said: bool,
    ended: bool,
}

impl Watch<'_> {
    /// Attends to whatever comes, until it is time to go.
    fn wait(&mut self) -> Result<(), Fault> {
        loop {
            let woken = self.sleep()?;
            while let Some(sent) = self.signals.next() {
                match sent.signal {
                    libc::SIGINT => return Ok(()),
                    signal if ENDING.contains(&signal) => return Err(Fault::Interrupted(signal)),
                    signal if STOPPING.contains(&signal) => self.stop(signal)?,
                    libc::SIGWINCH => self.screen.draw()?,
                    _ => {}
                }
            }
            if woken.hung_up {
                return Err(Fault::Interrupted(libc::SIGHUP));
            }
            let pressed = if woken.keys { self.keyboard.pressed() } else { Vec::new() };
            for key in pressed.iter().filter_map(key) {
                if key == Key::Quit {
                    return Ok(());
                }
                self.act(key)?;
            }
            self.attend(&woken)?;
            if self.saves.heard() {
                self.due = Some(Instant::now() + SETTLED);
            }
            if self.due.is_some_and(|due| due <= Instant::now()) {
                if !std::mem::take(&mut self.keep_aside) {
                    self.screen.clear();
                }
                self.start()?;
            }
        }
    }

    /// Waits for the next thing to happen (poll(2)).
    fn sleep(&self) -> Result<Woken, Fault> {
        let stdin = std::io::stdin();
        let until = |due: Instant| {
            // Rounded up, or it would wake a moment too early, again and again.
            let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
        };
        let look = self.saves.next_look();
        let timeout = until(self.due.map_or(look, |due| due.min(look)));
        let mut fds: Vec<PollFd> = [stdin.as_fd(), self.signals.as_fd(), self.saves.as_fd()]
            .into_iter()
            .chain(self.job.as_ref().map(|job| job.ended()))
            .chain(self.job.as_ref().filter(|job| job.is_open).map(|job| job.output()))
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(Fault::broken("wait for keys and saves", e)),
        }
        let came = |place: usize| fds.get(place).and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        Ok(Woken {
            keys: came(0).contains(PollFlags::POLLIN),
            hung_up: came(0).intersects(PollFlags::POLLHUP | PollFlags::POLLERR),
            ended: !came(3).is_empty(),
            said: !came(4).is_empty(),
        })
    }

    /// Begins from the start: reads the project again and builds it, or checks it where nothing is built.
    fn start(&mut self) -> Result<(), Fault> {
        self.due = None;
        self.end_job();
        match Project::read(&self.project.dir) {
            Ok(project) => self.project = project,
            // Somebody edits it at this very moment, or it is gone: to be mended, then run again by key.
            Err(fault) => return self.screen.show(Stage::Unable(fault)),
        }
        self.screen.turn_to(&self.project);
        self.before = Before::of(&self.project);
        let Some(command) = build::command(&self.project) else { return self.check(Vec::new()) };
        let (rows, columns) = self.screen.size();
        match Job::build(command, rows, columns) {
            Ok(job) => self.job = Some(job),
            // The compiler is missing: to be installed, or the line `build` to be changed.
            Err(e) => return self.screen.show(Stage::Unable(build::not_started(&self.project, &e))),
        }
        self.screen.show(Stage::Building { command: build::typed(&self.project), said: Vec::new() })
    }

    /// Checks the program; `built` is what its build has said.
    fn check(&mut self, built: Vec<u8>) -> Result<(), Fault> {
        let own = std::env::current_exe().doing("find the workshop's own file")?;
        let step = self.project.step().to_string();
        let before = self.before.to_string();
        let lang = self.out.lang.code();
        let args =
            ["check", &step, "--format", "json", "--lang", lang, "--built", &before].map(OsString::from);
        let job = Job::read(own.as_os_str(), &args, &self.project.dir);
        self.job = Some(job.doing("start workshop")?);
        self.screen.show(Stage::Checking { built, verdict: Verdict::default() })
    }

    /// Hears what the job says, and goes on to the next when it has ended.
    fn attend(&mut self, woken: &Woken) -> Result<(), Fault> {
        let Some(job) = self.job.as_mut().filter(|_| woken.said || woken.ended) else { return Ok(()) };
        let new = job.hear();
        if !woken.ended {
            return self.screen.follow(&new, &job.said);
        }
        let Some(job) = self.job.take() else { return Ok(()) };
        let (status, said, errors) = job.finish().doing("wait for a build or a check")?;
        match self.screen.stage() {
            Stage::Building { .. } if status.success() => self.check(said),
            Stage::Building { .. } => self.screen.show(Stage::NotBuilt { said, code: code(status) }),
            _ => self.judge(&said, errors, code(status)),
        }
    }

    /// Shows what the check has found, and notes the step as done if all held.
    fn judge(&mut self, said: &[u8], errors: String, code: i32) -> Result<(), Fault> {
        let verdict = Verdict::read(said);
        if code == 0 && verdict.all_held() {
            let noted = self.project.note_done(self.screen.step);
            self.unless_refused(noted)?;
            self.screen.turn_to(&self.project);
        }
        let built = self.screen.take_built();
        self.screen.show(Stage::Judged { built, verdict, errors, code })
    }

    /// What can't be written in the folder is said, and no reason to go.
    fn unless_refused<T>(&mut self, noted: Result<T, Fault>) -> Result<Option<T>, Fault> {
        match noted {
            Ok(noted) => Ok(Some(noted)),
            Err(fault @ (Fault::Usage { .. } | Fault::Broken { .. })) => {
                let known = self.out.words.failure(&fault);
                known.iter().for_each(|known| self.screen.say(&format!("{} {}", known.message, known.hint)));
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    fn end_job(&mut self) {
        if let Some(job) = self.job.take() {
            job.end();
        }
    }

    /// Ctrl-Z: gives the terminal back, stops, and takes it again when we are continued in the foreground.
    fn stop(&mut self, signal: i32) -> Result<(), Fault> {
        if let Some(job) = &self.job {
            job.signal(Signal::SIGSTOP);
        }
        self.keyboard.back();
        self.screen.give_back();
        stop(signal);
        let in_front = || tcgetpgrp(std::io::stdin()) == Ok(getpgrp());
        (0..STUBBORN).take_while(|_| !in_front()).for_each(|_| stop(libc::SIGTTIN));
        if !in_front() {
            return Err(Fault::Interrupted(libc::SIGHUP));
        }
        self.keyboard.again().doing("take the terminal")?;
        self.screen.take()?;
        if let Some(job) = &self.job {
            job.signal(Signal::SIGCONT);
        }
        self.screen.draw()
    }

    fn act(&mut self, key: Key) -> Result<(), Fault> {
        self.screen.notes.clear();
        match key {
            Key::Hint => self.hint()?,
            Key::Next => return self.next(),
            Key::List => {
                let standings = progress::standings(self.out, &self.project);
                let told = Told::Progress { language: self.project.language, standings: &standings };
                self.screen.tell(&told);
            }
            Key::Solution => self.solution()?,
            Key::Again => {
                self.screen.clear();
                return self.start();
            }
            Key::Reset => return self.reset(),
            Key::Back => self.screen.clear(),
            Key::Move(lines) => self.screen.move_by(lines),
            Key::MovePage(pages) => self.screen.move_by_pages(pages),
            Key::Quit => {}
        }
        self.screen.draw()
    }

    /// The next hint, or where to look when there are no more.
    fn hint(&mut self) -> Result<(), Fault> {
        let step = self.project.step();
        let shown = self.project.hints(step);
        let exercise = Exercise::load(step, self.out.lang);
        match exercise.hints.get(shown) {
            Some(blocks) => {
                self.screen.tell(&Told::Hint(Hint { step, place: shown, blocks }));
                let noted = self.project.note_hints(step, shown + 1);
                self.unless_refused(noted).map(drop)
            }
            None => {
                let words = super::hint::none_left(self.out, step);
                self.screen.say(&words);
                Ok(())
            }
        }
    }

    /// On to the next step, if all checks of this one hold, or if it can't be judged here.
    fn next(&mut self) -> Result<(), Fault> {
        let step = self.project.step();
        let next = exercise::next(step);
        match self.screen.outcome() {
            Outcome::Running => self.screen.say(self.out.words.say("watch-still-running")),
            Outcome::NotYet => self.screen.say(self.out.words.say("watch-not-yet")),
            Outcome::Unjudged => {
                let left_out = self.project.leave_out(step);
                if let (Some(()), Some(next)) = (self.unless_refused(left_out)?, next) {
                    return self.go_on(next);
                }
            }
            // That it was the last one is what is to be read already.
            Outcome::Held => {
                if let Some(next) = next {
                    return self.go_on(next);
                }
            }
        }
        self.screen.draw()
    }

    fn go_on(&mut self, step: u32) -> Result<(), Fault> {
        let turned = self.project.work_on(step);
        if self.unless_refused(turned)?.is_none() {
            return self.screen.draw();
        }
        self.show_task();
        self.start()
    }

    /// What the step asks for.
    fn show_task(&mut self) {
        let exercise = Exercise::load(self.project.step(), self.out.lang);
        self.screen.show_blocks(&exercise.task);
    }

    /// What changes in the solution from the step before; asks first if the step isn't done.
    fn solution(&mut self) -> Result<(), Fault> {
        let step = self.project.step();
        let question = self.out.words.fill("solution-ask", &[("step", &step.to_string())]);
        if !self.project.is_done(step) && !self.ask(&question)? {
            return Ok(());
        }
        let language = solution::in_language(Some(&self.project));
        let text = solutions::diff(step, language)?;
        self.screen.tell(&Told::Solution(Solution { step, language, diff: true, text: &text }));
        Ok(())
    }

    /// Starts the step again, with its source if that was saved.
    fn reset(&mut self) -> Result<(), Fault> {
        let step = self.project.step();
        let source = snapshot::exists(&self.project, step);
        let key = if source { "reset-ask-source" } else { "reset-ask" };
        let question = self.out.words.fill(key, &[("step", &step.to_string())]);
        if !self.ask(&question)? {
            return self.screen.draw();
        }
        let again = reset::start_again(self.out, &mut self.project, step, source);
        let Some(told) = self.unless_refused(again)? else { return self.screen.draw() };
        self.screen.clear();
        told.iter().for_each(|words| self.screen.say(words));
        // The source that was put back counts as a save. What is said of it should outlast the run that follows.
        self.due = Some(Instant::now() + SETTLED);
        self.keep_aside = true;
        Ok(())
    }

    /// Asks below what is shown.
    fn ask(&mut self, question: &str) -> Result<bool, Fault> {
        self.screen.ask(question)?;
        self.keyboard.back();
        let answer = menu::confirm(self.out.words.say("sure"));
        self.keyboard.again().doing("take the terminal")?;
        answer
    }
}
