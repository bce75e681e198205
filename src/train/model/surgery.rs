//! Another vocabulary for a trained model: rows of shared tokens move with their tokens.
//!
//! A row that no token brought is drawn from the normal distribution of the rows there were, each
//! column with its own mean and deviation, so that new tokens begin as unremarkable ones (Hewitt
//! 2021, "Initializing New Word Embeddings"). Everything else is taken over as it is.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::train::model::Model;
use crate::train::model::parameters::INITIALIZER_RANGE;

/// Fills `new` from `old`, which differ in their vocabularies alone: `rows` has for each id of
/// `new` the id of the same token in `old`.
pub fn transplant(old: &Model, new: &Model, rows: &[Option<i64>]) -> Result<()> {
    let _guard = tch::no_grad_guard();
    let known: Vec<(i64, i64)> =
        rows.iter().enumerate().filter_map(|(id, row)| Some((id as i64, (*row)?))).collect();
    let column = |values: Vec<i64>| Tensor::f_from_slice(&values);
    let to = column(known.iter().map(|(id, _)| *id).collect())?;
    let from = column(known.iter().map(|(_, row)| *row).collect())?;
    for (new_one, old_one) in new.parameters().iter().zip(old.parameters().iter()) {
        let (source, mut target) = (&old_one.tensor, new_one.tensor.shallow_clone());
        let device = target.device();
        let filled = match new_one.by_id {
            Some(dimension) => {
                let taken = source.f_index_select(dimension, &from)?;
                let drawn = like(source, &target.f_to_device(source.device())?, dimension)?;
                drawn.f_index_copy(dimension, &to, &taken)?
            }
            None if source.size() == target.size() => source.shallow_clone(),
            None => shifted(source, &target.f_to_device(source.device())?, &new_one.name)?,
        };
        target.f_copy_(&filled.f_to_device(device)?)?;
    }
    Ok(())
}

/// New values with the mean and deviation of the old ones over the ids, from newly drawn ones.
fn like(old: &Tensor, drawn: &Tensor, dimension: i64) -> Result<Tensor> {
    let mean = old.f_mean_dim(dimension, true, Kind::Float)?;
    let off = old.f_sub(&mean)?.f_square()?.f_mean_dim(dimension, true, Kind::Float)?.f_sqrt()?;
    Ok(drawn.f_div_scalar(INITIALIZER_RANGE)?.f_mul(&off)?.f_add(&mean)?)
}

/// XLM-R's positions begin behind padding: with another padding they are the same rows, moved.
fn shifted(old: &Tensor, new: &Tensor, name: &str) -> Result<Tensor> {
    let (had, has) = (old.size(), new.size());
    if had.len() != 2 || has.len() != 2 || had[1] != has[1] {
        return Err(Error::internal(format!("`{name}` {had:?} cannot become {has:?}")));
    }
    let kept = had[0].min(has[0]);
    let moved = new.f_detach_copy()?;
    let tail = old.f_narrow(0, had[0] - kept, kept)?;
    moved.f_narrow(0, has[0] - kept, kept)?.f_copy_(&tail)?;
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::train::config::Dtype;
    use crate::train::model::decoder::tests::tiny as decoder;
    use crate::train::model::encoder::tests::{difference, tiny as encoder};
    use crate::train::model::seq2seq::tests::tiny as seq2seq;
    use crate::train::model::{Architecture, Parameter};

    fn of<'a>(model: &'a Model, name: &str) -> &'a Parameter {
        model.parameters().iter().find(|p| p.name == name).unwrap()
    }

    #[test]
    fn rows_move_with_their_tokens_and_the_rest_stays() {
        // The new ids are the old ones backwards, and ten more.
        let rows: Vec<Option<i64>> = (0..60).map(|id| (id < 50).then_some(49 - id)).collect();
        for (shape, by_id) in [(encoder(50), 2), (decoder(50), 1), (seq2seq(50, true), 2)] {
            let make = |shape: Architecture, seed| {
                Model::new(shape, seed, Dtype::Fp32, Device::Cpu).unwrap()
            };
            let old = make(shape.clone(), 1);
            let new = make(Architecture { vocabulary: 60, ..shape }, 2);
            transplant(&old, &new, &rows).unwrap();
            let mut found = 0;
            for parameter in old.parameters().iter() {
                let tensor = &of(&new, &parameter.name).tensor;
                let Some(dimension) = parameter.by_id else {
                    assert_eq!(difference(tensor, &parameter.tensor), 0.0, "{}", parameter.name);
                    continue;
                };
                found += 1;
                let same = tensor.narrow(dimension, 0, 50).flip([dimension]);
                assert_eq!(difference(&same, &parameter.tensor), 0.0, "{}", parameter.name);
            }
            assert_eq!(found, by_id);
        }
    }

    #[test]
    fn a_token_that_nobody_had_is_like_the_others() {
        let old = Model::new(decoder(50), 1, Dtype::Fp32, Device::Cpu).unwrap();
        let words = |model: &Model| of(model, "model.embed_tokens.weight").tensor.detach();
        // Some column has a mean of its own.
        let _ = words(&old).select(1, 3).f_add_scalar_(5.0).unwrap();
        let new = Architecture { vocabulary: 1000, ..decoder(50) };
        let new = Model::new(new, 2, Dtype::Fp32, Device::Cpu).unwrap();
        let rows: Vec<Option<i64>> = (0..1000).map(|id| (id < 2).then_some(id)).collect();
        transplant(&old, &new, &rows).unwrap();
        let column = words(&new).select(1, 3).narrow(0, 2, 998);
        assert!((column.mean(Kind::Float).double_value(&[]) - 5.0).abs() < 0.01);
        let deviation = column.std(true).double_value(&[]);
        assert!((0.01..0.03).contains(&deviation), "{deviation}");
    }

    #[test]
    fn positions_move_with_the_padding() {
        let shape = encoder(50);
        let old = Model::new(shape.clone(), 1, Dtype::Fp32, Device::Cpu).unwrap();
        let moved = Architecture { pad: 3, positions: shape.positions + 2, ..shape };
        let new = Model::new(moved, 2, Dtype::Fp32, Device::Cpu).unwrap();
        transplant(&old, &new, &(0..50).map(Some).collect::<Vec<_>>()).unwrap();
        let name = "roberta.embeddings.position_embeddings.weight";
        let (had, has) = (&of(&old, name).tensor, &of(&new, name).tensor);
        assert_eq!(difference(&had.narrow(0, 1, 33), &has.narrow(0, 3, 33)), 0.0);
    }
}
