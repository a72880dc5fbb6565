//! What paper needs besides the pages: a list of what is in the book, and at the end the answers to its questions.

use anyhow::{Context, Result};

use crate::contents::Contents;
use crate::expand::escaped;
use crate::words::Words;

/// The text of a page, or of all pages in one, as it is printed. Answers are seen on paper only.
pub fn with_answers(words: &Words, main: &str) -> Result<String> {
    let answers = answers(main)?;
    if answers.is_empty() {
        return Ok(main.to_owned());
    }
    let list: String = answers
        .iter()
        .map(|answer| format!("<li><p class=\"question\">{}</p>\n{}</li>\n", answer.question, answer.text))
        .collect();
    let title = escaped(&words.answers);
    Ok(format!("{main}<section class=\"answers\">\n<h2>{title}</h2>\n<ol>\n{list}</ol>\n</section>\n"))
}

/// All pages in one, with a list of them in front.
pub fn with_contents(words: &Words, contents: &Contents, main: &str) -> String {
    let title = escaped(&words.contents);
    let list = contents.paper(main);
    format!("<section class=\"paper-contents\">\n<h2>{title}</h2>\n{list}</section>\n{main}")
}

struct Answer<'a> {
    question: String,
    text: &'a str,
}

/// What is in each `<details class="why">`, below the heading that asks.
fn answers(main: &str) -> Result<Vec<Answer<'_>>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = main[from..].find("<details class=\"why\">").map(|at| from + at) {
        let start =
            at + main[at..].find("</summary>").context("a question without a summary")? + "</summary>".len();
        let end = start + main[start..].find("</details>").context("an answer that does not end")?;
        let heading = main[..at].rfind("<h").context("a question without a heading")?;
        found.push(Answer { question: heading_text(&main[heading..at]), text: main[start..end].trim() });
        from = end;
    }
    Ok(found)
}

/// What is between a heading's tags, without the link to itself.
fn heading_text(html: &str) -> String {
    let end = html.find("</h").unwrap_or(html.len());
    let inside = html[..end].split_once('>').map_or("", |(_, inside)| inside);
    let inside =
        inside.split_once('>').filter(|_| inside.starts_with("<a ")).map_or(inside, |(_, inside)| inside);
    inside.trim_end().trim_end_matches("</a>").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_follows_the_heading_that_asks() {
        let page = "<h3 id=\"q\"><a class=\"header\" href=\"#q\">Is <code>a</code>?</a></h3>\
                    <details class=\"why\"><summary>Answer</summary>\n<p class=\"right\">Yes</p>\n</details>";
        let found = answers(page).expect("answers");
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].question.as_str(), found[0].text),
            ("Is <code>a</code>?", "<p class=\"right\">Yes</p>")
        );
    }
}
