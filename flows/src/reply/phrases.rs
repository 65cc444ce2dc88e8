//! How announcements are worded, by language. Everything in lower case.

use std::sync::LazyLock;

/// The words of one language.
pub(super) struct Language {
    /// Whether words stand apart.
    pub spaced: bool,
    /// What may come before an announcement and says nothing.
    pub leads: Vec<&'static str>,
    /// What begins a clause of purpose, which ends with a comma.
    pub aims: Vec<&'static str>,
    /// `I will`.
    pub openers: Vec<&'static str>,
    /// Looking and telling; of five letters and more also beginnings of words.
    pub verbs: Vec<&'static str>,
    /// Further verbs that items of a plan begin with.
    pub tasks: Vec<&'static str>,
    /// `here is my plan`.
    pub plans: Vec<&'static str>,
    /// What is going on, when the sentence trails off.
    pub under_way: Vec<&'static str>,
    /// Words of sentences that say something after all.
    pub denials: Vec<&'static str>,
    /// The same where a comma parts the sentence: `I looked at it, and it is so`.
    pub claims: Vec<&'static str>,
}

/// Sentences that say nothing, by their first words.
pub(super) const COURTESIES: &[&str] = &[
    "thank you for",
    "thanks for",
    "vielen dank für",
    "merci pour",
    "gracias por",
];

/// Sentences that put off, by their first words.
pub(super) const DELAYS: &[&str] = &[
    "please wait",
    "please hold",
    "please stand by",
    "please give me",
    "give me a moment",
    "one moment",
    "just a moment",
    "stand by",
    "stay tuned",
    "this may take",
    "this will take",
    "this might take",
    "bitte warten",
    "einen moment",
    "un momento",
    "un instant",
];

/// The languages whose announcements are known.
pub(super) static LANGUAGES: LazyLock<[Language; 5]> =
    LazyLock::new(|| [english(), german(), french(), spanish(), chinese()]);

fn list(phrases: &'static str) -> Vec<&'static str> {
    let phrases = phrases.split('|').map(str::trim);
    phrases.filter(|phrase| !phrase.is_empty()).collect()
}

fn english() -> Language {
    Language {
        spaced: true,
        leads: list(
            "sure thing | sure | okay | ok | of course | certainly | absolutely | great | alright | all right | \
             understood | got it | thank you | thanks | hello | hi | perfect | first of all | firstly | first | \
             to begin with | to begin | to start | after that | afterwards | finally | secondly | second | now | \
             next | then | so | and",
        ),
        aims: list(
            "to | in order to | before answering | before i answer | based on | once i have | once i've | as | \
             for this",
        ),
        openers: list(
            "i will | i'll | i am going to | i'm going to | i am about to | i'm about to | i would like to | i'd \
             like to | i plan to | i intend to | i need to | i want to | i have to | i shall | i can now | let me \
             | let us | let's | we will | we'll | we are going to | allow me to | i am now | i'm now | would you \
             like me to | do you want me to | shall i | i am currently | i'm currently | i am reviewing | i'm \
             reviewing | i am looking | i'm looking | i am analyzing | i'm analyzing | i am analysing | i'm \
             analysing | i am checking | i'm checking | i am reading | i'm reading",
        ),
        verbs: list(
            "analys | analyz | review | look | looking | read | reading | examin | start | get started | begin | \
             check | search | explor | investigat | inspect | report back | report on | report my | summari | \
             provide you | provide a | provide an | provide the | provide my | prepare a | prepare my | prepare \
             the | proceed | continu | gather | trace | walk through | walk you | dig | dive | study | understand \
             | identify | scan | map out | compare | collect | evaluat | assess | verify | perform a | perform an \
             | perform the | conduct | locate | find out | find the | find all | take a look | take a closer look \
             | take a deep | go through | go over | get back | get a sense | get an overview | get a better | use \
             the grep | use grep | use glob | use the glob | use the read | use the tool | use the available | \
             use my | run a search | run grep | write up | write the report | write a report | work through | \
             work on | think about | think through | see what | see how | see if | have a look | explain how | \
             explain what | share my | share what | present my | outline | list the | open the",
        ),
        tasks: list(
            "start | report | list | find | map | write up | document the | provide | prepare | present | explain \
             | get | share",
        ),
        // Only one's own: "here is the plan" may be the answer of a flow that plans.
        plans: list(
            "here is my plan | here's my plan | my plan is | my plan | here is my approach | here's my approach | my approach | here is how i \
             will | here's how i'll | here's how i will | here are the steps i | i will do the following | i'll \
             do the following | i will proceed as follows | i'll proceed as follows | i will follow these steps | \
             i'll follow these steps | i will take the following steps | i'll take the following steps",
        ),
        under_way: list(
            "analyzing | analysing | reviewing | examining | looking | checking | reading | investigating | \
             exploring | searching | scanning | starting | gathering | working on | thinking | loading | \
             processing",
        ),
        denials: list(
            "not | no | none | nothing | never | cannot | without | missing | unable | because | but | however | \
             although | found | assume | conclude | therefore | thus | means | fails | failed | seems",
        ),
        claims: list("is | are | was | were | does | do | has | have | so"),
    }
}

fn german() -> Language {
    Language {
        spaced: true,
        leads: list(
            "gerne | gern | klar | natürlich | selbstverständlich | okay | ok | alles klar | verstanden | hallo | \
             danke | zuerst | zunächst | als erstes | als nächstes | dann | danach | anschließend | schließlich | \
             nun | jetzt | also | und | im folgenden | gut",
        ),
        aims: list("um | bevor"),
        openers: list(
            "ich werde | werde ich | ich beginne | beginne ich | ich fange | fange ich | ich schaue | schaue ich \
             | ich sehe mir | sehe ich mir | ich analysiere | analysiere ich | ich prüfe | prüfe ich | ich \
             untersuche | untersuche ich | ich lese | lese ich | ich starte | starte ich | ich möchte | möchte \
             ich | ich will | lass mich | lassen sie mich | lass uns | lassen sie uns | wir werden | werden wir | \
             ich verschaffe mir | soll ich",
        ),
        verbs: list(
            "analys | prüfe | überprüf | untersuch | anschau | anseh | schau | sehe mir | sehe ich mir | beginn | \
             starte | fange | anfangen | lese | lesen | einlesen | durchseh | durchgeh | durchsuch | berichte | \
             suche | suchen | zusammenfass | verschaff | erkund | bewerte | betracht | liefer | melde | \
             identifizier | vorstell | erstell | durchführ | verschaffen",
        ),
        tasks: list("code | ergebnisse | den code | die ergebnisse"),
        plans: list(
            "hier ist mein plan | mein plan | mein vorgehen | ich gehe wie folgt vor | so gehe ich vor",
        ),
        under_way: list("analysiere | prüfe | untersuche | lese | suche"),
        denials: list(
            "nicht | kein | keine | keinen | keinem | keiner | ohne | nichts | aber | jedoch | weil | fehlt | \
             fehlen | leider | daher | deshalb",
        ),
        claims: list(""),
    }
}

fn french() -> Language {
    Language {
        spaced: true,
        leads: list(
            "d'accord | bien sûr | très bien | bien entendu | entendu | tout d'abord | d'abord | ensuite | puis | \
             enfin | maintenant | bonjour | merci | parfait | et | ok | dans un premier temps | pour commencer | \
             bien",
        ),
        aims: list("pour | afin de | avant de"),
        openers: list(
            "je vais | je commence | je commencerai | je procède | je regarde | j'analyse | j'examine | \
             j'analyserai | j'examinerai | je vérifie | je lis | laissez-moi | laisse-moi | commençons | \
             permettez-moi | nous allons | examinons | analysons | regardons",
        ),
        verbs: list(
            "analys | examin | commen | lire | vérifi | regard | étudi | cherch | recherch | explor | passer en \
             revue | revoir | inspect | procéd | parcour | présent | fournir | faire un rapport | résumer | \
             identifi | évalu | consult | débuter | je lis",
        ),
        tasks: list("lister | rédiger"),
        plans: list("voici mon plan | mon plan | voici ma démarche | voici comment je vais"),
        under_way: list("analyse en cours | je regarde"),
        denials: list(
            "ne | pas | aucun | aucune | sans | mais | rien | car | cependant | donc | manque | parce",
        ),
        claims: list(""),
    }
}

fn spanish() -> Language {
    Language {
        spaced: true,
        leads: list(
            "claro que sí | claro | por supuesto | de acuerdo | entendido | primero | luego | después | ahora | a \
             continuación | finalmente | hola | gracias | muy bien | bien | perfecto | en primer lugar | y | ok",
        ),
        aims: list("para | antes de"),
        openers: list(
            "voy a | vamos a | déjame | déjeme | dejame | permíteme | permítame | permitame | comenzaré | \
             empezaré | analizaré | revisaré | examinaré | procederé | buscaré | leeré | iré | comienzo | empiezo \
             | comencemos | empecemos | estoy analizando | estoy revisando",
        ),
        verbs: list(
            "analiz | revis | examin | leer | leeré | comenz | comien | comenc | empez | empie | empec | busca | \
             explor | inform | investig | verific | mirar | echar un vistazo | estudi | evalu | proced | \
             identific | inspeccion | present | proporcion | resumir | consult",
        ),
        tasks: list("listar | redactar"),
        plans: list("este es mi plan | aquí está mi plan | mi plan | aquí tienes mi plan"),
        under_way: list("analizando | revisando | buscando | leyendo"),
        denials: list("no | ni | sin | pero | ningún | ninguno | ninguna | nada | porque | falta"),
        claims: list(""),
    }
}

fn chinese() -> Language {
    Language {
        spaced: false,
        leads: list(
            "请稍等 | 请稍候 | 稍等 | 好的 | 好 | 当然 | 明白了 | 明白 | 没问题 | 收到 | 首先 | 接下来 | 接着 | 然后 | 现在 | 最后 | 那么",
        ),
        aims: list("为了 | 在回答之前"),
        openers: list(
            "我将 | 我会 | 我先 | 我来 | 我要 | 我现在 | 我准备 | 我打算 | 我首先 | 我这就 | 我接下来 | 让我 | 接下来我 | 首先我 | 我们先 | 我们来 | 我正在 | \
             请让我",
        ),
        verbs: list(
            "分析 | 查看 | 检查 | 审查 | 阅读 | 开始 | 研究 | 看看 | 看一下 | 搜索 | 探索 | 报告 | 评估 | 了解 | 调查 | 梳理 | 浏览 | 读取 | 汇报 | 回复 | \
             总结 | 制定 | 查找",
        ),
        tasks: list("列出 | 整理 | 确认 | 提交"),
        plans: list("以下是我的计划 | 我的计划 | 计划如下 | 这是我的计划"),
        under_way: list("正在分析 | 正在查看 | 正在检查"),
        denials: list("没 | 不 | 未 | 无 | 但 | 因为 | 否 | 所以 | 是因 | 发现了"),
        claims: list(""),
    }
}
