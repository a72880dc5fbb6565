//! The words that the renderer itself needs, in both languages. All else is in the lessons.

use course::language::Lang;

/// The renderer's words in one language.
#[derive(Debug)]
pub struct Words {
    pub host: &'static str,
    pub container: &'static str,
    pub outside: &'static str,
    pub inside: &'static str,
    /// The remark on a fact that both sides answer alike.
    pub the_same: &'static str,
    /// Before the numbers of the steps that a step builds on.
    pub on_top_of: &'static str,
    pub press_enter: &'static str,
    pub expected: &'static str,
    pub actual: &'static str,
    pub still_open: &'static str,
    pub by_hand: &'static str,
    pub in_docker: &'static str,
    pub the_code: &'static str,
    pub next: &'static str,
    pub passed: &'static str,
    pub failed: &'static str,
    pub skipped: &'static str,
    pub error: &'static str,
    /// Before what takes an operation back.
    undone_by: &'static str,
    /// Before the page of the book that says more.
    pub read_on: &'static str,
    /// What no step separates.
    pub one_kernel: &'static str,
    /// What a virtual machine has of its own besides.
    pub kernel: &'static str,
    pub machine: &'static str,
    step: (&'static str, &'static str),
    second: &'static str,
}

impl Words {
    /// The words of a language.
    pub fn of(lang: Lang) -> &'static Words {
        match lang {
            Lang::En => &EN,
            Lang::Ko => &KO,
        }
    }

    /// `Step 3`.
    pub fn step(&self, number: u32) -> String {
        format!("{}{number}{}", self.step.0, self.step.1)
    }

    /// `undone by: rmdir DIR`.
    pub fn undone_by(&self, what: &str) -> String {
        format!("{}: {what}", self.undone_by)
    }

    /// `0.4 s`.
    pub fn seconds(&self, seconds: f64) -> String {
        format!("{seconds:.1}{}", self.second)
    }
}

static EN: Words = Words {
    host: "host",
    container: "container",
    outside: "outside",
    inside: "inside",
    the_same: "the same",
    on_top_of: "on top of",
    press_enter: "Enter makes the call",
    expected: "expected",
    actual: "found",
    still_open: "Still open",
    by_hand: "By hand",
    in_docker: "In Docker",
    the_code: "The code",
    next: "Next",
    passed: "passed",
    failed: "failed",
    skipped: "skipped",
    error: "error",
    undone_by: "undone by",
    read_on: "book",
    one_kernel: "one kernel for both",
    kernel: "kernel",
    machine: "VM",
    step: ("Step ", ""),
    second: " s",
};

static KO: Words = Words {
    host: "호스트",
    container: "컨테이너",
    outside: "밖",
    inside: "안",
    the_same: "같음",
    on_top_of: "앞 단계",
    press_enter: "Enter를 누르면 호출합니다",
    expected: "기대한 값",
    actual: "실제 값",
    still_open: "아직 열려 있는 것",
    by_hand: "직접 해 보기",
    in_docker: "Docker에서는",
    the_code: "코드",
    next: "다음",
    passed: "통과",
    failed: "실패",
    skipped: "건너뜀",
    error: "오류",
    undone_by: "되돌릴 때",
    read_on: "책",
    one_kernel: "커널은 하나, 함께 씁니다",
    kernel: "커널",
    machine: "VM",
    step: ("", "단계"),
    second: "초",
};
