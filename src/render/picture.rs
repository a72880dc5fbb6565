//! The picture of host and container that grows from step to step.
//!
//! Each row is something that the host has. As long as the container has no such thing of its own, a line runs
//! from the host's through the container's wall. The step that makes it the container's own closes the wall.
//! A virtual machine stands beside the container: it has all of it, and a kernel too.

use super::style::{Lines, Role, Style};
use super::words::Words;
use super::wrap::{pad, width};
use course::{Row, STEPS};

/// The picture of a container with the layers of these steps, line by line, all of one width; with a virtual
/// `machine` beside it.
pub fn lines(style: &Style, built: &[u32], machine: bool) -> Vec<String> {
    let words = Words::of(style.lang);
    let rows: Vec<_> = STEPS
        .iter()
        .filter_map(|step| {
            let Row { host, own } = &step.part()?.row;
            Some((step.number, host.of(style.lang), own.of(style.lang)))
        })
        .collect();
    let picture = Picture {
        style,
        hosts: rows.iter().map(|(_, host, _)| width(host)).max().unwrap_or(0),
        owns: rows.iter().map(|(.., own)| width(own)).max().unwrap_or(0).max(width(words.container) + 2),
        machine: machine.then_some(words.machine),
    };
    let wall = &style.signs().host;
    let mut lines =
        vec![picture.edge(Role::Host, wall.top_left, wall, words.host, picture.width() - 2, true)];
    lines.push(picture.in_host(&picture.boxes(true)));
    for (number, host, own) in rows {
        lines.push(picture.in_host(&picture.row(host, own, built.contains(&number))));
    }
    if machine {
        lines.push(picture.in_host(&picture.row(words.kernel, words.kernel, false)));
    }
    lines.push(picture.in_host(&picture.boxes(false)));
    if !machine {
        lines.push(picture.in_host(&style.paint(Role::Dim, words.one_kernel)));
    }
    lines.push(picture.edge(Role::Host, wall.bottom_left, wall, "", picture.width() - 2, false));
    lines
}

struct Picture<'a> {
    style: &'a Style,
    /// Widths of the widest words in the host's and in the container's column.
    hosts: usize,
    owns: usize,
    /// The name of the virtual machine, if there is one.
    machine: Option<&'static str>,
}

impl Picture<'_> {
    /// Columns of the whole picture: the host's word, the container's box, and a space at either side of each;
    /// then the machine's box and a space before it.
    fn width(&self) -> usize {
        self.hosts + self.owns + 12 + self.machine.map_or(0, |name| inside_machine(name) + 3)
    }

    /// The upper or the lower edges of the boxes in the host.
    fn boxes(&self, top: bool) -> String {
        let thick = &self.style.signs().container;
        let left = if top { thick.top_left } else { thick.bottom_left };
        let named = |name: &'static str| if top { name } else { "" };
        let container = named(Words::of(self.style.lang).container);
        let before = " ".repeat(self.hosts + 2);
        let mut boxes = before + &self.edge(Role::Container, left, thick, container, self.owns + 4, top);
        if let Some(name) = self.machine {
            let across = inside_machine(name);
            boxes = boxes + " " + &self.edge(Role::Container, left, thick, named(name), across, top);
        }
        boxes
    }

    /// An upper or lower edge with a name in it; `across` is what lies between its corners.
    fn edge(&self, role: Role, left: &str, lines: &Lines, name: &str, across: usize, top: bool) -> String {
        let right = if top { lines.top_right } else { lines.bottom_right };
        let name = if name.is_empty() { String::new() } else { format!(" {name} ") };
        let rest = lines.across.repeat(across.saturating_sub(width(&name)));
        self.style.paint(role, &format!("{left}{name}{rest}{right}"))
    }

    /// A line between the host's walls.
    fn in_host(&self, text: &str) -> String {
        let wall = self.style.paint(Role::Host, self.style.signs().host.down);
        format!("{wall} {} {wall}", pad(text, self.width() - 4))
    }

    /// What the host has, whether the container has its own or is open to it, and the machine's.
    fn row(&self, host: &str, own: &str, closed: bool) -> String {
        let (style, signs) = (self.style, self.style.signs());
        let row = self.of_container(host, own, closed);
        let Some(name) = self.machine else { return row };
        let wall = style.paint(Role::Container, signs.container.down);
        let before = " ".repeat(inside_machine(name) / 2);
        let own = pad(&format!("{before}{}", style.paint(Role::Container, signs.own)), inside_machine(name));
        format!("{row} {wall}{own}{wall}")
    }

    fn of_container(&self, host: &str, own: &str, closed: bool) -> String {
        let (style, signs) = (self.style, self.style.signs());
        let wall = style.paint(Role::Container, signs.container.down);
        let own = pad(own, self.owns);
        if closed {
            let host = style.paint(Role::Dim, &pad(host, self.hosts));
            let own = style.paint(Role::Container, &format!("{} {own}", signs.own));
            return format!("{host}  {wall} {own} {wall}");
        }
        // The line takes the wall's place, and the spaces before and after it.
        let line = signs.host.across.repeat(self.hosts - width(host) + 3);
        let host = style.paint(Role::Host, &format!("{host} {line}{}", signs.open));
        format!("{host} {} {wall}", style.paint(Role::Dim, &own))
    }
}

/// Columns between the walls of a machine's box with this name.
fn inside_machine(name: &str) -> usize {
    width(name) + 3
}

#[cfg(test)]
mod tests {
    use super::*;

    use course::language::Lang;

    /// The numbers of the steps that add to the container, as many as that.
    fn first(count: usize) -> Vec<u32> {
        STEPS.iter().filter(|step| step.part().is_some()).map(|step| step.number).take(count).collect()
    }

    fn all() -> Vec<u32> {
        first(STEPS.len())
    }

    #[test]
    fn every_line_is_as_wide_as_the_picture() {
        for (lang, unicode, colour) in
            [(Lang::En, true, true), (Lang::Ko, true, false), (Lang::Ko, false, true)]
        {
            let style = Style { lang, unicode, colour, ..Style::default() };
            let some = (0..=all().len()).map(|count| (first(count), false));
            for (built, machine) in some.chain([(all(), true)]) {
                let lines = lines(&style, &built, machine);
                let widths: Vec<_> = lines.iter().map(|line| width(line)).collect();
                assert!(widths.iter().all(|width| *width == widths[0] && *width <= 42), "{widths:?}");
            }
        }
    }

    #[test]
    fn each_part_has_a_row_that_its_own_step_closes() {
        let style = Style::default();
        let open = lines(&style, &[], false);
        for step in STEPS.iter().filter(|step| step.part().is_some()) {
            let closed = lines(&style, &[step.number], false);
            let changed: Vec<_> = open.iter().zip(&closed).filter(|(open, closed)| open != closed).collect();
            let own = step.part().map(|part| part.row.own.of(Lang::En)).unwrap_or_default();
            assert!(matches!(changed[..], [(_, row)] if row.contains(own)), "{}: {changed:?}", step.slug);
        }
    }

    #[test]
    fn it_grows() {
        let style = Style::default();
        insta::assert_snapshot!(
            [1, 4, 6].map(|count| lines(&style, &first(count), false).join("\n")).join("\n\n")
        );
    }

    #[test]
    fn it_is_aligned_in_korean_and_in_ascii() {
        let korean = Style { lang: Lang::Ko, ..Style::default() };
        let ascii = Style { unicode: false, ..Style::default() };
        insta::assert_snapshot!(
            [korean, ascii].map(|style| lines(&style, &first(3), false).join("\n")).join("\n\n")
        );
    }

    #[test]
    fn a_machine_has_a_kernel_too() {
        let english = Style::default();
        let korean = Style { lang: Lang::Ko, ..english };
        let ascii = Style { unicode: false, ..english };
        let pictures = [english, korean, ascii].map(|style| lines(&style, &all(), true).join("\n"));
        insta::assert_snapshot!(pictures.join("\n\n"));
    }
}
