//! Language tags: any code a corpus comes with, as `iso639-3_Script` of an individual language.
//!
//! The tags are those of FLORES+ (`deu_Latn`, `cmn_Hans`, `arb_Arab`, `swh_Latn`). A
//! macrolanguage is read as the member its text is nearly always in (`ara` as Modern Standard
//! Arabic); `hbs`, `ipk`, `srd` and `zha`, which have no such member, stay.
//!
//! Regions and variants are read, used to find the script, and dropped: `pt_BR` is `por_Latn`.
//! Nothing here looks at text, and nothing else in hexapla reads language codes; a model with
//! labels of its own keeps its own mapping beside it.

use std::fmt;

use super::languages::{self, languages};
use super::script;
use crate::error::{self, Error, Result};

/// A language and a script it is written in; displayed as `deu_Latn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// The ISO 639-3 code of the language.
    pub code: &'static str,
    /// The ISO 15924 code of the script, as FLORES+ uses it (`Hang` for Korean).
    pub script: &'static str,
}

impl Tag {
    /// The same language in another script; `None` if that is no ISO 15924 code.
    pub fn in_script(self, script: &str) -> Option<Self> {
        Some(Self { code: self.code, script: script_of(self.code, script)? })
    }

    /// The English name of the language, or its code where the table has no name.
    pub fn name(self) -> &'static str {
        languages::by_code(self.code).map_or(self.code, |language| language.name)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.code, self.script)
    }
}

/// Whole codes that no rule explains, most of them names of Wikipedias.
const IRREGULAR: &[(&str, &str)] = &[
    ("bat_smg", "sgs"),
    ("be_tarask", "bel"),
    ("be_x_old", "bel"),
    ("cbk_zam", "cbk"),
    ("fiu_vro", "vro"),
    ("map_bms", "jav"),
    ("roa_rup", "rup"),
    ("simple", "eng"),
    ("zh_classical", "lzh"),
    ("zh_min_nan", "nan"),
];

/// A code with one of these regions means this tag.
const REGIONS: &[(&str, &[&str], Tag)] = &[
    ("azj", &["ir"], Tag { code: "azb", script: "Arab" }),
    ("cmn", &["hk", "mo", "tw"], Tag { code: "cmn", script: "Hant" }),
    ("kaz", &["cn"], Tag { code: "kaz", script: "Arab" }),
    ("khk", &["cn"], Tag { code: "mvf", script: "Mong" }),
    ("pan", &["pk"], Tag { code: "pnb", script: "Arab" }),
    ("pes", &["af"], Tag { code: "prs", script: "Arab" }),
    ("snd", &["in"], Tag { code: "snd", script: "Deva" }),
    ("srp", &["me"], Tag { code: "srp", script: "Latn" }),
    ("uzn", &["af"], Tag { code: "uzs", script: "Arab" }),
    ("yue", &["cn"], Tag { code: "yue", script: "Hans" }),
];

/// A code that is not the language's own, in this script, means another member.
const MEMBERS: &[(&str, &str, &str)] = &[
    ("azj", "Arab", "azb"),
    ("khk", "Mong", "mvf"),
    ("kmr", "Arab", "ckb"),
    ("pan", "Arab", "pnb"),
    ("uzn", "Arab", "uzs"),
];

/// The tag of a language code: ISO 639-1, -2, -3, BCP 47, POSIX locales, FLORES, Wikipedia.
///
/// Errors for an unknown code, with the nearest known ones as the hint.
///
/// ```
/// use hexapla::identify::tag::tag;
/// assert_eq!(tag("zh-TW")?.to_string(), "cmn_Hant");
/// assert_eq!(tag("sr@latin")?.to_string(), "srp_Latn");
/// assert_eq!(tag("dee").unwrap_err().to_string(), "unknown language code `dee`");
/// # Ok::<(), hexapla::error::Error>(())
/// ```
pub fn tag(code: &str) -> Result<Tag> {
    find(code).ok_or_else(|| unknown(code))
}

/// The tag of a language code, or `None` for an unknown one; see [`tag`].
pub fn find(code: &str) -> Option<Tag> {
    let code = code.trim().to_ascii_lowercase().replace('-', "_");
    if let Some((_, regular)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == code) {
        return find(regular);
    }
    // A POSIX locale is language_REGION.codeset@modifier.
    let (code, modifier) = code.split_once('@').unwrap_or((&code, ""));
    let code = code.split_once('.').map_or(code, |(code, _)| code);
    let mut subtags = code.split('_');
    let mut given = subtags.next()?;
    let mut tag = languages::by_code(given)?.tag;
    let mut written = match modifier {
        "latin" | "iqtelif" => Some("latn"),
        "cyrillic" => Some("cyrl"),
        "devanagari" => Some("deva"),
        _ => None,
    };
    let mut region = None;
    for (place, subtag) in subtags.enumerate() {
        let letters = subtag.bytes().all(|b| b.is_ascii_alphabetic());
        match subtag.len() {
            1 => break,
            2 if letters => region = Some(subtag),
            3 if subtag.bytes().all(|b| b.is_ascii_digit()) => {}
            // `zh_yue`: a member named after its macrolanguage.
            3 if place == 0 && letters => {
                given = subtag;
                tag = languages::by_code(given)?.tag;
            }
            4 if letters => written = Some(subtag),
            4 if subtag.starts_with(|c: char| c.is_ascii_digit()) => {}
            5..=8 if subtag.bytes().all(|b| b.is_ascii_alphanumeric()) => {}
            _ => return None,
        }
    }
    let Some(written) = written else {
        let meant = REGIONS.iter().find(|(of, regions, _)| {
            *of == tag.code && region.is_some_and(|region| regions.contains(&region))
        });
        return Some(meant.map_or(tag, |(_, _, meant)| *meant));
    };
    let script = script_of(tag.code, written)?;
    // FLORES-200 called its standard Moroccan text Central Atlas Tamazight.
    if (tag.code, script) == ("tzm", "Tfng") {
        return Some(Tag { code: "zgh", script });
    }
    let member = MEMBERS
        .iter()
        .find(|(of, in_script, _)| given != *of && *of == tag.code && *in_script == script);
    Some(Tag { code: member.map_or(tag.code, |(_, _, code)| code), script })
}

/// Whether text measured as `found` by [`script::script`] can be text of a tag's script.
///
/// Unicode has one script for all Han, and short Japanese or Korean text may lack kana or
/// Hangul.
///
/// ```
/// use hexapla::identify::tag::script_agrees;
/// assert!(script_agrees("Hant", "Hani") && script_agrees("Hang", "Kore"));
/// assert!(!script_agrees("Cyrl", "Latn"));
/// ```
pub fn script_agrees(script: &str, found: &str) -> bool {
    match script {
        "Hans" | "Hant" | "Hani" => matches!(found, "Hani" | "Hans" | "Hant"),
        "Jpan" => matches!(found, "Jpan" | "Hani"),
        "Hang" | "Kore" => matches!(found, "Hang" | "Kore"),
        _ => script == found,
    }
}

/// The script's code in title case, in the form that tags use.
fn script_of(code: &str, script: &str) -> Option<&'static str> {
    let mut title = script.to_ascii_lowercase();
    title.get_mut(..1)?.make_ascii_uppercase();
    match title.as_str() {
        "Kore" if code == "kor" => Some("Hang"),
        // Styles of a script, which Unicode does not tell from it.
        "Latf" | "Latg" => Some("Latn"),
        "Aran" => Some("Arab"),
        "Cyrs" => Some("Cyrl"),
        title => script::script_code(title),
    }
}

fn unknown(code: &str) -> Error {
    let error = Error::usage(format!("unknown language code `{code}`"));
    let named =
        |wanted: &str| languages().iter().find(|l| l.name.eq_ignore_ascii_case(wanted)).copied();
    if let Some(language) = named(code.trim()) {
        return error.hint_with(format!("did you mean `{}`?", language.tag));
    }
    let lower = code.to_ascii_lowercase();
    let prefix = lower.split(['_', '-', '@', '.']).next().unwrap_or_default();
    if languages::by_code(prefix).is_some() {
        return error
            .hint_with("expected a code such as `de`, `deu`, `pt_BR`, `zh_Hant` or `srp_Latn`");
    }
    // Nearly every three letters are near some language; those with a name are likelier meant.
    let named = languages().iter().filter(|l| l.name != l.tag.code);
    let mut codes: Vec<&str> = named.map(|l| l.tag.code).collect();
    let mut near = Vec::new();
    while let (true, Some(next)) = (near.len() < 4, error::nearest(prefix, &codes)) {
        codes.retain(|c| *c != next);
        near.push(next);
    }
    if near.is_empty() {
        return error.hint_with("expected an ISO 639 code, such as `de` or `deu_Latn`");
    }
    let near: Vec<String> = near
        .into_iter()
        .filter_map(find)
        .map(|tag| format!("`{}` ({})", tag.code, tag.name()))
        .collect();
    error.hint_with(format!("did you mean {}?", near.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str) -> String {
        find(code).map_or("?".into(), |t| t.to_string())
    }

    #[test]
    fn codes_of_every_kind() {
        let codes = "de=deu_Latn deu=deu_Latn ger=deu_Latn pt_BR=por_Latn zh=cmn_Hans zh-TW=cmn_Hant \
             zh_Hans=cmn_Hans zh-hant-HK=cmn_Hant zho_Hans=cmn_Hans cmn=cmn_Hans \
             cmn_Hani=cmn_Hani zho-CN=cmn_Hans zh-yue=yue_Hant sr=srp_Cyrl sr_Latn=srp_Latn \
             sr@latin=srp_Latn sr_RS.UTF-8@latin=srp_Latn nb=nob_Latn no=nob_Latn nor=nob_Latn \
             nn=nno_Latn sw=swh_Latn swa=swh_Latn ar=arb_Arab ar_DZ=arb_Arab fa=pes_Arab \
             fa_AF=prs_Arab ms=zsm_Latn et=ekk_Latn est_Latn=ekk_Latn lv=lvs_Latn az=azj_Latn \
             az_Arab=azb_Arab uz=uzn_Latn uz_Cyrl=uzn_Cyrl mn=khk_Cyrl ne=npi_Deva sq=als_Latn \
             yi=ydd_Hebr is_IS=isl_Latn es_419=spa_Latn or=ory_Orya ko=kor_Hang kor_Kore=kor_Hang \
             ja=jpn_Jpan iw=heb_Hebr kas_Deva=kas_Deva pan_Arab=pan_Arab pa_Arab=pnb_Arab \
             tzm_Tfng=zgh_Tfng apc_Arab_nort3139=apc_Arab deu_1996=deu_Latn ca@valencia=cat_Latn \
             zh_min_nan=nan_Latn DEU_LATN=deu_Latn niv=niv_Cyrl fuf-Adlm=fuf_Adlm";
        for (code, tag) in codes.split_whitespace().filter_map(|pair| pair.split_once('=')) {
            assert_eq!(of(code), tag, "{code}");
        }
    }

    #[test]
    fn what_is_no_code_is_unknown() {
        for code in ["", "_", "xx", "german", "deu_Latm", "deu_", "zzz_Latn", "dé"] {
            assert_eq!(of(code), "?", "{code}");
        }
    }

    #[test]
    fn gettext_locales_have_tags() {
        let locales = "af ar ar_DZ ast az be bg bn br bs ca ckb cs cy da de dsb dv el en en_AU \
             en_GB eo es es_AR es_419 et eu fa fi fr fy ga gd gl he hi hr hsb ht hu hy ia id ig \
             io is it ja ka kab kk km kn ko ky lb lt lv mi mk ml mn mr ms my nb ne nl nn os pa \
             pl pt pt_BR ro ru sk sl sq sr sr_Latn sv sw ta te tet tg th tk tr tt udm ug uk ur uz \
             vi zh zh_Hans zh_Hant";
        for locale in locales.split_whitespace() {
            assert!(find(locale).is_some(), "{locale}");
        }
    }

    #[test]
    fn errors_name_the_nearest_codes() {
        let error = tag("iss").unwrap_err();
        assert_eq!(error.to_string(), "unknown language code `iss`");
        assert!(error.hint().unwrap().contains("`isl` (Icelandic)"), "{:?}", error.hint());
        assert_eq!(tag("German").unwrap_err().hint(), Some("did you mean `deu_Latn`?"));
    }
}
