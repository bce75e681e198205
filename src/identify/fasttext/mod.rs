//! Classifiers of fastText, such as lid.176, GlotLID and OpenLID: `.bin` and `.ftz` files of
//! versions 11 and 12, with any loss, plain or quantised.
//!
//! Predicts what the official library predicts: the same labels, in the same order, with the same
//! probabilities. It reads no files, trains nothing and knows no word vectors.

mod dense;
mod dictionary;
mod format;
mod labels;
mod loss;
mod ngrams;
mod quantised;
mod ranking;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use arrow::buffer::Buffer;

use self::dense::DenseMatrix;
use self::dictionary::{Dictionary, LABEL, Line};
use self::format::{Args, Reader};
use self::labels::Tags;
use self::loss::{Loss, Output, Room};
use self::quantised::QuantisedMatrix;
use self::ranking::Ranking;
use crate::error::{Error, Result};
use crate::identify::tag::Tag;

/// A classifier.
pub struct Model {
    path: PathBuf,
    dim: usize,
    dictionary: Dictionary,
    input: Input,
    loss: Loss,
    labels: Vec<String>,
    tags: Vec<Option<Tags>>,
}

/// The vectors of words and n-grams.
enum Input {
    Dense(DenseMatrix),
    Quantised(QuantisedMatrix),
}

/// A label of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Which of [`Model::labels`] it is.
    pub label: usize,
    /// Its probability as fastText gives it, which may exceed 1 by 0.00001.
    pub probability: f32,
}

/// Room for predicting, kept between calls so that they allocate nothing; one for each thread.
#[derive(Default)]
pub struct Scratch {
    line: Line,
    hidden: Vec<f32>,
    room: Room,
    ranking: Ranking,
    predictions: Vec<Prediction>,
}

impl Model {
    /// Reads a model of the bytes of its file, which it keeps; the path is for messages.
    ///
    /// Errors for another kind of file, one that is damaged or cut off, and a model of word
    /// vectors.
    ///
    /// ```
    /// use arrow::buffer::Buffer;
    /// use hexapla::identify::fasttext::Model;
    /// let error = Model::parse("lid.bin".as_ref(), &Buffer::from(&b"PAR1"[..])).err();
    /// assert!(error.is_some_and(|e| e.to_string().starts_with("lid.bin: not a fastText model")));
    /// ```
    pub fn parse(path: &Path, bytes: &Buffer) -> Result<Self> {
        let mut reader = Reader::new(path, bytes);
        let args = Args::read(&mut reader)?;
        let (dictionary, labels) = Dictionary::read(&mut reader, &args)?;
        let input = Input::read(&mut reader, &args, &dictionary)?;
        let output = output(&mut reader, &args, &input, labels.len())?;
        let (labels, counts): (Vec<String>, Vec<i64>) =
            labels.into_iter().map(|label| (label.name, label.count)).unzip();
        let Some(loss) = Loss::new(args.loss, &counts, output) else {
            return Err(reader.damaged("counts of labels that make no tree"));
        };
        let has = |code: &str| labels.iter().any(|l| l.strip_prefix(LABEL) == Some(code));
        let tags = labels.iter().map(|label| Tags::of(label, has)).collect();
        Ok(Self { path: path.into(), dim: args.dim, dictionary, input, loss, labels, tags })
    }

    /// The names of the labels as the model has them, such as `__label__de`.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The tag of a label for a text of which most letters are of a script (see
    /// [`script`](crate::identify::script::script)); `None` if it names no language we know.
    ///
    /// A label without a script gets that of the text, where the language is written in several.
    pub fn tag(&self, label: usize, text: &str, script: Option<&str>) -> Option<Tag> {
        self.tags.get(label)?.as_ref().map(|tags| tags.in_script(text, script))
    }

    /// Every tag that [`Model::tag`] can answer.
    pub fn tags(&self) -> impl Iterator<Item = Tag> {
        self.tags.iter().flatten().flat_map(Tags::all)
    }

    /// The best `k` labels of a text, the best first.
    ///
    /// The text is one line, as for `predict` of the Python package: line breaks are spaces, `</s>`
    /// ends it, and words that are labels are ignored. There may be fewer than `k`, or none if the
    /// model knows nothing in the text.
    ///
    /// Errors if the numbers of the model, which are not checked before, make no probability.
    pub fn predict<'s>(
        &self,
        text: &str,
        k: usize,
        scratch: &'s mut Scratch,
    ) -> Result<&'s [Prediction]> {
        let Scratch { line, hidden, room, ranking, predictions } = scratch;
        predictions.clear();
        self.dictionary.find(text, line);
        if line.rows.is_empty() || k == 0 {
            return Ok(predictions);
        }
        hidden.clear();
        hidden.resize(self.dim, 0.0);
        match &self.input {
            Input::Dense(matrix) => matrix.add_rows(&line.rows, hidden),
            Input::Quantised(matrix) => matrix.add_rows(&line.rows, hidden),
        }
        let share = (1.0 / line.rows.len() as f64) as f32;
        hidden.iter_mut().for_each(|number| *number *= share);
        ranking.clear(k);
        self.loss.rank(hidden, room, ranking).map_err(|loss::NotANumber| {
            Error::input(&self.path, "the numbers of the fastText model make no probability")
        })?;
        predictions.extend(
            ranking.sorted().map(|(label, score)| Prediction {
                label: label as usize,
                probability: score.exp(),
            }),
        );
        Ok(predictions)
    }
}

impl Input {
    fn read(reader: &mut Reader<'_>, args: &Args, dictionary: &Dictionary) -> Result<Self> {
        reader.enter("input matrix");
        let input = if reader.flag()? {
            Self::Quantised(QuantisedMatrix::read(reader)?)
        } else {
            Self::Dense(DenseMatrix::read(reader)?)
        };
        let (rows, columns) = match &input {
            Self::Dense(matrix) => matrix.shape(),
            Self::Quantised(matrix) => matrix.shape(),
        };
        let (needed, dim) = (dictionary.rows(), args.dim);
        if rows < needed || columns != dim {
            let what = format!("{rows} × {columns} numbers where {needed} × {dim} are needed");
            return Err(reader.damaged(what));
        }
        if dictionary.is_pruned() && matches!(input, Self::Dense(_)) {
            return Err(reader.damaged("plain vectors of pruned n-grams"));
        }
        Ok(input)
    }
}

/// Reads the output matrix, the last part of a file.
fn output(reader: &mut Reader<'_>, args: &Args, input: &Input, labels: usize) -> Result<Output> {
    reader.enter("output matrix");
    // A model of plain vectors has this flag, too, and it means nothing there.
    let is_quantised = reader.flag()? && matches!(input, Input::Quantised(_));
    let expected = (labels, args.dim);
    let check = |reader: &Reader<'_>, shape| match shape {
        shape if shape == expected => Ok(()),
        (rows, columns) => {
            let (labels, dim) = expected;
            Err(reader.damaged(format!("{rows} × {columns} numbers for {labels} × {dim}")))
        }
    };
    if is_quantised {
        let matrix = QuantisedMatrix::read(reader)?;
        check(reader, matrix.shape())?;
        let Some(numbers) = matrix.directions() else {
            return Err(reader.damaged("codes that stand for too many columns each"));
        };
        return Ok(Output { dim: args.dim, numbers, norms: matrix.norms() });
    }
    let shape = (reader.long_count("rows")?, reader.long_count("columns")?);
    check(reader, shape)?;
    Ok(Output { dim: args.dim, numbers: reader.floats(labels, args.dim)?, norms: None })
}
