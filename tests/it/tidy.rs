//! Style that can be checked is checked here: who may use what, what stands where, how long.
//!
//! Reads the sources as text; comments and strings are blanked out first. A breach is reported
//! with its file, its line and the rule.

use std::fs;
use std::path::{Path, PathBuf};

/// A module, and the modules that it may use besides itself.
struct Layer {
    modules: &'static [&'static str],
    may_use: &'static [&'static str],
}

const BASE: &[&str] = &["error", "schema", "id", "function"];

/// The layers in the order of the data; a layer uses only what stands above it, and of that only
/// what is said here.
const LAYERS: &[Layer] = &[
    Layer { modules: BASE, may_use: &["error", "schema", "id", "function"] },
    Layer { modules: &["store"], may_use: &["error", "schema", "id", "function"] },
    // Kernels: base, and one another where a measure is built on words or tags.
    Layer { modules: &["identify"], may_use: &["error", "id", "function"] },
    Layer { modules: &["text"], may_use: &["error", "id", "function", "identify"] },
    Layer { modules: &["measure"], may_use: &["error", "id", "function", "text", "identify"] },
    Layer { modules: &["dedup"], may_use: &["error", "id", "function", "text", "identify"] },
    Layer { modules: &["pair"], may_use: &["error", "id", "function", "text", "identify"] },
    Layer { modules: &["mix"], may_use: &["error", "id", "function"] },
    Layer {
        modules: &["source", "ingest"],
        may_use: &["error", "schema", "id", "function", "store", "text", "identify", "source"],
    },
    Layer {
        modules: &["sql"],
        may_use: &[
            "error", "schema", "id", "function", "store", "text", "identify", "measure", "dedup",
            "pair", "mix", "source", "ingest",
        ],
    },
    Layer { modules: &["token"], may_use: &["error", "schema", "id", "function", "store"] },
    Layer { modules: &["feed"], may_use: &["error", "schema", "id", "store", "token"] },
    Layer {
        modules: &["train", "method"],
        may_use: &["error", "schema", "id", "store", "token", "feed", "train"],
    },
    Layer {
        modules: &["eval"],
        // Words of any script are those of `text`.
        may_use: &["error", "schema", "id", "store", "text", "token", "feed", "train", "method"],
    },
    Layer {
        modules: &["export"],
        may_use: &["error", "schema", "id", "store", "token", "feed", "train", "method"],
    },
    Layer { modules: &["report"], may_use: &["error", "schema", "id", "store"] },
    Layer {
        modules: &["project"],
        may_use: &[
            "error", "schema", "id", "function", "store", "text", "identify", "measure", "dedup",
            "pair", "mix", "source", "ingest", "sql", "token", "feed", "train", "method", "eval",
            "export", "report",
        ],
    },
];

/// Modules whose functions are plain functions of their arguments.
const KERNELS: &[&str] = &["text", "identify", "measure", "dedup", "pair", "mix"];

/// Words that may stand in some places only: the word, the places, the reason.
const EXCLUSIVE: &[(&str, &[&str], &str)] = &[
    ("datafusion::", &["sql/"], "DataFusion is known in sql/ alone"),
    ("object_store::", &["store/remote/", "sql/"], "object stores are known where they are asked"),
    ("tch::", &["train/", "method/", "eval/", "export/"], "tensors belong to the trainer"),
    ("torch_sys::", &["train/ffi"], "libtorch's C interface is behind train/ffi.rs"),
    ("tokenizers::", &["token/", "train/vocabulary.rs"], "tokenizers are known in token/"),
    ("clap::", &["bin/"], "the command line is parsed in the binary alone"),
    ("indicatif::", &["bin/"], "progress is drawn in the binary alone"),
    ("comfy_table::", &["bin/"], "tables are drawn in the binary alone"),
    ("rustyline::", &["bin/"], "the prompt is the binary's"),
    ("println!", &["bin/"], "only the binary prints"),
    ("eprintln!", &["bin/"], "only the binary prints"),
    ("print!", &["bin/"], "only the binary prints"),
    ("eprint!", &["bin/"], "only the binary prints"),
    ("process::exit", &["bin/"], "only the binary ends the program"),
    ("unsafe", &["store/mmap.rs", "train/ffi"], "unsafe code has two homes"),
    ("todo!", &[], "no stubs"),
    ("unimplemented!", &[], "no stubs"),
    ("dbg!", &[], "no leftovers"),
    ("rand::", &[], "everything random is a function of (seed, row id): id::uniform"),
    ("SystemTime", &["train/tensorboard.rs"], "results hold no time; TensorBoard's log does"),
];

/// Words that no kernel may have outside of its tests: the word, and the reason.
const NOT_IN_KERNELS: &[(&str, &str)] = &[
    ("std::fs", "a kernel does no I/O"),
    ("std::io", "a kernel does no I/O"),
    ("std::net", "a kernel does no I/O"),
    ("std::env", "a kernel does not look around"),
    ("std::time", "a kernel has no clock"),
    ("std::thread", "a kernel has no thread"),
    ("tokio::", "a kernel is not async"),
    ("async", "a kernel is not async"),
];

/// Registries: the slice, the folder or file it is declared in.
const REGISTRIES: &[(&str, &str)] = &[
    ("SCHEMAS", "schema.rs"),
    ("SOURCES", "source/"),
    ("STRATEGIES", "mix/"),
    ("QUERIES", "sql/"),
    ("OBJECTIVES", "train/"),
    ("MODEL_TYPES", "train/"),
    ("METRICS", "eval/"),
    ("FORMATS", "export/"),
];

/// Lines after which a file holds more than one subject.
const LONGEST: usize = 600;

struct Source {
    /// Below `src`, with `/`.
    path: String,
    text: String,
    /// The text with comments and strings blanked out.
    code: String,
}

impl Source {
    /// The modules that enclose the file's items: `sql/adapt.rs` is `["sql", "adapt"]`.
    fn module(&self) -> Vec<&str> {
        let stem = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        if stem == "lib" { Vec::new() } else { stem.split('/').collect() }
    }

    fn at(&self, offset: usize, rule: &str) -> String {
        format!("src/{}:{}: {rule}", self.path, line_of(&self.code, offset))
    }

    /// Where the unit tests begin.
    fn tests(&self) -> usize {
        self.code.find("#[cfg(test)]").unwrap_or(self.code.len())
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Cargo runs tests in the folder of the package, wherever the binary was built.
fn root() -> &'static Path {
    Path::new(".")
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let name = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
            Source { path: name, code: code_of(&text), text }
        })
        .collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, paths);
        } else if path.extension().is_some_and(|e| e == "rs") {
            paths.push(path);
        }
    }
}

/// The text with comments, strings and character literals as spaces; line breaks stay.
fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let blank = |out: &mut String, c: char| out.push(if c == '\n' { '\n' } else { ' ' });
    let mut i = 0;
    while i < chars.len() {
        let rest = &chars[i..];
        let end = if rest.starts_with(&['/', '/']) {
            rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
        } else if rest.starts_with(&['/', '*']) {
            let close = rest.windows(2).skip(2).position(|w| w == ['*', '/']);
            close.map_or(rest.len(), |at| at + 4)
        } else if let Some(length) = raw_string(rest, i.checked_sub(1).map(|before| chars[before]))
        {
            length
        } else if rest[0] == '"' {
            quoted(rest, '"')
        } else if rest[0] == '\'' && (rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'')) {
            quoted(rest, '\'')
        } else {
            0
        };
        if end == 0 {
            out.push(chars[i]);
            i += 1;
        } else {
            rest[..end].iter().for_each(|c| blank(&mut out, *c));
            i += end;
        }
    }
    out
}

/// The length of a quoted literal, its quotes included.
fn quoted(chars: &[char], quote: char) -> usize {
    let mut i = 1;
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// The length of a raw string that begins here; `before` is the character in front.
fn raw_string(chars: &[char], before: Option<char>) -> Option<usize> {
    if chars[0] != 'r' || before.is_some_and(|c| (c.is_alphanumeric() && c != 'b') || c == '_') {
        return None;
    }
    let hashes = chars[1..].iter().take_while(|c| **c == '#').count();
    if chars.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(vec!['#'; hashes]).collect();
    let from = hashes + 2;
    let at = chars[from..].windows(close.len()).position(|w| w == close)?;
    Some(from + at + close.len())
}

/// Where a word stands in code, not as a part of a longer name.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let open_end = word.ends_with(name);
        !(before.is_some_and(name) || open_end && after.is_some_and(name))
    })
}

/// The first names of what follows a `crate::`, be it one name or a group.
fn names_after(code: &str) -> Vec<&str> {
    let name =
        |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let Some(group) = code.strip_prefix('{') else { return vec![&code[..name(code)]] };
    let mut names = Vec::new();
    let (mut depth, mut fresh) = (0, true);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && (c.is_alphanumeric() || c == '_') => {
                names.push(&group[i..i + name(&group[i..])]);
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

/// Uses of other modules of the crate: where, and which. `super::` is followed as far as the file
/// alone tells, inline modules included.
fn uses(source: &Source) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for at in words(&source.code, "crate::") {
        for name in names_after(&source.code[at + "crate::".len()..]) {
            found.push((at, name));
        }
    }
    for at in words(&source.code, "super::") {
        let chain = &source.code[at..];
        if source.code[..at].ends_with("super::") {
            continue;
        }
        let mut up = 0;
        let mut rest = chain;
        while let Some(next) = rest.strip_prefix("super::") {
            up += 1;
            rest = next;
        }
        if source.module().len() + inline_modules(&source.code[..at]) == up {
            found.extend(names_after(rest).into_iter().map(|name| (at, name)));
        }
    }
    found
}

/// How many inline modules are open at the end of some code.
fn inline_modules(code: &str) -> usize {
    let mut open: Vec<bool> = Vec::new();
    for (i, c) in code.char_indices() {
        match c {
            '{' => {
                let head = code[..i].rsplit(['{', '}', ';', ']']).next().unwrap_or_default();
                open.push(head.split_whitespace().any(|word| word == "mod"));
            }
            '}' => {
                open.pop();
            }
            _ => {}
        }
    }
    open.iter().filter(|module| **module).count()
}

fn report(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn a_layer_uses_only_what_stands_above_it() {
    let mut breaches = Vec::new();
    for source in sources() {
        let module = source.module();
        // The library's root lists all modules; the binary sees the public API alone.
        if module.is_empty() || module[0] == "bin" {
            continue;
        }
        let Some(layer) = LAYERS.iter().find(|layer| layer.modules.contains(&module[0])) else {
            breaches.push(source.at(0, &format!("`{}` stands in no layer", module[0])));
            continue;
        };
        for (at, used) in uses(&source) {
            let known = LAYERS.iter().any(|layer| layer.modules.contains(&used));
            if known && used != module[0] && !layer.may_use.contains(&used) {
                let rule = format!("`{}` may not use `{used}`", module[0]);
                breaches.push(source.at(at, &rule));
            }
        }
    }
    report(breaches);
}

#[test]
fn the_library_lists_its_modules_in_the_order_of_use() {
    let all = sources();
    let root = all.iter().find(|s| s.path == "lib.rs").unwrap();
    let listed: Vec<&str> = root.code.lines().filter_map(|l| l.strip_prefix("pub mod ")).collect();
    let place =
        |name: &str| listed.iter().position(|l| l.trim_end_matches([';', ' ', '{']) == name);
    let mut breaches = Vec::new();
    for source in all.iter().filter(|s| !s.module().is_empty() && s.module()[0] != "bin") {
        let own = source.module()[0];
        for (at, used) in uses(source) {
            if place(used).is_some_and(|used| Some(used) > place(own)) {
                breaches
                    .push(source.at(at, &format!("`{used}` stands below `{own}` in src/lib.rs")));
            }
        }
    }
    report(breaches);
}

#[test]
fn what_is_exclusive_stands_in_its_place() {
    let mut breaches = Vec::new();
    for source in sources() {
        for (word, places, rule) in EXCLUSIVE {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            breaches.extend(words(&source.code, word).map(|at| source.at(at, rule)));
        }
        if KERNELS.contains(&source.module().first().copied().unwrap_or_default()) {
            for (word, rule) in NOT_IN_KERNELS {
                let here = words(&source.code, word).filter(|at| *at < source.tests());
                breaches.extend(here.map(|at| source.at(at, rule)));
            }
        }
    }
    report(breaches);
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let mut breaches = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for at in words(&source.code, "unsafe") {
            // A declaration asks its callers for the reason; a block or an impl gives it.
            let after = source.code[at + "unsafe".len()..].trim_start();
            if !after.starts_with('{') && !after.starts_with("impl") {
                continue;
            }
            let line = line_of(&source.code, at) - 1;
            let above = lines[..line].iter().rev().take_while(|l| l.trim_start().starts_with("//"));
            let mut said = above.chain(lines.get(line)).any(|l| l.contains("SAFETY:"));
            // The block may be the value of a statement that began a line or two above.
            let from = line.saturating_sub(3);
            said |= lines[from..line].iter().any(|l| l.contains("SAFETY:"));
            if !said {
                breaches.push(source.at(at, "no `// SAFETY:` sentence above"));
            }
        }
    }
    report(breaches);
}

#[test]
fn every_module_says_what_it_is() {
    let mut breaches = Vec::new();
    for source in sources() {
        let documented = source.text.lines().find(|line| !line.trim().is_empty());
        if !documented.is_some_and(|line| line.starts_with("//! ")) {
            breaches.push(source.at(0, "a module opens with `//! ` and what it does"));
        }
        let lines = source.text.lines().count();
        if lines > LONGEST {
            breaches.push(source.at(0, &format!("{lines} lines; at most {LONGEST}")));
        }
        for (number, line) in source.text.lines().enumerate() {
            if line.trim_end() != line || line.contains('\t') {
                let path = &source.path;
                breaches.push(format!("src/{path}:{}: space at the end, or a tab", number + 1));
            }
        }
    }
    report(breaches);
}

#[test]
fn every_file_is_part_of_the_crate() {
    let all = sources();
    let mut breaches = Vec::new();
    for source in &all {
        let module = source.module();
        let Some((name, parents)) = module.split_last() else { continue };
        if module[0] == "bin" && module.len() <= 3 && *name == "main" {
            continue;
        }
        // Where the module has to be declared.
        let mut homes = vec!["lib.rs".to_string(), format!("{}/main.rs", parents.join("/"))];
        if !parents.is_empty() {
            homes.remove(0);
            homes.push(format!("{}.rs", parents.join("/")));
            homes.push(format!("{}/mod.rs", parents.join("/")));
        }
        let declared = all.iter().filter(|s| homes.contains(&s.path)).any(|home| {
            words(&home.code, "mod").any(|at| {
                let rest = home.code[at + 3..].trim_start();
                rest.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(';'))
            })
        });
        // Tests and twins that stand in for one another are named by their path.
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let by_path = format!("#[path = \"{name}.rs\"]");
        let declared = declared
            || all.iter().any(|s| {
                s.path.rsplit_once('/').map_or("", |(f, _)| f) == folder
                    && s.text.contains(&by_path)
            });
        if !declared {
            breaches.push(source.at(0, "no `mod` declares this file, so it is never compiled"));
        }
    }
    report(breaches);
}

#[test]
fn a_registry_is_one_slice_in_its_layer() {
    let all = sources();
    let mut breaches = Vec::new();
    for (name, place) in REGISTRIES {
        let declares = |source: &&Source| {
            ["pub const", "pub static"].iter().any(|kind| {
                source.code.contains(&format!("{kind} {name}: &["))
                    || source.code.contains(&format!("{kind} {name}: &'static ["))
            })
        };
        let found: Vec<&Source> = all.iter().filter(declares).collect();
        match found.as_slice() {
            [one] if one.path.starts_with(place) => {}
            [] => breaches.push(format!("src/{place}: no `pub const {name}: &[…]`")),
            several => breaches.extend(
                several
                    .iter()
                    .filter(|s| several.len() > 1 || !s.path.starts_with(place))
                    .map(|s| s.at(0, &format!("`{name}` is declared once, in src/{place}"))),
            ),
        }
    }
    report(breaches);
}

#[test]
fn this_test_reads_code_as_code() {
    let code = code_of("let a = \"crate::sql\"; // crate::sql\nlet b = r#\"tch::\"#; '\\'' b'a' x");
    assert!(!code.contains("sql") && !code.contains("tch"), "{code}");
    assert!(code.ends_with(" x") && code.contains("\nlet b"), "{code}");
    assert_eq!(names_after("{error::{Error, Result}, id, store::table}"), ["error", "id", "store"]);
    assert_eq!(words("Batch::new(); batch::x; tch::y", "tch::").count(), 1);
    assert_eq!(inline_modules("mod tests { fn f() { if x {"), 1);
    let file = |path: &str, text: &str| Source {
        path: path.into(),
        text: text.into(),
        code: code_of(text),
    };
    let up = file("text/words.rs", "use super::super::sql;\nmod tests { use super::super::x; }");
    assert_eq!(uses(&up), [(4, "sql")]);
}
