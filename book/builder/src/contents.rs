//! The contents beside a page: parts, their pages, and the sections of the page that is open.

use mdbook_driver::book::{Book, BookItem};

use crate::expand::escaped;
use crate::html::{Piece, pieces};

/// The pages in reading order, by part. What stands before the first part has none.
pub struct Contents {
    parts: Vec<Part>,
}

struct Part {
    title: Option<String>,
    pages: Vec<Page>,
}

/// A page's path below the site's root, and its name.
struct Page {
    path: String,
    name: String,
}

impl Contents {
    pub fn of(book: &Book) -> Contents {
        let mut parts = vec![Part { title: None, pages: Vec::new() }];
        for item in book.iter() {
            match item {
                BookItem::PartTitle(title) => {
                    parts.push(Part { title: Some(title.clone()), pages: Vec::new() })
                }
                BookItem::Chapter(chapter) => {
                    let (Some(path), Some(part)) = (&chapter.path, parts.last_mut()) else { continue };
                    let path = path.with_extension("html").display().to_string();
                    part.pages.push(Page { path, name: chapter.name.clone() });
                }
                BookItem::Separator => {}
            }
        }
        Contents { parts }
    }

    /// The lists for the page at `path`, which has this text. Parts are folds, so that few stops of the keyboard lie
    /// before the text; the open page's is open.
    pub fn html(&self, path: &str, up: &str, main: &str) -> String {
        let mut out = String::new();
        for part in &self.parts {
            let links: String = part.pages.iter().map(|page| page.link(path, up, main)).collect();
            let list = format!("<ol>\n{links}</ol>\n");
            let open = if part.pages.iter().any(|page| page.path == path) { " open" } else { "" };
            out += &match &part.title {
                Some(title) => {
                    format!("<details{open}>\n<summary>{}</summary>\n{list}</details>\n", escaped(title))
                }
                None => list,
            };
        }
        out
    }
}

impl Contents {
    /// The list in front of all pages in one, which leads to each page's title in it, where that has one.
    pub fn paper(&self, main: &str) -> String {
        let titles = titles(main);
        let mut titles = titles.iter();
        let mut out = String::new();
        for part in &self.parts {
            let title =
                part.title.as_ref().map_or(String::new(), |title| format!("<p>{}</p>\n", escaped(title)));
            let item = |page: &Page| match titles.next() {
                Some(id) => format!("<li><a href=\"#{id}\">{}</a></li>\n", escaped(&page.name)),
                None => format!("<li>{}</li>\n", escaped(&page.name)),
            };
            let list: String = part.pages.iter().map(item).collect();
            out += &format!("{title}<ul>\n{list}</ul>\n");
        }
        out
    }
}

/// The ids of the pages' titles, in order.
fn titles(main: &str) -> Vec<String> {
    let pieces = pieces(main);
    let titles = pieces.iter().filter(|piece| matches!(piece, Piece::Open { name, .. } if name == "h1"));
    titles.filter_map(|title| Some(title.attribute("id")?.to_owned())).collect()
}

impl Page {
    fn link(&self, current: &str, up: &str, main: &str) -> String {
        let (href, name) = (format!("{up}{}", self.path), escaped(&self.name));
        if self.path != current {
            return format!("<li><a href=\"{href}\">{name}</a></li>\n");
        }
        let sections: String = sections(main)
            .iter()
            .map(|(id, title)| format!("<li><a href=\"#{id}\">{}</a></li>\n", escaped(title)))
            .collect();
        let sections = match sections.as_str() {
            "" => String::new(),
            list => format!("\n<ol class=\"on-this-page\">\n{list}</ol>\n"),
        };
        format!("<li><a href=\"{href}\" aria-current=\"page\">{name}</a>{sections}</li>\n")
    }
}

/// The ids and titles of a page's sections.
fn sections(main: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for piece in pieces(main) {
        match &piece {
            Piece::Open { name, .. } if name == "h2" => {
                inside = true;
                found.push((piece.attribute("id").unwrap_or_default().to_owned(), String::new()));
            }
            Piece::Close(name) if name == "h2" => inside = false,
            Piece::Text(text) if inside => {
                if let Some((_, title)) = found.last_mut() {
                    title.push_str(text);
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_page_is_marked_and_its_part_is_open() {
        let page = |path: &str| Page { path: path.into(), name: path.to_uppercase() };
        let parts = vec![
            Part { title: None, pages: vec![page("i.html")] },
            Part { title: Some("P".into()), pages: vec![page("a/b.html")] },
            Part { title: Some("Q".into()), pages: vec![page("c.html")] },
        ];
        let html = Contents { parts }.html(
            "a/b.html",
            "../",
            "<h2 id=\"s\"><a href=\"#s\">S <code>1</code></a></h2>",
        );
        let expected = [
            "<ol>\n<li><a href=\"../i.html\">I.HTML</a></li>\n</ol>\n",
            "<details open>\n<summary>P</summary>\n<ol>\n<li><a href=\"../a/b.html\" aria-current=\"page\">A/B.HTML</a>\n",
            "<ol class=\"on-this-page\">\n<li><a href=\"#s\">S 1</a></li>\n</ol>\n</li>\n</ol>\n</details>\n",
            "<details>\n<summary>Q</summary>\n<ol>\n<li><a href=\"../c.html\">C.HTML</a></li>\n</ol>\n</details>\n",
        ];
        assert_eq!(html, expected.concat());
    }
}
