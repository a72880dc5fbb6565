//! Figures that everybody can see: in light and dark, on paper, and by a screen reader.

use roxmltree::{Document, Node};

use crate::tree::{LANGS, names, read};

/// Letters smaller than this can't be read in the book's column, at a width of 720 units.
const SMALLEST: f64 = 13.0;
const WIDTH: f64 = 720.0;

fn each_figure(test: impl Fn(&str, &str, Node)) {
    for lang in LANGS {
        for name in names(&format!("book/{lang}/figures"), "svg") {
            let text = read(&format!("book/{lang}/figures/{name}.svg"));
            let drawing = Document::parse(&text).unwrap_or_else(|error| panic!("{lang}/{name}: {error}"));
            test(lang, &name, drawing.root_element());
        }
    }
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|child| child.has_tag_name(("http://www.w3.org/2000/svg", name)))
}

#[test]
fn a_screen_reader_can_tell_what_a_figure_shows() {
    each_figure(|lang, name, svg| {
        let at = format!("{lang}/{name}");
        assert_eq!(svg.attribute("role"), Some("img"), "{at}");
        for part in ["title", "desc"] {
            let said = child(svg, part).and_then(|node| node.text()).unwrap_or_default();
            assert!(!said.trim().is_empty(), "{at}: no {part}");
        }
        let described = svg.attribute("aria-labelledby").unwrap_or_default();
        let ids: Vec<_> = svg.descendants().filter_map(|node| node.attribute("id")).collect();
        assert!(described.split_whitespace().all(|id| ids.contains(&id)), "{at}: {described}");
        assert!(ids.iter().all(|id| id.starts_with(name)), "{at}: ids that another figure may have: {ids:?}");
    });
}

#[test]
fn a_figure_fits_its_place_and_brings_nothing_along() {
    each_figure(|lang, name, svg| {
        let at = format!("{lang}/{name}");
        assert!(
            svg.attribute("width").is_none() && svg.attribute("height").is_none(),
            "{at}: a size of its own"
        );
        let sides: Vec<f64> = svg
            .attribute("viewBox")
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect();
        assert!(sides.len() == 4 && sides[2] <= WIDTH * 1.25, "{at}: viewBox {sides:?}");
        for node in svg.descendants().filter(Node::is_element) {
            let tag = node.tag_name().name();
            assert!(!["script", "image", "foreignObject", "style"].contains(&tag), "{at}: <{tag}>");
            for attribute in node.attributes() {
                let (key, value) = (attribute.name(), attribute.value());
                let inside = (key != "href" || value.starts_with('#')) && !value.contains("url(http");
                assert!(inside, "{at}: {key}=\"{value}\"");
            }
        }
    });
}

#[test]
fn the_letters_of_a_figure_can_be_read_and_its_colours_are_the_themes() {
    each_figure(|lang, name, svg| {
        let at = format!("{lang}/{name}");
        for node in svg.descendants().filter(Node::is_element) {
            if let Some(size) = node.attribute("font-size") {
                let size: f64 = size.trim_end_matches("px").parse().unwrap_or(0.0);
                assert!(size >= SMALLEST, "{at}: letters of {size}");
            }
            for paint in ["fill", "stroke"].into_iter().filter_map(|key| node.attribute(key)) {
                let known = ["none", "currentColor", "inherit", "transparent"].contains(&paint)
                    || paint.starts_with("url(#");
                assert!(known, "{at}: the colour {paint} is the same in light and dark");
            }
        }
    });
}

#[test]
fn korean_figures_are_in_korean() {
    for name in names("book/ko/figures", "svg") {
        let text = read(&format!("book/ko/figures/{name}.svg"));
        let drawing = Document::parse(&text).expect("well-formed");
        let title = child(drawing.root_element(), "title").and_then(|node| node.text()).unwrap_or_default();
        assert!(title.chars().any(|c| ('가'..='힣').contains(&c)), "{name}: {title}");
    }
}

/// What a figure is on a phone has the same shape in both languages: the same lines, but for the words.
#[test]
fn a_phone_has_the_same_figures_in_both_languages() {
    let shape = |lang: &str, name: &str| -> Vec<String> {
        let shape = |line: &str| {
            let depth = line.len() - line.trim_start().len();
            let line = line.trim_start();
            let sign = match line.split_once(']') {
                Some((classes, _)) if line.starts_with('[') => classes,
                _ => line.split(' ').next().filter(|first| "#v^x><>|row".contains(first)).unwrap_or_default(),
            };
            format!("{depth} {sign} {}", line.matches(" / ").count())
        };
        read(&format!("book/{lang}/figures/{name}.narrow")).lines().map(shape).collect()
    };
    for name in names("book/en/figures", "narrow") {
        assert_eq!(shape("en", &name), shape("ko", &name), "{name}");
    }
    assert_eq!(names("book/en/figures", "narrow"), names("book/ko/figures", "narrow"));
}
