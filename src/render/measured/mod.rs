//! What was measured, for people: bars in the terminal, a table in Markdown, a drawing.

mod chart;
mod figures;
mod markdown;
mod svg;

pub use chart::lines;
pub use figures::subject;
pub use markdown::markdown;
pub use svg::svg;
