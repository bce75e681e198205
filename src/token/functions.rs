//! The kernels `token_count` and `encode`.
//!
//! They hold tokenizers by name, so they are values that the project registers into the session;
//! the session itself knows no tokenizer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::DataType;

use crate::error::{Error, Result};
use crate::function::{Arg, Family, Kernel, Row, Signature, Type, Value, list_of};
use crate::id;
use crate::token::Tokenizer;

/// Tokenizers by the name that queries call them by.
pub type Tokenizers = Arc<BTreeMap<String, Named>>;

/// A tokenizer that may be loaded when a query first calls it.
pub struct Named {
    dir: PathBuf,
    loaded: OnceLock<Arc<Tokenizer>>,
}

impl Named {
    /// A tokenizer at hand.
    pub fn loaded(tokenizer: Arc<Tokenizer>) -> Self {
        Self { dir: PathBuf::new(), loaded: OnceLock::from(tokenizer) }
    }

    /// The tokenizer in a folder, which is not read yet.
    pub fn folder(dir: &Path) -> Self {
        Self { dir: dir.into(), loaded: OnceLock::new() }
    }

    fn get(&self) -> Result<&Tokenizer> {
        if self.loaded.get().is_none() {
            // Of several threads that load it at once, one has its tokenizer kept.
            let _ = self.loaded.set(Arc::new(Tokenizer::load(&self.dir)?));
        }
        let loaded = self.loaded.get().map(Arc::as_ref);
        loaded.ok_or_else(|| Error::internal("a tokenizer was loaded and is gone"))
    }
}

/// All kernels over these tokenizers.
pub fn kernels(tokenizers: &Tokenizers) -> Vec<Arc<dyn Kernel>> {
    let of = |signature, write: fn(&[i32], &mut Row<'_>)| -> Arc<dyn Kernel> {
        Arc::new(TokenKernel { signature, write, tokenizers: tokenizers.clone() })
    };
    vec![
        of(&TOKEN_COUNT, |ids, out| out.int(ids.len() as i64)),
        of(&ENCODE, |ids, out| out.ids(ids)),
    ]
}

const ARGS: &[Arg] =
    &[Arg::text("text"), Arg::optional("tokenizer", Type::Text, "the only tokenizer there is")];

static TOKEN_COUNT: Signature = Signature {
    name: "token_count",
    family: Family::Tokens,
    args: ARGS,
    returns: || DataType::Int64,
    doc: "The number of tokens of a text, without those that begin and end it.",
    examples: &[],
    version: 1,
};

static ENCODE: Signature = Signature {
    name: "encode",
    family: Family::Tokens,
    args: ARGS,
    returns: || list_of(DataType::Int32),
    doc: "The token ids of a text, without those that begin and end it.",
    examples: &[],
    version: 1,
};

struct TokenKernel {
    signature: &'static Signature,
    write: fn(&[i32], &mut Row<'_>),
    tokenizers: Tokenizers,
}

impl TokenKernel {
    fn tokenizer(&self, name: Option<&Value<'_>>) -> Result<&Tokenizer> {
        let names = || self.tokenizers.keys().map(String::as_str);
        match name.and_then(Value::text) {
            Some(name) => match self.tokenizers.get(name) {
                Some(tokenizer) => tokenizer.get(),
                None => Err(Error::unknown("tokenizer", name, names())),
            },
            None => match (self.tokenizers.len(), self.tokenizers.values().next()) {
                (1, Some(only)) => only.get(),
                _ => {
                    let choices = names().collect::<Vec<_>>().join(", ");
                    let name = self.signature.name;
                    Err(Error::usage(format!("{name} needs the name of a tokenizer")).hint_with(
                        match choices.is_empty() {
                            true => "declare one as `[tokenizer.main]`".to_string(),
                            false => format!("there are: {choices}"),
                        },
                    ))
                }
            },
        }
    }
}

impl Kernel for TokenKernel {
    fn signature(&self) -> &Signature {
        self.signature
    }

    fn call(&self, args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
        let tokenizer = self.tokenizer(args.get(1))?;
        let Some(text) = args.first().and_then(Value::text) else {
            out.null();
            return Ok(());
        };
        let ids = tokenizer.encode(text)?;
        (self.write)(&ids, out);
        Ok(())
    }

    fn fingerprint(&self) -> u64 {
        let mut fields = vec![self.signature.name.to_string(), self.signature.version.to_string()];
        for (name, tokenizer) in self.tokenizers.iter() {
            fields.push(name.clone());
            // One that cannot be loaded makes nothing that could be keyed.
            fields.push(tokenizer.get().map(Tokenizer::fingerprint).unwrap_or_default());
        }
        id::hash_fields(fields.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::Columns;
    use crate::token::tokenizer::tests::counting;
    use arrow::array::AsArray;
    use arrow::datatypes::{Int32Type, Int64Type};

    fn some(names: &[&str]) -> Tokenizers {
        let named = |n: &&str| (n.to_string(), Named::loaded(Arc::new(counting(9))));
        Arc::new(names.iter().map(named).collect())
    }

    fn call(kernel: &dyn Kernel, args: &[Value<'_>]) -> Result<arrow::array::ArrayRef> {
        let mut columns = Columns::new(&(kernel.signature().returns)(), 1)?;
        columns.row(|row| kernel.call(args, row))?;
        Ok(columns.finish())
    }

    #[test]
    fn counts_and_ids_agree() {
        let kernels = kernels(&some(&["main"]));
        let args = [Value::Text("3 1 4"), Value::Text("main")];
        let count = call(kernels[0].as_ref(), &args).unwrap();
        assert_eq!(count.as_primitive::<Int64Type>().value(0), 3);
        let ids = call(kernels[1].as_ref(), &args).unwrap();
        let ids = ids.as_list::<i32>().value(0);
        assert_eq!(ids.as_primitive::<Int32Type>().values(), &[7, 5, 8]);
    }

    #[test]
    fn the_tokenizer_may_be_left_out_only_when_there_is_one() {
        let args = [Value::Text("3 1 4"), Value::Null];
        assert!(call(kernels(&some(&["main"]))[0].as_ref(), &args).is_ok());
        let error = call(kernels(&some(&["a", "b"]))[0].as_ref(), &args).unwrap_err();
        assert_eq!(error.to_string(), "token_count needs the name of a tokenizer");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let args = [Value::Text("3"), Value::Text("mian")];
        let error = call(kernels(&some(&["main"]))[0].as_ref(), &args).unwrap_err();
        assert_eq!(error.to_string(), "unknown tokenizer `mian`; expected one of: main");
        assert_eq!(error.hint(), Some("did you mean `main`?"));
    }
}
