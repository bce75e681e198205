//! Which links leave no text: those to files, to categories and to other languages.
//!
//! A dump names its own namespaces; the usual names are known without one, in the languages that
//! Wikipedia has. Looks at names alone.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Prefixes of `[[…:…]]` that leave no text, in English and as Wikipedias write them.
#[derive(Debug, Clone, Default)]
pub struct Namespaces {
    /// Those that a dump names, in lower case.
    more: HashSet<String>,
}

impl Namespaces {
    /// The usual names and those that a dump has for its files and categories.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let more = names.into_iter().map(|name| name.replace('_', " ").to_lowercase());
        Self { more: more.filter(|name| !name.is_empty()).collect() }
    }

    /// Whether a link with this prefix leaves no text.
    pub(super) fn is_embedded(&self, prefix: &[u8]) -> bool {
        let Ok(prefix) = std::str::from_utf8(prefix.trim_ascii()) else { return false };
        if LANGUAGES.contains(prefix) {
            return true;
        }
        let name = prefix.replace('_', " ").to_lowercase();
        USUAL.contains(name.as_str()) || self.more.contains(&name)
    }
}

/// Whether the target of a link is a file by its ending, whatever its namespace is called.
pub(super) fn is_media(target: &[u8]) -> bool {
    const ENDINGS: &[&str] = &[
        "jpg", "jpeg", "png", "svg", "gif", "ogg", "oga", "ogv", "webm", "webp", "tif", "tiff",
        "mid", "mp3", "mp4", "wav", "flac", "opus", "djvu", "xcf", "stl", "mpg", "mpeg",
    ];
    let target = target.trim_ascii_end();
    let tail = &target[target.len().saturating_sub(5)..];
    let Some(dot) = tail.iter().position(|b| *b == b'.') else { return false };
    let ending = &tail[dot + 1..];
    // `[[Foo.jpg]]` is a link to a page, and `[[:File:Foo.jpg]]` one to the page of a file.
    target.first() != Some(&b':')
        && ENDINGS.iter().any(|e| ending.eq_ignore_ascii_case(e.as_bytes()))
        && target.contains(&b':')
}

static USUAL: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| FILES.split(',').chain(CATEGORIES.split(',')).map(str::trim).collect());

static LANGUAGES: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| LANGUAGE_PREFIXES.split_whitespace().collect());

/// What Wikipedias call files and images, in lower case.
const FILES: &str = "\
    file, image, lêer, beeld, datei, bild, bìld, afbeelding, bestand, ofbyld, plaatje, plaetje, \
    imachen, ficheru, imaxen, archivu, ficheiro, imaxe, imagen, archivo, arquivo, imagem, \
    imatge, fitxer, fichier, imàjine, immagine, archivi, figura, fasciculus, imago, mmàggini, \
    imagine, fişier, fișier, fil, billede, mynd, kuva, tiedosto, pilt, fail, attēls, vaizdas, \
    abruozdielis, plik, grafika, soubor, obrázok, súbor, fájl, kép, dataja, wobraz, ôbrôzk, \
    bildo, dosiero, arkivo, ragiv, slika, datoteka, слика, датотека, податотека, skeda, \
    skedë, файл, изображение, картинка, изображения, зображення, выява, сурет, сүрөт, \
    рәсем, ӳкерчĕк, зураг, билэ, ойлоһо, ныв, суурат, әлавәл, расм, tasvir, fayl, \
    şəkil, faýl, surat, resim, dosya, wêne, wêneye, αρχείο, εικόνα, պատկեր, ფაილი, \
    სურათი, קובץ, תמונה, טעקע, בילד, ملف, صورة, پرونده, تصویر, پەڕگە, وێنە, فائل, \
    دوتنه, انځور, بؤلمه, فایل, تصوير, فائيل, ھۆججەت, चित्र, चित्रम्, सञ्चिका, किपा, \
    पुचः, छवि, চিত্র, ছবি, ਤਸਵੀਰ, ચિત્ર, ଚିତ୍ର, ఫైలు, బొమ్మ, దస్త్రం, ಚಿತ್ರ, പ്രമാണം, \
    ചിത്രം, படிமம், கோப்பு, ගොනුව, රූපය, ไฟล์, ภาพ, ຮູບ, ဖိုင်, ឯកសារ, រូបភាព, tập tin, \
    hình, berkas, gambar, imej, talaksan, larawan, payl, paypay, sary, rakitra, picha, faili, \
    fáìlì, àwòrán, hoto, ファイル, 画像, 파일, 그림, 文件, 檔案, 圖像, 图像, 图片, 圖片, 档案, 文檔, íomhá, \
    ìomhaigh, faidhle, delwedd, restr, skeudenn, imådje, fitxategi, irudi, ስዕል, ፋይል, imaj, \
    fichye, rikcha, ta'ãnga, fichièr";

/// What Wikipedias call categories, in lower case.
const CATEGORIES: &str = "\
    category, kategorie, kategoria, kategória, kategori, kategorija, kategorio, kategory, \
    kategorya, kategoriya, kategoriýa, kategoriye, kategorî, kateqoriya, katiguriya, \
    kategorėjė, kategooria, kateguria, kateggoría, kategoriija, categoría, categoria, \
    catigurìa, categorìa, categurìa, categuria, categorîa, catégorie, catègorie, categorie, \
    categori, catagóir, roinn-seòrsa, ronney, rummad, klad, flokkur, bólkur, luokka, abdeeling, \
    flocc, категория, категорія, катэгорыя, категорија, категори, санат, төркем, төхөм, \
    ангилал, гурӯҳ, гуруҳ, катигорие, категориясы, акатегориа, туркум, turkum, \
    κατηγορία, կատեգորիա, ստորոգութիւն, კატეგორია, קטגוריה, קאַטעגאָריע, تصنيف, رده, \
    بؤلمه, زمرہ, وېشنيزه, زمرو, رج, گٹھ, پۆل, تۈر, वर्ग, वर्गः, श्रेणी, पुचः, विषयश्रेणी, \
    বিষয়শ্রেণী, শ্ৰেণী, ਸ਼੍ਰੇਣੀ, શ્રેણી, ଶ୍ରେଣୀ, వర్గం, ವರ್ಗ, വർഗ്ഗം, വിഭാഗം, பகுப்பு, \
    ප්‍රවර්ගය, หมวดหมู่, ໝວດ, ကဏ္ဍ, ចំណាត់ថ្នាក់ក្រុម, thể loại, kaarangay, jamii, \
    sokajy, ẹ̀ka, rukuni, カテゴリ, 분류, 分類, 分类, lūi-pia̍t, katégori, ñemohenda, taqa, መደብ, \
    setensele, sumut atassuseq, luokkâ, seòrsa";

/// The codes that Wikipedias have in their addresses.
pub(crate) const LANGUAGE_PREFIXES: &str = "\
    aa ab ace ady af ak als alt am ami an ang ann anp ar arc ary arz as ast atj av avk awa ay az \
    azb ba ban bar bat-smg bbc bcl bdr be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy br \
    bs btm bug bxr ca cbk-zam cdo ce ceb ch chr chy ckb co cr crh cs csb cu cv cy da dag de dga \
    din diq dsb dtp dty dv dz ee el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon fr frp \
    frr fur fy ga gag gan gcr gd gl glk gn gom gor got gpe gsw gu guc gur guw gv ha hak haw he hi \
    hif ho hr hsb ht hu hy hyw ia iba id ie ig igl ii ik ilo inh io is it iu ja jam jbo jv ka kaa \
    kab kbd kbp kcg kg kge ki kj kk kl km kn knc ko koi kr krc ks ksh ku kus kv kw ky la lad lb \
    lbe lez lfn lg li lij lld lmo ln lo lrc lt ltg lv lzh mad mai map-bms mdf mg mh mhr mi min mk \
    ml mn mni mnw mos mr mrj ms mt mus mwl my myv mzn na nah nan nap nb nds nds-nl ne new ng nia \
    nl nn no nov nqo nr nrm nso nup nv ny oc olo om or os pa pag pam pap pcd pcm pdc pfl pi pih \
    pl pms pnb pnt ps pt pwn qu rm rmy rn ro roa-rup roa-tara rsk ru rue rup rw sa sah sat sc scn \
    sco sd se sg sgs sh shi shn shy si simple sk skr sl sm smn sn so sq sr srn ss st stq su sv sw \
    szl szy ta tay tcy tdd te tet tg th ti tig tk tl tly tn to tpi tr trv ts tt tum tw ty tyv udm \
    ug uk ur uz ve vec vep vi vls vo vro wa war wo wuu xal xh xmf yi yo yue za zea zgh zh \
    zh-classical zh-min-nan zh-yue zu";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_categories_and_languages_leave_no_text() {
        let names = Namespaces::new(["Bogus_datoteki", ""]);
        for prefix in [
            "File",
            "image",
            " Category ",
            "Kategorie",
            "Файл",
            "категория",
            "画像",
            "de",
            "zh-min-nan",
            "bogus datoteki",
            "Bogus_Datoteki",
            "Thể_loại",
            "Ẹ̀KA",
        ] {
            assert!(names.is_embedded(prefix.as_bytes()), "{prefix}");
        }
        for prefix in ["", "wikt", "doi", "De", "Star Trek", "2001", "Help", "Portal"] {
            assert!(!names.is_embedded(prefix.as_bytes()), "{prefix}");
        }
        assert!(USUAL.iter().all(|name| **name == name.to_lowercase() && !name.contains('_')));
    }

    #[test]
    fn media_are_told_by_their_ending_and_a_namespace() {
        for (target, is) in [
            ("Bogus:Ä.JPG ", true),
            ("Bogus:a.djvu", true),
            ("a.jpg", false),
            (":File:a.jpg", false),
            ("Bogus:a.jp", false),
            ("", false),
        ] {
            assert_eq!(is_media(target.as_bytes()), is, "{target}");
        }
    }
}
