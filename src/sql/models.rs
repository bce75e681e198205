//! Functions that are told files: `detect_lang` and `lang_known` with a model of fastText or one of
//! `hexapla lid train`, rule sets with the thresholds of languages, `url_blocked` with its lists.
//!
//! A file is opened when a row first asks for it and kept as long as the session. A query's result
//! depends on what is in its files: [`named`] finds them in its text.

mod languages;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::buffer::Buffer;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Value as Literal, visit_expressions,
};

use self::languages::{Asked, WithModel};
use super::recipe;
use crate::error::{Error, Result};
use crate::function::{Function, Kernel, Row, Signature, Value};
use crate::identify::detect_lang::DETECT_LANG;
use crate::identify::detect_langs::DETECT_LANGS;
use crate::identify::fasttext::Model;
use crate::identify::lang_known::LANG_KNOWN;
use crate::identify::ngram;
use crate::measure::fineweb_quality::{self, FINEWEB_QUALITY};
use crate::measure::gopher_quality::{self, GOPHER_QUALITY};
use crate::measure::gopher_repetition::{self, GOPHER_REPETITION};
use crate::measure::thresholds::{LanguageThresholds, Thresholds};
use crate::measure::tokens::tokens;
use crate::measure::url_blocked::{self, Format, Lists, UrlList};
use crate::source::location::Location;
use crate::store::mmap;

/// What a model's name begins with when it is one of fastText's, before its path.
const FASTTEXT: &str = "fasttext:";
/// The same of a model that `hexapla lid train` made.
const OURS: &str = "hexapla:";

/// What a profile's name begins with when its thresholds are those of a file, before its path.
const FINEWEB2: &str = "fineweb2:";

/// All functions that are told files; relative paths are those of a folder.
pub(super) fn kernels(dir: &Path) -> Vec<Arc<dyn Kernel>> {
    let opened = Arc::new(Opened { dir: dir.into(), ..Opened::default() });
    vec![
        WithModel::of(Asked::Language, &DETECT_LANG, &opened),
        WithModel::of(Asked::Languages, &DETECT_LANGS, &opened),
        WithModel::of(Asked::Knows, &LANG_KNOWN, &opened),
        WithThresholds::of(&GOPHER_QUALITY, &opened, |text, lang, found, out| {
            let tokens = tokens(text, Some(lang));
            gopher_quality::write(
                &gopher_quality::gopher_quality(text, tokens, &found.gopher_quality()),
                out,
            )
        }),
        WithThresholds::of(&GOPHER_REPETITION, &opened, |text, lang, found, out| {
            let tokens = tokens(text, Some(lang));
            gopher_repetition::write(
                &gopher_repetition::gopher_repetition(text, tokens, &found.gopher_repetition()),
                out,
            )
        }),
        WithThresholds::of(&FINEWEB_QUALITY, &opened, |text, lang, found, out| {
            let tokens = tokens(text, Some(lang)).len();
            fineweb_quality::write(
                &fineweb_quality::fineweb_quality(text, tokens, &found.fineweb()),
                out,
            )
        }),
        url_blocked::kernel(opened),
    ]
}

/// The files that the functions of a query are told, with their hashes. A file that is not there
/// is left out: the query itself says so.
pub fn named(sql: &str, dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut paths = Vec::new();
    // Nothing breaks: the walk only collects.
    let _ = visit_expressions(&recipe::statement(sql)?, |expr: &Expr| -> ControlFlow<()> {
        if let Some(text) = literal(expr)
            && let Some(path) =
                [FASTTEXT, OURS, FINEWEB2].iter().find_map(|of| text.strip_prefix(of))
        {
            paths.push(path.to_string());
        }
        if let Expr::Function(call) = expr
            && call.name.to_string().eq_ignore_ascii_case("url_blocked")
            && let FunctionArguments::List(list) = &call.args
            && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(list))) = list.args.get(1)
        {
            let files = literal(list).into_iter().flat_map(url_blocked::files);
            paths.extend(files.map(|(_, path)| path.to_string()));
        }
        ControlFlow::Continue(())
    });
    let mut found = BTreeMap::new();
    for path in paths {
        let file = dir.join(&path);
        if file.is_file() {
            found.insert(path, Location::File(file).hash()?.1);
        }
    }
    Ok(found)
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Literal::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The files that were asked for.
#[derive(Default)]
struct Opened {
    dir: PathBuf,
    fasttext: Cache<Model>,
    ours: Cache<ngram::model::Model>,
    lists: Cache<UrlList>,
    thresholds: Cache<Thresholds>,
}

struct Cache<T>(Mutex<HashMap<String, Arc<T>>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Cache<T> {
    /// What is under a name; who asks first opens it, and the others wait.
    fn get(&self, name: &str, open: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut known = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(found) = known.get(name) {
            return Ok(found.clone());
        }
        let found = Arc::new(open()?);
        known.insert(name.into(), found.clone());
        Ok(found)
    }
}

impl Opened {
    fn fasttext(&self, path: &str) -> Result<Arc<Model>> {
        self.fasttext.get(path, || {
            let file = self.dir.join(path);
            Model::parse(&file, &self.bytes(&file)?)
        })
    }

    fn ours(&self, path: &str) -> Result<Arc<ngram::model::Model>> {
        self.ours.get(path, || {
            let file = self.dir.join(path);
            ngram::model::Model::parse(&self.bytes(&file)?).map_err(|e| e.within(file.display()))
        })
    }

    fn thresholds(&self, path: &str) -> Result<Arc<Thresholds>> {
        self.thresholds.get(path, || {
            let file = self.dir.join(path);
            let text = fs::read_to_string(&file).map_err(|e| {
                Error::io(&file, e)
                    .hint_with("`hexapla thresholds TABLE -o FILE` measures thresholds")
            })?;
            Thresholds::parse(&text).map_err(|e| e.within(file.display()))
        })
    }

    fn bytes(&self, file: &Path) -> Result<Buffer> {
        let hint = "write `fasttext:PATH` or `hexapla:PATH` with the path of a model file";
        mmap::map(file).map_err(|e| e.hint_with(hint))
    }
}

impl Lists for Opened {
    fn list(&self, name: &str) -> Result<Arc<UrlList>> {
        self.lists.get(name, || {
            let mut texts = Vec::new();
            for (format, path) in url_blocked::files(name) {
                let file = self.dir.join(path);
                let text = fs::read(&file).map_err(|e| Error::io(&file, e))?;
                let text = String::from_utf8_lossy(&text).into_owned();
                texts.push((format.unwrap_or_else(|| Format::guess(path, &text)), text));
            }
            let texts: Vec<(Format, &str)> =
                texts.iter().map(|(format, text)| (*format, text.as_str())).collect();
            UrlList::parse(&texts)
        })
    }

    fn fingerprint(&self) -> u64 {
        // What the lists say is told by `named`, by their files.
        0
    }
}

/// Writes the cells of a text in a language by its thresholds.
type ByThresholds = fn(&str, &str, &LanguageThresholds, &mut Row<'_>) -> Result<()>;

/// A rule set that takes a file of thresholds, or else the name of a profile.
struct WithThresholds {
    function: &'static Function,
    opened: Arc<Opened>,
    write: ByThresholds,
}

impl WithThresholds {
    fn of(
        function: &'static Function,
        opened: &Arc<Opened>,
        write: ByThresholds,
    ) -> Arc<dyn Kernel> {
        Arc::new(Self { function, opened: opened.clone(), write })
    }
}

impl Kernel for WithThresholds {
    fn signature(&self) -> &Signature {
        &self.function.signature
    }

    fn call(&self, args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
        let Some(path) = args[2].text().and_then(|profile| profile.strip_prefix(FINEWEB2)) else {
            return (self.function.body)(args, out);
        };
        let thresholds = self.opened.thresholds(path)?;
        let lang = args[1].text().unwrap_or_default();
        match thresholds.of(lang) {
            Some(found) => (self.write)(args[0].text().unwrap_or_default(), lang, found, out),
            // A language without thresholds is judged by no one else's.
            None => {
                out.null();
                Ok(())
            }
        }
    }
}
