//! The loop: rate, batch, forward, loss, backward, clip, step, log, validate, save.
//!
//! Over several ranks each has its share of a step's micro-batches. What the loss divides by is
//! counted over all of them before the first forward pass, and gradients are summed while the last
//! backward pass runs, so that a step is the same step for any number of ranks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Instant;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::train::ahead::Ahead;
use crate::train::begin::{Begun, Run};
use crate::train::checkpoint::Contents;
use crate::train::data::{self, Data};
use crate::train::ffi::cuda;
use crate::train::group::Buckets;
use crate::train::guard::Seen;
use crate::train::loss::{self, Counts, Weights};
use crate::train::metrics::{Log, Progress, Told, Window};
use crate::train::model::Parameters;
use crate::train::objective;
use crate::train::peaks;
use crate::train::retention;
use crate::train::run::{End, Outcome};
use crate::train::save::Saver;
use crate::train::schedule;
use crate::train::summary::{duration, summary};
use crate::train::sums::{Key, Sums};
use crate::train::token_bytes::token_bytes;
use crate::train::validate::{self, Held};
use crate::train::vocabulary::Vocabulary;
use crate::train::work::Work;

/// Steps after which a run's length in time is told.
const SETTLED: u64 = 5;

/// A loop at work.
struct Loop<'a, 'r> {
    run: &'r Run<'a>,
    begun: &'r mut Begun,
    steps: u64,
    keys: Vec<Key>,
    token_bytes: Vec<u32>,
    window: Window,
    saver: Saver,
    log: Option<Log>,
    /// Training losses since the last validation: their sum and number.
    training: BTreeMap<String, (f64, f64)>,
    report: &'r mut dyn FnMut(Told<'_>),
}

impl Begun {
    /// Trains until the last step, or until the run is asked to stop.
    pub(crate) fn train(
        &mut self,
        run: &Run<'_>,
        data: &mut dyn Data,
        steps: u64,
        held: Option<&Held<'_>>,
        vocabulary: &Vocabulary,
        report: &mut dyn FnMut(Told<'_>),
    ) -> Result<Outcome> {
        let outcome = self.train_together(run, data, steps, held, vocabulary, report);
        if let Err(error) = &outcome {
            run.group.last_words(error);
        }
        outcome
    }

    fn train_together(
        &mut self,
        run: &Run<'_>,
        data: &mut dyn Data,
        steps: u64,
        held: Option<&Held<'_>>,
        vocabulary: &Vocabulary,
        report: &mut dyn FnMut(Told<'_>),
    ) -> Result<Outcome> {
        if self.from.is_some() {
            data.seek(&self.state.source)?;
        }
        let print = fingerprint(self.model.parameters(), self.state.step)?;
        run.group.agree(&print, "their weights or their step")?;
        let langs: BTreeSet<String> = data.langs().into_iter().collect();
        let mut keys = Vec::new();
        for name in run.config.objectives.keys() {
            let name = objective::objective(name)?.name;
            keys.extend(langs.iter().map(|lang| (name, lang.clone())));
        }
        let log = match run.group.leads() {
            true => Some(Log::open(run.dir, self.state.step)?),
            false => None,
        };
        let window = Window::new(steps, Sums::new(keys.clone(), self.model.device())?);
        let mut work = Loop {
            run,
            begun: self,
            steps,
            keys,
            token_bytes: token_bytes(run.tokenizer)?,
            window,
            saver: Saver::default(),
            log,
            training: BTreeMap::new(),
            report,
        };
        for line in summary(run, work.begun, steps, &data.plan(steps)) {
            work.note(&line);
        }
        let (last, end) = work.go(data, held, vocabulary)?;
        work.saver.finish()?;
        // Nobody goes on before the last checkpoint is there.
        run.group.barrier()?;
        let state = &self.state;
        let best = state.best.map(|(step, _)| retention::step_dir(run.dir, step));
        Ok(Outcome {
            checkpoint: retention::step_dir(run.dir, state.step),
            best: best.filter(|dir| dir.is_dir()),
            steps: state.step,
            tokens: state.tokens,
            last,
            end,
        })
    }
}

impl Loop<'_, '_> {
    fn go(
        &mut self,
        data: &mut dyn Data,
        held: Option<&Held<'_>>,
        vocabulary: &Vocabulary,
    ) -> Result<(Option<Progress>, End)> {
        let config = self.run.config;
        let save_every = config.save_every.unwrap_or(self.steps);
        let validate_every = config.validate_every.unwrap_or(save_every);
        let first = self.begun.state.step;
        let group = self.run.group;
        let mut buckets = group.buckets(self.begun.model.parameters())?;
        let mut last = None;
        let began = Instant::now();
        std::thread::scope(|scope| {
            let ahead = Ahead::start(scope, data, first..self.steps)?;
            while self.begun.state.step < self.steps {
                let step = self.begun.state.step;
                let (works, place) = self.window.waiting(|| ahead.next())?;
                let (counts, tokens, stop) = self.exchange(&works)?;
                let loss = self.learn(step, &works, &counts, buckets.as_mut())?;
                let rate = schedule::rate(&config.optimizer, step, self.steps);
                self.begun.optimizer.step(self.begun.model.parameters(), rate)?;
                let done = step + 1;
                let state = &mut self.begun.state;
                (state.step, state.source) = (done, place);
                state.tokens += tokens;
                self.window.add(&works);

                let at_end = done == self.steps;
                if done == first + SETTLED && self.steps - done > SETTLED {
                    let each = began.elapsed().as_secs_f64() / SETTLED as f64;
                    let left = each * (self.steps - done) as f64;
                    self.note(&format!("  about {} to go", duration(left)));
                }
                let stop = stop || self.run.until.is_some_and(|until| until <= done);
                let found = match held {
                    Some(held) if at_end || done.is_multiple_of(validate_every) => {
                        Some(self.validate(held, vocabulary)?)
                    }
                    _ => None,
                };
                let mut better = false;
                if found.is_some() || at_end || stop || done.is_multiple_of(config.log_every) {
                    let line = self.line(rate, &loss, found.as_ref())?;
                    if let Some(found) = &found {
                        better = self.compare(found)?;
                    }
                    last = Some(line);
                }
                let tired = found.is_some()
                    && config.patience.is_some_and(|most| self.begun.state.worse >= most);
                if at_end || stop || tired || better || done.is_multiple_of(save_every) {
                    self.save()?;
                }
                if tired && !at_end {
                    let (at, best) = self.begun.state.best.unwrap_or_default();
                    self.note(&format!(
                        "  step {done}: no better validation loss for {} validations; the best, \
                         {best:.3}, was at step {at}",
                        self.begun.state.worse
                    ));
                    return Ok((last, End::Early));
                }
                if stop && !at_end {
                    return Ok((last, End::Stopped));
                }
            }
            Ok((last, End::Done))
        })
    }

    /// Predictions by objective and language, tokens, and whether to stop, over all ranks.
    fn exchange(&self, works: &[Work]) -> Result<(Counts, u64, bool)> {
        let mut counts = self.window.sums.no_counts();
        for (key, count) in loss::counts(works) {
            let slot = counts.get_mut(&key).ok_or_else(|| {
                Error::internal(format!("`{}` is no language of the run's data", key.1))
            })?;
            *slot += count;
        }
        let tokens: u64 = works.iter().map(|work| work.tokens).sum();
        let stop = f64::from(u8::from(self.run.stop.load(Ordering::SeqCst)));
        let mut numbers: Vec<f64> = counts.values().map(|&n| n as f64).collect();
        numbers.extend([tokens as f64, stop]);
        let numbers = self.run.group.sum(&numbers)?;
        for (slot, number) in counts.values_mut().zip(&numbers) {
            *slot = *number as u64;
        }
        let n = counts.len();
        Ok((counts, numbers[n] as u64, numbers[n + 1] > 0.0))
    }

    /// Gradients of a step, summed over all ranks; returns this rank's part of its loss, where it
    /// was computed.
    fn learn(
        &mut self,
        step: u64,
        works: &[Work],
        counts: &Counts,
        mut buckets: Option<&mut Buckets<'_>>,
    ) -> Result<Tensor> {
        let run = self.run;
        let weights = Weights {
            objectives: &run.config.objectives,
            languages: run.config.language_weights.as_ref(),
            step,
        };
        let model = &self.begun.model;
        let mut loss = Tensor::f_zeros([1i64; 0], (Kind::Double, model.device()))?;
        let coefficients = loss::coefficients(works, counts, weights)?;
        let last = coefficients.iter().rposition(|c| !c.is_empty());
        if let (None, Some(buckets)) = (last, &buckets) {
            buckets.arm()?;
        }
        for (i, (work, coefficients)) in works.iter().zip(&coefficients).enumerate() {
            if coefficients.is_empty() {
                continue;
            }
            let micro = run.group.rank() + i * run.group.size();
            let noise = Some(data::key(run.seed ^ 1, step, micro));
            let losses = (work.objective.score)(model, work, noise)?;
            let weighted = Tensor::f_from_slice(coefficients)?.f_to_device(model.device())?;
            let part = losses.f_dot(&weighted)?;
            match &buckets {
                Some(buckets) if last == Some(i) => {
                    buckets.arm()?;
                    part.f_backward().map_err(|e| buckets.failed(e.into()))?;
                }
                _ => part.f_backward()?,
            }
            let _ = loss.f_add_(&part.f_detach()?.f_to_kind(Kind::Double)?)?;
            self.window.sums.add(work, &losses, &self.token_bytes)?;
        }
        if let Some(buckets) = buckets.as_mut() {
            buckets.finish()?;
        }
        Ok(loss)
    }

    fn validate(&mut self, held: &Held<'_>, vocabulary: &Vocabulary) -> Result<validate::Found> {
        let validating = Instant::now();
        let begun = &mut *self.begun;
        let sums = Sums::new(self.keys.clone(), begun.model.device())?;
        begun.optimizer.swap_averages(begun.model.parameters())?;
        let found = validate::measure(
            &begun.model,
            held,
            vocabulary,
            &self.token_bytes,
            sums,
            self.run.group,
        );
        begun.optimizer.swap_averages(begun.model.parameters())?;
        self.window.leave_out(validating.elapsed());
        found
    }

    /// Closes a line of the metrics; errors when too many steps in a row were skipped.
    fn line(
        &mut self,
        rate: f64,
        loss: &Tensor,
        found: Option<&validate::Found>,
    ) -> Result<Progress> {
        let state = &self.begun.state;
        let begin =
            Progress { step: state.step, tokens: state.tokens, lr: rate, ..Progress::default() };
        let seen = self.begun.optimizer.seen()?;
        let loss = loss.f_double_value(&[])?;
        let mut line = self.window.end(begin, loss, seen, self.run.group)?;
        if let Device::Cuda(index) = self.begun.model.device() {
            line.device_bytes = cuda::memory(index).ok().map(|(_, most)| most);
            let (all, each) = (self.begun.model.parameters().count(), self.run.group.size() as f64);
            let peak = peaks::peak(self.begun.model.device());
            line.mfu = peak.map(|peak| peaks::mfu(all, line.tokens_per_second / each, peak));
        }
        for (name, loss) in &line.losses {
            let (sum, n) = self.training.entry(name.clone()).or_default();
            (*sum, *n) = (*sum + loss, *n + 1.0);
        }
        if let Some(found) = found {
            line.validated(found);
        }
        if let Some(log) = &mut self.log {
            log.write(&line)?;
        }
        (self.report)(Told::Progress(&line));
        self.skipped(&line, seen)?;
        Ok(line)
    }

    fn skipped(&mut self, line: &Progress, seen: Seen) -> Result<()> {
        let most = self.run.config.optimizer.max_skipped;
        if seen.in_a_row >= most {
            let hint = match retention::latest(self.run.dir)? {
                Some(dir) => {
                    format!("the last checkpoint is {}; try a lower `optimizer.lr`", dir.display())
                }
                None => "try a lower `optimizer.lr` or a longer `optimizer.warmup`".into(),
            };
            return Err(Error::usage(format!(
                "step {}: {} steps in a row moved nothing: the loss is {} and the gradient norm {}",
                line.step, seen.in_a_row, line.loss, seen.norm
            ))
            .hint_with(hint));
        }
        if seen.in_a_row > 0 {
            self.note(&format!(
                "  step {}: skipped, the gradient norm is {:.3}; {} steps so far",
                line.step, seen.norm, seen.skipped
            ));
        }
        Ok(())
    }

    /// Remembers what a validation found; tells whether it is the best.
    fn compare(&mut self, found: &validate::Found) -> Result<bool> {
        let state = &mut self.begun.state;
        let better = found.remember(state, &self.run.config.best_by)?;
        let training = self.training.iter().map(|(name, (sum, n))| (name.clone(), sum / n));
        for words in found.overfitted(state, &training.collect()) {
            (self.report)(Told::Note(&format!("  step {}: {words}", state.step)));
        }
        self.training.clear();
        Ok(better)
    }

    fn save(&mut self) -> Result<()> {
        if !self.run.group.leads() {
            return Ok(());
        }
        let (run, begun) = (self.run, &*self.begun);
        let contents = Contents::of(
            &begun.model,
            &begun.optimizer,
            run.tokenizer,
            &begun.state,
            &run.manifest,
        )?;
        let best = begun.state.best.map(|(at, _)| at);
        self.saver.save(run.dir, contents, run.config.keep, best)
    }

    fn note(&mut self, words: &str) {
        (self.report)(Told::Note(words));
    }
}

/// A few numbers that differ between models that differ: the step, and what the weights sum to.
fn fingerprint(parameters: &Parameters, step: u64) -> Result<Vec<f64>> {
    let _guard = tch::no_grad_guard();
    let mut sum = 0.0;
    for (i, tensor) in parameters.tensors().into_iter().enumerate() {
        sum += (i + 1) as f64 * tensor.f_sum(Kind::Double)?.f_double_value(&[])?;
    }
    Ok(vec![step as f64, parameters.count() as f64, sum])
}
