//! Reading a built page: its tags and its text, in order.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

/// A piece of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Open { name: String, attributes: Vec<(String, String)> },
    Close(String),
    Text(String),
}

impl Piece {
    /// The value of an opening tag's attribute.
    pub fn attribute(&self, wanted: &str) -> Option<&str> {
        let Piece::Open { attributes, .. } = self else { return None };
        attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }
}

/// The pieces of an HTML text.
pub fn pieces(html: &str) -> Vec<Piece> {
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.pieces.take()
}

#[derive(Default)]
struct Sink {
    pieces: RefCell<Vec<Piece>>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut pieces = self.pieces.borrow_mut();
        match token {
            Token::TagToken(tag) => {
                let name = tag.name.to_string();
                match tag.kind {
                    TagKind::StartTag => {
                        let pair = |a: html5ever::Attribute| (a.name.local.to_string(), a.value.to_string());
                        let attributes = tag.attrs.into_iter().map(pair).collect();
                        let raw = matches!(name.as_str(), "script" | "style");
                        pieces.push(Piece::Open { name: name.clone(), attributes });
                        if raw {
                            // What is in them is no text of the page, and may hold "<".
                            return TokenSinkResult::RawData(html5ever::tokenizer::states::RawKind::Rawtext);
                        }
                    }
                    TagKind::EndTag => pieces.push(Piece::Close(name)),
                }
            }
            Token::CharacterTokens(text) => pieces.push(Piece::Text(text.to_string())),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}
