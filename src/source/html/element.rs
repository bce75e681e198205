//! What the elements of a page are to a reader: blocks, parts of a line, furniture, nothing.
//!
//! Judged by name, role, and the words in `class` and `id`.

use super::token::Tag;

/// What an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A part of a line.
    Inline,
    /// Divides the text around it.
    Block,
    /// A heading.
    Heading,
    /// Text whose line ends are its own.
    Preformatted,
    /// The content of the page, by what its author says.
    Main,
    /// Navigation, footers, asides.
    Furniture,
    /// No text for readers.
    Nothing,
}

/// Elements that are no part of a line, by name.
const ELEMENTS: &[(&str, Kind)] = &[
    ("address", Kind::Block),
    ("article", Kind::Main),
    ("aside", Kind::Furniture),
    ("audio", Kind::Nothing),
    ("blockquote", Kind::Block),
    ("body", Kind::Block),
    ("button", Kind::Nothing),
    ("canvas", Kind::Nothing),
    ("caption", Kind::Block),
    ("center", Kind::Block),
    ("datalist", Kind::Nothing),
    ("dd", Kind::Block),
    ("details", Kind::Block),
    ("dialog", Kind::Furniture),
    ("div", Kind::Block),
    ("dl", Kind::Block),
    ("dt", Kind::Block),
    ("fieldset", Kind::Block),
    ("figcaption", Kind::Block),
    ("figure", Kind::Block),
    ("footer", Kind::Furniture),
    ("form", Kind::Block),
    ("h1", Kind::Heading),
    ("h2", Kind::Heading),
    ("h3", Kind::Heading),
    ("h4", Kind::Heading),
    ("h5", Kind::Heading),
    ("h6", Kind::Heading),
    ("head", Kind::Nothing),
    ("header", Kind::Block),
    ("hgroup", Kind::Block),
    ("li", Kind::Block),
    ("listing", Kind::Preformatted),
    ("main", Kind::Main),
    ("map", Kind::Nothing),
    ("math", Kind::Nothing),
    ("menu", Kind::Block),
    ("nav", Kind::Furniture),
    ("noscript", Kind::Nothing),
    ("object", Kind::Nothing),
    ("ol", Kind::Block),
    ("optgroup", Kind::Nothing),
    ("option", Kind::Nothing),
    ("p", Kind::Block),
    ("pre", Kind::Preformatted),
    ("search", Kind::Furniture),
    ("section", Kind::Block),
    ("select", Kind::Nothing),
    ("summary", Kind::Block),
    ("svg", Kind::Nothing),
    ("table", Kind::Block),
    ("tbody", Kind::Block),
    ("td", Kind::Block),
    ("template", Kind::Nothing),
    ("textarea", Kind::Nothing),
    ("tfoot", Kind::Block),
    ("th", Kind::Block),
    ("thead", Kind::Block),
    ("tr", Kind::Block),
    ("ul", Kind::Block),
    ("video", Kind::Nothing),
    ("xmp", Kind::Preformatted),
];

/// Elements whose start tag ends others of the same group that are open, up to an element that
/// bounds them.
const IMPLIED: &[(&str, &[&str], &[&str])] = &[
    ("li", &["li"], &["ul", "ol", "menu"]),
    ("dd", &["dd", "dt"], &["dl"]),
    ("dt", &["dd", "dt"], &["dl"]),
    ("tr", &["tr", "td", "th"], &["table"]),
    ("td", &["td", "th"], &["tr", "table"]),
    ("th", &["td", "th"], &["tr", "table"]),
    ("body", &["head"], &[]),
];

/// Words in `class` or `id` of what surrounds a text.
const WORDS: &[&str] = &[
    "ad",
    "ads",
    "advert",
    "advertisement",
    "banner",
    "breadcrumb",
    "breadcrumbs",
    "byline",
    "comments",
    "consent",
    "cookie",
    "cookies",
    "copyright",
    "disqus",
    "editsection",
    "footer",
    "gdpr",
    "login",
    "masthead",
    "menu",
    "menubar",
    "modal",
    "nav",
    "navbar",
    "navbox",
    "navigation",
    "newsletter",
    "noprint",
    "pager",
    "pagination",
    "paging",
    "popup",
    "promo",
    "recommended",
    "related",
    "respond",
    "share",
    "sharing",
    "signup",
    "sitemap",
    "skip",
    "skiplink",
    "social",
    "sponsored",
    "subscribe",
    "tagcloud",
    "teaser",
    "toolbar",
    "widget",
];

/// Endings of words that are written together, as in `docnav`.
const ENDINGS: &[&str] = &["nav", "navbar", "menu", "footer", "breadcrumb", "breadcrumbs"];

/// Roles of what surrounds a text.
const ROLES: &[&str] = &[
    "alert",
    "alertdialog",
    "banner",
    "complementary",
    "contentinfo",
    "dialog",
    "menu",
    "menubar",
    "navigation",
    "search",
    "tablist",
    "toolbar",
];

/// The name of an element as it stands in the table; `None` for one that is part of a line.
pub fn known(name: &str) -> Option<(&'static str, Kind)> {
    let mut lower = [0; 10];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    let at = ELEMENTS.binary_search_by(|(n, _)| n.as_bytes().cmp(lower)).ok()?;
    Some(ELEMENTS[at])
}

/// Which open elements a start tag ends, and which elements bound them.
pub fn implied(name: &str) -> Option<(&'static [&'static str], &'static [&'static str])> {
    IMPLIED.iter().find(|(n, ..)| *n == name).map(|(_, ends, bounds)| (*ends, *bounds))
}

/// What an element with these attributes is.
pub fn judge(name: &str, kind: Kind, tag: &Tag<'_>) -> Kind {
    if tag.rest.is_empty() || kind == Kind::Nothing || name == "body" {
        return kind;
    }
    let mut found = kind;
    for (attribute, value) in tag.attributes() {
        let is = |name: &str| attribute.eq_ignore_ascii_case(name);
        if is("hidden") || (is("aria-hidden") && value == "true") {
            return Kind::Nothing;
        } else if is("style") {
            let style = value.to_ascii_lowercase();
            let mut rules = style.split(';').filter_map(|rule| rule.split_once(':'));
            if rules.any(|(k, v)| k.trim() == "display" && v.trim().starts_with("none")) {
                return Kind::Nothing;
            }
        } else if is("role") {
            if ROLES.iter().any(|role| role.eq_ignore_ascii_case(value.trim())) {
                found = Kind::Furniture;
            } else if value.trim().eq_ignore_ascii_case("main") {
                found = Kind::Main;
            }
        } else if (is("class") || is("id")) && found != Kind::Main && surrounds(value) {
            found = Kind::Furniture;
        }
    }
    found
}

/// Whether one of the words in a `class` or `id` is of what surrounds a text.
fn surrounds(value: &str) -> bool {
    value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).any(|word| {
        let word = word.to_ascii_lowercase();
        WORDS.binary_search(&word.as_str()).is_ok() || ENDINGS.iter().any(|e| word.ends_with(e))
    })
}

#[cfg(test)]
mod tests {
    use super::super::token::{Token, Tokens};
    use super::*;

    fn of(page: &str) -> Kind {
        match Tokens::new(page).next() {
            Some(Token::Open(tag)) => {
                known(tag.name).map_or(Kind::Inline, |(name, kind)| judge(name, kind, &tag))
            }
            _ => Kind::Nothing,
        }
    }

    #[test]
    fn tables_are_sorted() {
        assert!(ELEMENTS.is_sorted_by_key(|(name, _)| *name));
        assert!(WORDS.is_sorted());
        assert!(ELEMENTS.iter().all(|(name, _)| name.len() <= 10));
    }

    #[test]
    fn elements_are_judged_by_name_role_and_class() {
        for (page, kind) in [
            ("<span class=nav>", Kind::Inline),
            ("<DIV>", Kind::Block),
            ("<div class='x Docnav'>", Kind::Furniture),
            ("<div id=main-menu>", Kind::Furniture),
            ("<ul class=unavailable>", Kind::Block),
            ("<div role=Navigation>", Kind::Furniture),
            ("<div role=main class=nav>", Kind::Main),
            ("<body class=menu-open>", Kind::Block),
            ("<article class=related>", Kind::Main),
            ("<p style='color: red; display : none'>", Kind::Nothing),
            ("<div hidden>", Kind::Nothing),
            ("<verylongname>", Kind::Inline),
        ] {
            assert_eq!(of(page), kind, "{page}");
        }
    }
}
