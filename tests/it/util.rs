//! What black-box tests share: a folder of their own, the command, and a small made corpus.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder that vanishes with the test.
pub struct Dir(tempfile::TempDir);

/// What a command did.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Dir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hexapla"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command.env_remove("RUST_BACKTRACE").env("NO_COLOR", "1");
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        Done::of(self.command(args).output().unwrap())
    }

    /// Runs what must succeed.
    pub fn ok(&self, args: &[&str]) -> Done {
        let done = self.run(args);
        assert_eq!(done.code, 0, "hexapla {args:?}\n{}\n{}", done.stdout, done.stderr);
        done
    }

    /// One JSON value of a query's first row and column.
    pub fn value(&self, sql: &str) -> serde_json::Value {
        let done = self.ok(&["sql", "--json", "-c", sql]);
        let object: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        let row = object["rows"][0].as_object().unwrap_or_else(|| panic!("no row: {sql}")).clone();
        row.into_iter().next().map(|(_, v)| v).unwrap_or_default()
    }
}

impl Done {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// Phrases of six languages in five scripts: a beginning, a middle, an end, all sensible together.
pub const LANGUAGES: &[(&str, [[&str; 5]; 3])] = &[
    (
        "eng_Latn",
        [
            ["The old woman", "My brother", "A tall sailor", "The young teacher", "Nobody"],
            [
                "walked slowly to",
                "had never seen",
                "often dreams of",
                "wrote a letter about",
                "sings about",
            ],
            [
                "the harbour in winter.",
                "the market by the river.",
                "her grandmother's garden.",
                "a mountain full of snow.",
                "the long road home.",
            ],
        ],
    ),
    (
        "isl_Latn",
        [
            ["Gamla konan", "Bróðir minn", "Hávaxinn sjómaður", "Ungi kennarinn", "Enginn maður"],
            ["gekk hægt að", "hafði aldrei séð", "dreymir oft um", "skrifaði bréf um", "syngur um"],
            [
                "höfnina á veturna.",
                "markaðinn við ána.",
                "garð ömmu sinnar.",
                "fjall fullt af snjó.",
                "langa leiðina heim.",
            ],
        ],
    ),
    (
        "swh_Latn",
        [
            ["Mwanamke mzee", "Kaka yangu", "Baharia mrefu", "Mwalimu kijana", "Mtoto mdogo"],
            [
                "alitembea polepole hadi",
                "hajawahi kuona",
                "huota mara kwa mara kuhusu",
                "aliandika barua kuhusu",
                "huimba kuhusu",
            ],
            [
                "bandari wakati wa baridi.",
                "soko kando ya mto.",
                "bustani ya bibi yake.",
                "mlima uliojaa theluji.",
                "njia ndefu ya nyumbani.",
            ],
        ],
    ),
    (
        "rus_Cyrl",
        [
            ["Старая женщина", "Мой брат", "Высокий моряк", "Молодой учитель", "Маленький ребёнок"],
            [
                "медленно вспоминает",
                "никогда не забудет",
                "часто видит во сне",
                "описал в письме",
                "воспевает",
            ],
            [
                "зимнюю гавань.",
                "рынок у реки.",
                "бабушкин сад.",
                "гору, полную снега.",
                "долгую дорогу домой.",
            ],
        ],
    ),
    (
        "cmn_Hans",
        [
            ["老太太", "我的哥哥", "高个子水手", "年轻的老师", "小孩子"],
            ["慢慢地走向", "从来没见过", "常常梦见", "写信谈到", "歌唱"],
            ["冬天的港口。", "河边的市场。", "奶奶的花园。", "满是雪的山。", "回家的长路。"],
        ],
    ),
    (
        "arb_Arab",
        [
            ["المرأة العجوز", "أخي الكبير", "البحار الطويل", "المعلم الشاب", "الطفل الصغير"],
            ["يتذكر ببطء", "لم ينس أبدا", "يحلم كثيرا عن", "كتب رسالة عن", "يغني عن"],
            [
                "الميناء في الشتاء.",
                "السوق قرب النهر.",
                "حديقة الجدة.",
                "جبل مليء بالثلج.",
                "الطريق الطويل إلى البيت.",
            ],
        ],
    ),
];

/// The n-th sentence of a language; the same number means the same in every language.
pub fn sentence(lang: usize, n: usize) -> String {
    let parts = &LANGUAGES[lang].1;
    let glue = if LANGUAGES[lang].0 == "cmn_Hans" { "" } else { " " };
    [parts[0][n % 5], parts[1][n / 5 % 5], parts[2][n / 25 % 5]].join(glue)
}

/// A project of documents and pairs in six languages, small enough to build in seconds.
pub fn project(dir: &Dir) {
    for (lang, (tag, _)) in LANGUAGES.iter().enumerate() {
        let mut lines = String::new();
        for d in 0..40 {
            let text: Vec<String> = (0..4).map(|s| sentence(lang, d * 7 + s * 31 + lang)).collect();
            let row = serde_json::json!({ "id": format!("{tag}-{d}"), "text": text.join("\n") });
            lines.push_str(&format!("{row}\n"));
        }
        // One exact copy, one empty document, one line that is no JSON.
        lines.push_str(&format!("{}\n", lines.lines().next().unwrap()));
        lines.push_str("{\"id\": \"empty\", \"text\": \"\"}\nnot json at all\n");
        dir.write(&format!("data/{tag}/documents.jsonl"), lines);
    }
    for (lang, (tag, _)) in LANGUAGES.iter().enumerate().skip(1) {
        let side =
            |l: usize| -> String { (0..125).map(|n| format!("{}\n", sentence(l, n))).collect() };
        dir.write(&format!("data/made.eng_Latn-{tag}.eng_Latn"), side(0));
        dir.write(&format!("data/made.eng_Latn-{tag}.{tag}"), side(lang));
    }
    dir.write(
        "hexapla.toml",
        r#"seed = 5

[source.web]
path = "data/{lang}/*.jsonl"

[source.bitext]
path = "data/{name}.{src}-{tgt}.{lang}"
format = "moses"

[params.kept]
gopher = false

[params.split]
validation = 0.1
test = 0.1

[tokenizer.main]
train = { kind = "unigram", vocab = 600, alpha = 0.5 }

[mix.main]
stages = [
  { until = "10k", strategy = "temperature", alpha = 0.5, pairs = 0.3 },
  { until = "20k", strategy = "unimax", max_epochs = 3, pairs = 0.2 },
]

[pack.main]
mix = "main"
tokenizer = "main"
length = 64

[model.tiny]
type = "encoder"
hidden = 32
layers = 2

[train.pretrain]
model = "tiny"
pack = "main"
objectives = { mlm = 1.0, tlm = 0.5 }
batch = 8
steps = 12
log_every = 2
save_every = 4
"#,
    );
}
