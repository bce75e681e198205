//! New projects: a template's project file, and empty folders for queries and checks.
//!
//! Writes no data: a template says where it looks for files, and runs once they are there.

use std::fs;
use std::path::Path;

use super::config::PROJECT_FILE;
use crate::error::{Error, Result};

/// One template: its name, what it is for, and its project file.
pub struct Template {
    /// What `--template` takes.
    pub name: &'static str,
    /// What it is for, in one sentence.
    pub doc: &'static str,
    /// The text of `hexapla.toml`.
    pub text: &'static str,
}

/// The templates, the one for a newcomer's first run first.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "web",
        doc: "documents from JSONL or text, cleaned by Gopher's rules, mixed by temperature",
        text: include_str!("templates/web.toml"),
    },
    Template {
        name: "parallel",
        doc: "translation pairs from Moses files, filtered, mixed with documents",
        text: include_str!("templates/parallel.toml"),
    },
    Template {
        name: "demo",
        doc: "the gettext catalogues that `make demo` fetches, from files to a zero-shot classifier",
        text: include_str!("templates/demo.toml"),
    },
];

/// The template with a name.
pub fn template(name: &str) -> Result<&'static Template> {
    TEMPLATES
        .iter()
        .find(|t| t.name == name)
        .ok_or_else(|| Error::unknown("template", name, TEMPLATES.iter().map(|t| t.name)))
}

/// Writes a new project into a folder, which is created; refuses one that has a project already.
pub fn init(dir: &Path, template: &Template) -> Result<()> {
    let file = dir.join(PROJECT_FILE);
    if file.exists() {
        return Err(Error::usage(format!("{} exists already", file.display()))
            .hint_with("name another folder, or remove the file"));
    }
    for folder in ["queries", "checks"] {
        let folder = dir.join(folder);
        fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
    }
    crate::store::manifest::replace(&file, template.text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::*;

    #[test]
    fn every_template_is_a_valid_project() {
        for template in TEMPLATES {
            Config::parse(template.text).unwrap_or_else(|e| panic!("{}: {e}", template.name));
        }
    }
}
