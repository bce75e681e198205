//! temp
#![allow(missing_docs)]
use std::collections::BTreeMap;
use std::path::PathBuf;
use super::recipe::{ParamValue, Query};
use super::Session;
use crate::error::Result;
use crate::store::manifest::Manifest;
pub struct RunSpec<'a> { pub query: &'a Query, pub params: &'a BTreeMap<String, ParamValue>, pub seed: u64, pub out_dir: PathBuf, pub dropped_dir: PathBuf, pub threads: usize, pub manifest: Manifest }
pub fn run(_session: &Session, _spec: &RunSpec<'_>, _progress: &(dyn Fn(u64, Option<u64>) + Sync)) -> Result<Manifest> { Ok(Manifest::default()) }
impl Session { pub fn functions_in(&self, _sql: &str) -> Vec<(String, u32)> { Vec::new() } }
