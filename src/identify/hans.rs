//! Simplified or traditional: which of the two Han spellings a Chinese text is in.
//!
//! By counting characters that only one of the spellings uses; Unicode has one script for both.
//! It converts nothing, and a text of characters that both share stays `Hani`.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Frequent characters that only simplified text has.
const SIMPLIFIED: &str = "们国这说时会对学个发经现还开长见问关过进动样当点实话种业产电无与应将从两间给让体机义\
头质书车门东风马鱼鸟语认识议设该请读变课论证谁调谈计记许诉诊试诗详误诞诚译护买卖费资宾赛购贵贸赏赠赚转轻输轮载较\
边达远运迟连适选遗乡郑医银铜钱错钟铁镜镇阅陈阳陆际险随难双杂离灵静韩响页顶顺须预领题额颜愿类顾显飞饭饮馆验惊鲜丽\
麦齐齿龙龟总线细级红约纪纳纯纸组终结绝统丝绿维网紧绪练县缩绩织续罚罢圣闻联声职听脑胆临旧兴举华艺药处苏兰虚补装规\
视觉观触订讯讨训评词欢岁归杀减测汤灭满汉渐洁济湾为乌热灯营争状独奖获环毕疗监盘众碍祸称积稳穷竞笔节简篮粮纷单报场\
张强归断战执扩择据损换创别刘则刚剧办务劳势协卫历厅压县参员园围图圆坏块坚处备够夺妇妈宝审宽寻导岛币师带帮广库废异";

/// Frequent characters that only traditional text has.
const TRADITIONAL: &str = "們國這說時會來對學個發經現還開長見問關過進動樣當點實話種業產電無與應將從兩間給讓體機義\
頭質書車門東風馬魚鳥語認識議設該請讀變課論證誰調談計記許訴診試詩詳誤誕誠譯護買賣費資賓賽購貴貿賞贈賺轉輕輸輪載較\
邊達遠運遲連適選遺鄉鄭醫銀銅錢錯鐘鐵鏡鎮閱陳陽陸際險隨難雙雜離靈靜韓響頁頂順須預領題額顏願類顧顯飛飯飲館驗驚鮮麗\
麥齊齒龍龜總線細級紅約紀納純紙組終結絕統絲綠維網緊緒練縣縮績織續罰罷聖聞聯聲職聽腦膽臨舊興舉華藝藥處蘇蘭虛補裝規\
視覺觀觸訂訊討訓評詞歡歲歸殺減測湯滅滿漢漸潔濟灣為烏熱燈營爭狀獨獎獲環畢療監盤眾礙禍稱積穩窮競筆節簡籃糧紛單報場\
張強歸斷戰執擴擇據損換創別劉則剛劇辦務勞勢協衛歷廳壓參員園圍圖圓壞塊堅備夠奪婦媽寶審寬尋導島幣師帶幫廣庫廢異";

/// +1 for a simplified character, −1 for a traditional one; those in both lists are left out.
static SIDES: LazyLock<HashMap<char, i8>> = LazyLock::new(|| {
    let one_sided = |own: &'static str, other: &'static str, side: i8| {
        own.chars().filter(move |c| !other.contains(*c)).map(move |c| (c, side))
    };
    one_sided(SIMPLIFIED, TRADITIONAL, 1).chain(one_sided(TRADITIONAL, SIMPLIFIED, -1)).collect()
});

/// `Hans` or `Hant` if the characters of one spelling are more than twice those of the other,
/// else `Hani`.
///
/// ```
/// use hexapla::identify::hans::spelling;
/// assert_eq!(spelling("这是中国"), "Hans");
/// assert_eq!(spelling("這是中國"), "Hant");
/// assert_eq!(spelling("北京"), "Hani");
/// ```
pub fn spelling(text: &str) -> &'static str {
    let (mut simplified, mut traditional) = (0_u64, 0_u64);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        match SIDES.get(&c) {
            Some(1) => simplified += 1,
            Some(_) => traditional += 1,
            None => {}
        }
    }
    match () {
        _ if simplified > 2 * traditional => "Hans",
        _ if traditional > 2 * simplified => "Hant",
        _ => "Hani",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_told_apart() {
        assert_eq!(spelling("我们学习语言的时候，电脑很有用。"), "Hans");
        assert_eq!(spelling("我們學習語言的時候，電腦很有用。"), "Hant");
        assert_eq!(spelling("学學"), "Hani");
        assert_eq!(spelling("no Han at all"), "Hani");
    }

    #[test]
    fn a_character_of_both_lists_decides_nothing() {
        assert_eq!(SIDES.get(&'换'), Some(&1));
        assert_eq!(SIDES.get(&'我'), None);
        assert!(SIDES.len() > 600, "{}", SIDES.len());
    }
}
