//! The languages that the course is written in, and which one to use.

/// A language of the course.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Lang {
    #[default]
    En,
    Ko,
}

impl Lang {
    /// The language asked for, else the one of the environment.
    pub fn choose(asked: Option<Lang>) -> Lang {
        asked.unwrap_or_else(|| Lang::from_locale(|name| std::env::var(name).ok()))
    }

    /// The language of the first variable that is set, in the order of locale(7): `LC_ALL`, `LC_MESSAGES`, `LANG`.
    pub fn from_locale(variable: impl Fn(&str) -> Option<String>) -> Lang {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(variable)
            .find(|value| !value.is_empty());
        match locale {
            Some(locale) if locale.starts_with("ko") => Lang::Ko,
            _ => Lang::En,
        }
    }

    /// The code that names the lesson's file: `en` of `en.md`.
    pub fn code(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Ko => "ko",
        }
    }
}

/// A short text in each language.
pub struct Phrase {
    en: &'static str,
    ko: &'static str,
}

impl Phrase {
    /// A text in English and in Korean.
    pub const fn new(en: &'static str, ko: &'static str) -> Phrase {
        Phrase { en, ko }
    }

    /// It in a language.
    pub fn of(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Ko => self.ko,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &[(&str, &str)]) -> Lang {
        Lang::from_locale(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string()))
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        assert_eq!(with(&[]), Lang::En);
        assert_eq!(with(&[("LANG", "ko_KR.UTF-8")]), Lang::Ko);
        assert_eq!(with(&[("LC_MESSAGES", "ko"), ("LANG", "en_US.UTF-8")]), Lang::Ko);
        assert_eq!(with(&[("LC_ALL", "C.UTF-8"), ("LANG", "ko_KR.UTF-8")]), Lang::En);
        assert_eq!(with(&[("LC_ALL", ""), ("LANG", "ko_KR.UTF-8")]), Lang::Ko);
        assert_eq!(with(&[("LANG", "de_DE.UTF-8")]), Lang::En);
    }

    #[test]
    fn what_is_asked_for_wins() {
        assert_eq!(Lang::choose(Some(Lang::Ko)), Lang::Ko);
    }
}
