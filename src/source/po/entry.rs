//! The entries of a `.po` file: comments, strings with their escapes, plural forms.
//!
//! Decides nothing about which of them are rows.

/// One message with all that was said about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// Where its first line begins.
    pub offset: u64,
    /// The context that tells equal messages apart.
    pub context: Option<String>,
    /// The message.
    pub id: Option<String>,
    /// The message for numbers other than one.
    pub plural: Option<String>,
    /// The translations by form; a message without a plural has form 0 alone.
    pub forms: Vec<(u64, String)>,
    /// The flags, such as `fuzzy` and `python-format`.
    pub flags: Vec<String>,
    /// Whether it is commented out with `#~`.
    pub obsolete: bool,
    /// Its lines, for when it has to be rejected; cut at some length.
    pub raw: Vec<u8>,
    /// What is wrong with it, if something is.
    pub fault: Option<String>,
}

/// Where a continuation line goes.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Nowhere,
    Context,
    Id,
    Plural,
    Form,
}

/// Collects lines into entries.
pub struct Entries {
    entry: Entry,
    place: Place,
}

const RAW: usize = 4 << 10;

impl Default for Entries {
    fn default() -> Self {
        Self { entry: Entry::default(), place: Place::Nowhere }
    }
}

impl Entries {
    /// Takes a line in, and gives back the entry that it ends.
    pub fn line(&mut self, offset: u64, line: &str) -> Option<Entry> {
        let text = line.trim();
        let (obsolete, text) = match text.strip_prefix("#~") {
            // `#~|` holds the message as it was before.
            Some(rest) if rest.starts_with('|') => return None,
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        let comment = text.starts_with('#');
        let begins = comment || text.starts_with("msgctxt") || is_keyword(text, "msgid");
        // A comment, a context or a message after a translation belongs to the next entry; so
        // does a message after a message, whose translation is then missing.
        let again = (text.starts_with("msgctxt") && self.entry.context.is_some())
            || (is_keyword(text, "msgid") && self.entry.id.is_some());
        let ended = (!self.entry.forms.is_empty() && begins) || again;
        let done = if ended { self.finish() } else { None };
        if text.is_empty() {
            return done;
        }
        if self.entry.raw.is_empty() {
            self.entry.offset = offset;
        }
        let room = RAW.saturating_sub(self.entry.raw.len());
        self.entry.raw.extend(line.as_bytes().iter().take(room));
        self.entry.raw.push(b'\n');
        if comment {
            if let Some(flags) = text.strip_prefix("#,") {
                let flags = flags.split(',').map(|f| f.trim().to_string());
                self.entry.flags.extend(flags.filter(|f| !f.is_empty()));
            }
            return done;
        }
        self.entry.obsolete |= obsolete;
        if let Err(fault) = self.string(text) {
            self.fault(fault);
        }
        done
    }

    /// Takes in a line that is no text: the entry it is part of is at fault.
    pub fn bad_line(&mut self, offset: u64, raw: &[u8], reason: &str) {
        if self.entry.raw.is_empty() {
            self.entry.offset = offset;
        }
        let room = RAW.saturating_sub(self.entry.raw.len());
        self.entry.raw.extend(raw.iter().take(room));
        self.entry.raw.push(b'\n');
        self.fault(reason.to_string());
    }

    /// The last entry, if there is one.
    pub fn finish(&mut self) -> Option<Entry> {
        let entry = std::mem::take(self).entry;
        let said = entry.id.is_some() || !entry.forms.is_empty() || entry.fault.is_some();
        let mut entry = said.then_some(entry)?;
        if entry.fault.is_none() && entry.id.is_none() {
            entry.fault = Some("a translation without `msgid`".into());
        } else if entry.fault.is_none() && entry.forms.is_empty() {
            entry.fault = Some("a message without `msgstr`".into());
        }
        Some(entry)
    }

    fn fault(&mut self, fault: String) {
        self.entry.fault.get_or_insert(fault);
        self.place = Place::Nowhere;
    }

    fn string(&mut self, text: &str) -> Result<(), String> {
        let (place, quoted) = if text.starts_with('"') {
            if self.place == Place::Nowhere {
                return Err("a string without a keyword".into());
            }
            (self.place, text)
        } else if let Some(rest) = text.strip_prefix("msgctxt") {
            self.entry.context = Some(String::new());
            (Place::Context, rest)
        } else if let Some(rest) = text.strip_prefix("msgid_plural") {
            self.entry.plural = Some(String::new());
            (Place::Plural, rest)
        } else if let Some(rest) = text.strip_prefix("msgid") {
            self.entry.id = Some(String::new());
            (Place::Id, rest)
        } else if let Some(rest) = text.strip_prefix("msgstr[") {
            let (number, rest) = rest.split_once(']').ok_or("`msgstr[` without `]`")?;
            let form = number.trim().parse().map_err(|_| "a form that is no number")?;
            self.entry.forms.push((form, String::new()));
            (Place::Form, rest)
        } else if let Some(rest) = text.strip_prefix("msgstr") {
            self.entry.forms.push((0, String::new()));
            (Place::Form, rest)
        } else {
            let word: String = text.chars().take(20).collect();
            return Err(format!("unknown keyword `{word}`"));
        };
        self.place = place;
        let value = match place {
            Place::Context => self.entry.context.as_mut(),
            Place::Id => self.entry.id.as_mut(),
            Place::Plural => self.entry.plural.as_mut(),
            Place::Form => self.entry.forms.last_mut().map(|(_, text)| text),
            Place::Nowhere => None,
        };
        match value {
            Some(value) => unquote(quoted.trim(), value),
            None => Err("a string without a keyword".into()),
        }
    }
}

fn is_keyword(text: &str, keyword: &str) -> bool {
    text.strip_prefix(keyword).is_some_and(|rest| rest.starts_with([' ', '\t', '"']))
}

/// Appends a quoted string without its quotes and escapes, which are those of C.
fn unquote(quoted: &str, to: &mut String) -> Result<(), String> {
    let inner = quoted
        .strip_prefix('"')
        .and_then(|q| q.strip_suffix('"'))
        .ok_or("a string is not in quotes")?;
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Err("a quote inside a string is not escaped".into()),
            '\\' => {
                let escape = chars.next().ok_or("a string ends in its escape")?;
                let number = |digits: &str, radix| {
                    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)
                };
                to.push(match escape {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'v' => '\u{b}',
                    '\\' | '"' | '\'' | '?' => escape,
                    'x' => {
                        let mut digits = String::new();
                        while let Some(d) = chars.next_if(char::is_ascii_hexdigit) {
                            digits.push(d);
                        }
                        number(&digits, 16).ok_or("`\\x` is no character")?
                    }
                    '0'..='7' => {
                        let mut digits = String::from(escape);
                        while digits.len() < 3
                            && let Some(d) = chars.next_if(|c| ('0'..='7').contains(c))
                        {
                            digits.push(d);
                        }
                        number(&digits, 8).ok_or("an octal escape is no character")?
                    }
                    other => return Err(format!("unknown escape `\\{other}`")),
                });
            }
            c => to.push(c),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<Entry> {
        let mut entries = Entries::default();
        let mut out: Vec<Entry> = Vec::new();
        for line in text.lines() {
            out.extend(entries.line(0, line));
        }
        out.extend(entries.finish());
        out
    }

    #[test]
    fn strings_go_on_and_escapes_are_read() {
        let got = entries(
            "#: a.py:1\nmsgctxt \"menu\"\nmsgid \"\"\n\"File\\n\"\n\"\\\"x\\\"\\t\\\\\"\n\nmsgstr \"ファイル\\x41\\101\"\n",
        );
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].id.as_deref(), Some("File\n\"x\"\t\\"));
        assert_eq!(got[0].context.as_deref(), Some("menu"));
        assert_eq!(got[0].forms, [(0, "ファイルAA".to_string())]);
    }

    #[test]
    fn obsolete_fuzzy_and_previous() {
        let got = entries(
            "#, fuzzy, c-format\n#| msgid \"old\"\nmsgid \"a\"\nmsgstr \"b\"\n\n#, fuzzy\n#~ msgid \"c\"\n#~ msgid_plural \"cs\"\n#~ msgstr[0] \"d\"\n#~ msgid \"e\"\n#~ msgstr \"\"\nmsgid \"g\"\nmsgstr \"h\"",
        );
        let flags: Vec<bool> = got.iter().map(|e| e.obsolete).collect();
        assert_eq!(flags, [false, true, true, false]);
        assert_eq!(got[0].flags, ["fuzzy", "c-format"]);
        assert!(got[2].flags.is_empty() && got.iter().all(|e| e.fault.is_none()));
    }

    #[test]
    fn faults_are_those_of_their_entry() {
        let got = entries(
            "msgid \"a\nmsgstr \"b\"\n\nmsgid \"c\"\nmsgstr \"d\"\n\nmsgid \"e\"\n\nmsgid \"f\\q\"\nmsgstr \"\"\nfoo \"x\"",
        );
        let faults: Vec<Option<&str>> = got.iter().map(|e| e.fault.as_deref()).collect();
        assert_eq!(
            faults,
            [
                Some("a string is not in quotes"),
                None,
                Some("a message without `msgstr`"),
                Some("unknown escape `\\q`"),
            ]
        );
    }
}
