//! `clm`: causal language modelling, each document for itself.

use crate::error::Result;
use crate::train::config::ModelKind;
use crate::train::layout::Unit;
use crate::train::objective::packed::{self, Packed};
use crate::train::objective::{Objective, Rows, Setting};
use crate::train::work::Work;

/// Causal language modelling.
pub static CLM: Objective = Objective {
    name: "clm",
    doc: "Predict each token of a document from those before it (Radford et al. 2018).",
    model: ModelKind::Decoder,
    prepare,
    score: packed::score,
};

fn prepare(rows: &Rows<'_>, setting: &Setting<'_>) -> Result<Work> {
    let rows = Packed::read(&CLM, rows, setting, Unit::Document)?;
    let (tokens, length) = (rows.tokens(), rows.batch.length);
    let documents = &rows.layout.documents;
    // The last place of a document predicts nothing: what follows is another's.
    let predicts = |&place: &usize| {
        let next = place + 1;
        next % length != 0 && documents[place] >= 0 && documents[place] == documents[next]
    };
    let places: Vec<usize> = (0..tokens.len()).filter(predicts).collect();
    let gold = places.iter().map(|&place| i64::from(tokens[place + 1])).collect();
    let places = places.into_iter().map(|place| place as i64).collect();
    let ids = rows.buffer();
    Ok(rows.work(&CLM, ids, places, gold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::batch::Source;
    use crate::train::batch::tests::Made;
    use crate::train::config::Masking;
    use crate::train::model::decoder::tests::tiny;
    use crate::train::vocabulary::tests::xlmr;

    #[test]
    fn every_token_but_the_first_of_each_document_is_predicted_once() {
        let (vocabulary, architecture) = (xlmr(50), tiny(50));
        let setting = Setting {
            vocabulary: &vocabulary,
            architecture: &architecture,
            masking: Masking { probability: 0.0, whole_words: false },
            key: 1,
        };
        for pairs in [false, true] {
            let mut made = Made { step: 2, rows: 4, length: 16, vocabulary: 50, pairs };
            let batch = made.next().unwrap();
            let work = prepare(&Rows::Packed(&batch), &setting).unwrap();
            let (tokens, first) = (batch.tokens.typed_data::<i32>(), batch.document_lengths[0][0]);
            // What is seen is what was read, in place.
            assert_eq!(work.ids.as_ptr(), batch.tokens.as_ptr());
            assert_eq!(work.places.len() as u64, batch.real_tokens() - 8);
            for (&place, &gold) in work.places.iter().zip(&work.gold) {
                assert_eq!(gold, i64::from(tokens[place as usize + 1]));
            }
            assert!(!work.places.contains(&i64::from(first - 1)));
            let second = work.places.iter().position(|&p| p == i64::from(first)).unwrap();
            assert_eq!(work.target_langs[second], u8::from(pairs));
        }
    }
}
