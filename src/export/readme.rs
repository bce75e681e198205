//! `README.md` of an export: what it is, who mixes, how the engine is pointed to it.

use std::fmt::Write;

use super::Layout;
use super::handoff::Handoff;

/// The page around an engine's own words.
pub(super) fn page(handoff: &Handoff, usage: &str) -> String {
    let mut text = format!("# {}\n\n{}\n\n", handoff.name, handoff.format.doc());
    let _ = writeln!(text, "{}\n", handoff.who_mixes());
    text.push_str(usage);
    text.push('\n');
    text.push_str(&tables(handoff));
    text.push_str(&foot(handoff));
    text
}

/// What was written, and the plan.
pub(super) fn tables(handoff: &Handoff) -> String {
    let mut text =
        String::from("## Rows\n\n| | rows | tokens | held out |\n| --- | ---: | ---: | ---: |\n");
    for group in &handoff.groups {
        let (name, train) = (&group.name, group.train);
        let held = group.validation.rows;
        let _ = writeln!(text, "| {name} | {} | {} | {held} |", train.rows, train.tokens);
    }
    text.push_str("\n## Mixture\n\nShares of tokens in each stage");
    let parts = handoff.settings.layout == Layout::Parts;
    text.push_str(match parts {
        true => "; epochs are how often what stands here is gone through.\n\n",
        false => ", as planned; the rows above are the mixture as it came out.\n\n",
    });
    text.push_str("| stage | until tokens | | share |");
    text.push_str(if parts { " epochs |\n" } else { "\n" });
    text.push_str(if parts {
        "| ---: | ---: | --- | ---: | ---: |\n"
    } else {
        "| ---: | ---: | --- | ---: |\n"
    });
    for (i, stage) in handoff.stages.iter().enumerate() {
        let epochs = handoff.epochs(i);
        for ((name, share), (_, epochs)) in stage.shares.iter().zip(&epochs) {
            let _ = write!(text, "| {} | {} | {name} | {share:.6} |", i + 1, stage.until);
            let _ = if parts { writeln!(text, " {epochs:.3} |") } else { writeln!(text) };
        }
    }
    text
}

/// By whom, and how it is checked.
pub(super) fn foot(handoff: &Handoff) -> String {
    let mut text = String::from("\n");
    if handoff.tokenizer.is_some() {
        let _ = write!(
            text,
            "Ids are of the tokenizer in `tokenizer/`, {} in all; {} ends a document, {} is padding. ",
            handoff.settings.vocab_size, handoff.settings.eos, handoff.settings.pad
        );
    }
    text.push_str(
        "`mixture.json` has the numbers of this page. `manifest.json` has the hash of every file: \
         `hexapla verify` compares them.\n",
    );
    text
}
