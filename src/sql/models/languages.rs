//! The functions of languages with a model of fastText, one of `hexapla lid train`, or one of ours.

use std::cell::RefCell;
use std::sync::Arc;

use super::{FASTTEXT, OURS, Opened};
use crate::error::Result;
use crate::function::{Function, Kernel, Row, Signature, Value};
use crate::identify::detect_lang::{self, Detected};
use crate::identify::detect_langs;
use crate::identify::fasttext::{Model, Scratch};
use crate::identify::{ngram, script};

/// The probability from which a label of fastText is called reliable, as datatrove's default.
const RELIABLE: f64 = 0.65;

/// What a model is asked for.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    Language,
    Languages,
    Knows,
}

/// A function of languages that takes a model of fastText, or else the name of one of ours.
pub(super) struct WithModel {
    asked: Asked,
    function: &'static Function,
    opened: Arc<Opened>,
}

impl WithModel {
    pub(super) fn of(
        asked: Asked,
        function: &'static Function,
        opened: &Arc<Opened>,
    ) -> Arc<dyn Kernel> {
        Arc::new(Self { asked, function, opened: opened.clone() })
    }
}

impl Kernel for WithModel {
    fn signature(&self) -> &Signature {
        &self.function.signature
    }

    fn call(&self, args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
        let (text, name) = (args[0].text().unwrap_or_default(), args[1].text().unwrap_or_default());
        if let Some(path) = name.strip_prefix(FASTTEXT) {
            let model = self.opened.fasttext(path)?;
            match self.asked {
                Asked::Language => detect_lang::write(&detect(text, &model)?, out),
                Asked::Languages => languages(text, &model, detect_langs::most(&args[2])?, out)?,
                Asked::Knows => out.bool(model.tags().any(|tag| tag.to_string() == text)),
            }
        } else if let Some(path) = name.strip_prefix(OURS) {
            let model = self.opened.ours(path)?;
            match self.asked {
                Asked::Language => detect_lang::write(&of_ours(text, &model), out),
                Asked::Languages => {
                    let most = detect_langs::most(&args[2])?;
                    let script = script::script(text);
                    let found = script.map(|script| model.labels_of(text, script, most));
                    let found = found.into_iter().flatten();
                    detect_langs::write(found.map(|(t, p)| (Some(t), p, t.to_string())), out)?;
                }
                Asked::Knows => out.bool(model.labels().any(|tag| tag.to_string() == text)),
            }
        } else {
            (self.function.body)(args, out)?;
        }
        Ok(())
    }
}

/// The label of a text by one of our models.
fn of_ours(text: &str, model: &ngram::model::Model) -> Detected {
    match script::script(text) {
        Some(script) => ngram::detect_with(Some(model), text, script),
        None => Detected { tag: None, script: None, score: 0.0, reliable: false },
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The best label of a model as a measured language.
fn detect(text: &str, model: &Model) -> Result<Detected> {
    let script = script::script(text);
    let best = SCRATCH.with_borrow_mut(|scratch| {
        model.predict(text, 1, scratch).map(|labels| labels.first().copied())
    })?;
    let tag = best.and_then(|best| model.tag(best.label, text, script));
    let score = best.map_or(0.0, |best| f64::from(best.probability).min(1.0));
    Ok(Detected {
        tag,
        script: tag.map(|tag| tag.script).or(script),
        score: if tag.is_some() { score } else { 0.0 },
        reliable: tag.is_some() && score >= RELIABLE,
    })
}

/// Writes the best labels of a model.
fn languages(text: &str, model: &Model, most: usize, out: &mut Row<'_>) -> Result<()> {
    let script = script::script(text);
    SCRATCH.with_borrow_mut(|scratch| {
        let found = model.predict(text, most.min(model.labels().len()), scratch)?.iter();
        let named = found.map(|found| {
            let label = &model.labels()[found.label];
            let label = label.strip_prefix("__label__").unwrap_or(label);
            let tag = model.tag(found.label, text, script);
            (tag, f64::from(found.probability).min(1.0), label.to_string())
        });
        detect_langs::write(named, out)
    })
}
