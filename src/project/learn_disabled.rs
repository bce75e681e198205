//! What learns, in a hexapla that was built without libtorch: a sentence saying so.

use super::build::Builder;
use super::key::Ingredients;
use crate::error::{Error, Result};
use crate::store::manifest::Manifest;

/// The one process that there is.
pub(super) struct Ranks;

impl Ranks {
    pub fn new(_: bool) -> Result<Self> {
        Ok(Self)
    }

    pub fn leads(&self) -> bool {
        true
    }

    pub fn barrier(&self) -> Result<()> {
        Ok(())
    }

    pub fn last_words(&self, _: &Error) {}

    pub fn leave(&self) {}
}

impl Builder<'_> {
    pub(super) fn verify_resume(&self, _: &str) -> Result<String> {
        Err(without())
    }

    pub(super) fn train_ingredients(&self, _: &str, _: &mut Ingredients) -> Result<()> {
        Err(without())
    }

    pub(super) fn build_train(
        &self,
        _: &str,
        _: Manifest,
        _: Option<&Manifest>,
    ) -> Result<Manifest> {
        Err(without())
    }

    pub(super) fn eval_ingredients(&self, _: &str, _: &mut Ingredients) -> Result<()> {
        Err(without())
    }

    pub(super) fn build_eval(&self, _: &str, _: Manifest) -> Result<Manifest> {
        Err(without())
    }
}

fn without() -> Error {
    Error::usage("this hexapla was built without training")
        .hint_with("build it with the feature `train`, which is on by default")
}
