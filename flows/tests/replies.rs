//! Replies as models write them, and what they are worth.

use conductor_flows::reply::{Assessment, assess};

const QUESTION: &str =
    "How does a lease work in this project, and what happens when two workers claim the same task?";

fn is_useless(output: &str) -> bool {
    matches!(assess(QUESTION, output), Assessment::Useless { .. })
}

fn note(question: &str, output: &str) -> Option<String> {
    match assess(question, output) {
        Assessment::Good { note } => note,
        Assessment::Useless { why } => panic!("{why}"),
    }
}

const PROMISES: &[&str] = &[
    "I will now analyse the code.",
    "I will now analyze the codebase and provide a detailed report.",
    "Let me start by looking at the project structure.",
    "I'll review the code and report back",
    "I’ll begin by examining the main files to understand how leases work.",
    "Sure! I'll review the code and report back shortly.",
    "Certainly. Let me take a look at the repository first.",
    "Okay, let me read the relevant files.\n\nI'll start with `src/lease.rs`.",
    "To answer this question, I will first look at the lease module. Then I'll check the tests.",
    "I need to look at the code first.",
    "I'm going to search for all usages of the lease.",
    "Now let me check the remaining files:",
    "Let's explore the codebase to understand how it is structured.",
    "**I will examine the code** and then summarize my findings.",
    "Please wait while I analyze the repository.",
    "Let me look at the project structure and
read the relevant files.",
    "Here is my plan: 1. Read the code. 2. Identify the issues. 3. Report back.",
    "Here's my plan:\n\n1. Review the lease module\n2. Check the tests\n3. Summarize the findings\n",
    "I'll proceed as follows:\n- Look at the directory structure\n- Read the key files\n- Provide a report\n\nLet me start.",
    "Would you like me to proceed with the analysis?",
    "Analyzing the repository structure...",
    "I am currently reviewing the files. This may take a moment.",
    "> Let me start by exploring the project.",
    "Ich werde jetzt den Code analysieren.",
    "Gerne! Ich werde mir den Code ansehen und dann berichten.",
    "Zunächst werde ich die Projektstruktur untersuchen. Danach prüfe ich die Tests.",
    "Lass mich zuerst die Dateien lesen.",
    "Hier ist mein Plan:\n1. Code lesen\n2. Ergebnisse zusammenfassen",
    "Je vais maintenant analyser le code.",
    "D'accord, je vais commencer par examiner la structure du projet.",
    "Laissez-moi d'abord regarder les fichiers.",
    "Voy a analizar el código ahora.",
    "Claro, primero voy a revisar la estructura del proyecto.",
    "Permítame examinar los archivos.",
    "我将分析代码。",
    "好的，我先查看一下项目结构，然后给出报告。",
    "让我开始检查这个仓库。",
    "首先，我会阅读代码。接下来我将总结结果。",
];

const ANSWERS: &[&str] = &[
    "I will look at the code.\nLeases end after 60 seconds",
    "I will look at the code\nLeases end after 60 seconds",
    "NO FINDINGS",
    "Not settled: no evidence",
    "{}",
    "[]",
    "{\"groups\": []}",
    "No.",
    "Yes",
    "42",
    "✅",
    "OK",
    "None.",
    "Nothing found.",
    "漢字",
    "A lease ends after 60 seconds.",
    "I found no issue in the code.",
    "I will not report anything, because the evidence is missing.",
    "I'll review the code: a lease ends after 60 seconds unless the worker renews it.",
    "I'll answer with what I read. The lease is renewed by the heartbeat.",
    "Let me summarize. A lease is a row with an owner and an end.",
    "Let me be clear: two workers cannot claim one task.",
    "Yes. I will check the tests as well.",
    "I looked at the code, and the lease is renewed every 20 seconds.",
    "I cannot look at the files: the tool was denied.",
    "I was unable to read src/lease.rs.",
    "I need the document that the question names; it was not provided.",
    "I would like to see more tests here.",
    "I will review S1 and S2 below.\n\nS1 holds.",
    "Let me look at src/lease.rs:12, where the lease ends.",
    "## Summary\nI will now analyse the code.",
    "```json\n{\"plan\": []}\n```",
    "| finding | verdict |\n|---|---|\n| let me check | no |",
    "Here is my plan: 1. Add a column `lease_until`. 2. Backfill it. 3. Drop the old one.",
    "Here is the plan:\n1. Read the column in task_claim\n2. Add an index on it",
    "Here is the plan:\n\n1. Review the schema and add a unique index on run_id.\n2. Check that every caller passes a lease.",
    "My plan is to keep the table as it stands.",
    "First, the worker claims a task. Then it renews the lease.",
    "Start with the heartbeat: it renews leases.",
    "Check the heartbeat interval before changing the lease.",
    "Review the retry path.",
    "The reviewer will look at it.",
    "We will see leases expire when the clock jumps.",
    "Keine Befunde.",
    "Ich sehe keine Probleme im Code.",
    "Der Lease läuft nach 60 Sekunden ab.",
    "Ich werde nichts berichten, weil Belege fehlen.",
    "Rien à signaler.",
    "Je ne vais pas analyser ce fichier : il n'existe pas.",
    "No hay hallazgos.",
    "Voy a analizar el código, pero no existe.",
    "没有发现问题。",
    "我没有找到任何证据。",
    "租约在60秒后到期。",
    "Confidence: high",
    "refuted",
    "V1: confirmed",
];

#[test]
fn a_promise_is_no_result() {
    for text in PROMISES {
        let Assessment::Useless { why } = assess(QUESTION, text) else {
            panic!("taken for an answer: {text:?}");
        };
        assert!(why.starts_with("the reply was only a promise: \""), "{why}");
    }
}

#[test]
fn a_short_answer_is_an_answer() {
    for text in ANSWERS {
        assert!(!is_useless(text), "taken for useless: {text:?}");
    }
}

#[test]
fn nothing_and_markup_say_which_they_are() {
    for (text, wanted) in [
        ("", "the reply was empty"),
        (" \n\t\u{a0}\n", "the reply was empty"),
        ("```\n```", "the reply held only markup, no words"),
        ("<br/>\n---\n", "the reply held only markup, no words"),
        (
            "<think>\nI will look.\n</think>\n\n",
            "the reply held only thoughts, no answer",
        ),
    ] {
        assert_eq!(
            assess(QUESTION, text),
            Assessment::Useless { why: wanted.into() },
            "{text:?}"
        );
    }
}

#[test]
fn a_quoted_promise_is_one_short_line() {
    let text = format!(
        "I will now analyse\nthe \u{1b}[2J code {}",
        "and the tests ".repeat(60)
    );
    let Assessment::Useless { why } = assess(QUESTION, &text) else {
        panic!("it is a promise");
    };
    assert!(
        why.chars().count() < 170 && !why.contains(['\n', '\u{1b}']),
        "{why:?}"
    );
    assert!(why.ends_with("…\""), "{why}");
}

#[test]
fn a_long_text_of_promises_is_left_to_its_readers() {
    assert!(!is_useless(&"I will look at the code. ".repeat(100)));
}

const ENGLISH: &str = "## Summary\nA lease is a row that names an owner and an end. The worker renews it with every \
    heartbeat, and when it stops to do so the task is given to another one.\n\n## Findings\n### S1. Two workers cannot hold one lease\n\
    - Where: `src/lease.rs:12`\n- Evidence (codebase): `src/lease.rs:12` \"let lease = claim()\"\n- Consequence: the second one waits until the first is done.\n";
const GERMAN: &str = "## Summary\nEin Lease ist eine Zeile, die einen Besitzer und ein Ende nennt. Der Worker erneuert sie mit jedem \
    Heartbeat, und wenn er das nicht mehr tut, bekommt ein anderer die Aufgabe.\n\n## Findings\n### S1. Zwei Worker können keinen Lease gemeinsam halten\n\
    - Where: `src/lease.rs:12`\n- Evidence (codebase): `src/lease.rs:12` \"let lease = claim()\"\n- Consequence: der zweite wartet, bis der erste fertig ist.\n";
const CHINESE: &str = "## Summary\n租约是一行记录，包含所有者和到期时间。工作进程在每次心跳时续约，如果它停止续约，任务就会交给另一个进程。\n\n## Findings\n\
    ### S1. 两个进程不能同时持有租约\n- Where: `src/lease.rs:12`\n";

#[test]
fn another_language_is_noted() {
    for (question, reply, wanted) in [
        (
            QUESTION,
            GERMAN,
            "the reply is in German, the question in English",
        ),
        (
            QUESTION,
            CHINESE,
            "the reply is in Chinese, the question in English",
        ),
        (
            "How does a lease work?",
            CHINESE,
            "the reply is in Chinese, the question in English",
        ),
        (
            "How does a lease work?",
            GERMAN,
            "the reply is in German, the question in English",
        ),
        (
            "Lease handling",
            CHINESE,
            "the reply is in Chinese, the question is not",
        ),
        (
            "租约是如何工作的？两个进程会怎样？",
            ENGLISH,
            "the reply is in English, the question in Chinese",
        ),
        (
            "Wie funktioniert ein Lease, und was ist, wenn er abläuft?",
            ENGLISH,
            "the reply is in English, the question in German",
        ),
    ] {
        assert_eq!(note(question, reply).as_deref(), Some(wanted), "{question}");
    }
}

#[test]
fn the_same_language_and_unclear_ones_are_not_noted() {
    let identifiers = "- `claim_task`, lease_until, TaskRunner, workerPool, src/a.rs, src/b.rs, SELECT, id, uuid, jsonb\n".repeat(20);
    let quotes = format!(
        "The README says so:\n\n> {}\n",
        "Der Lease läuft nach sechzig Sekunden ab und wird dann neu vergeben. ".repeat(5)
    );
    let code = format!(
        "See the code below, it is what the question asks for.\n```\n{}\n```\n",
        "für alle die und das ist nicht wahr ".repeat(10)
    );
    for (question, reply) in [
        (QUESTION, ENGLISH),
        ("How does a lease work?", ENGLISH),
        ("Lease?", GERMAN),
        ("retry path safe under load", GERMAN),
        ("Wie funktioniert ein Lease in diesem Projekt?", GERMAN),
        ("租约是如何工作的？", CHINESE),
        (QUESTION, "NO FINDINGS"),
        (QUESTION, "Keine Befunde."),
        (QUESTION, identifiers.as_str()),
        (QUESTION, quotes.as_str()),
        (QUESTION, code.as_str()),
        (
            QUESTION,
            "{\"summary\": \"Ein Lease ist eine Zeile, die einen Besitzer und ein Ende nennt und dann abläuft, wenn niemand sie erneuert.\"}",
        ),
        ("", GERMAN),
    ] {
        assert_eq!(note(question, reply), None, "{question}: {reply}");
    }
}

#[test]
fn no_reply_is_a_panic() {
    proptest::proptest!(|(text in "(I will |look|1\\. |: |。|我将|查看|<think>|</think>|`|\"|„|\n|```|\\PC|[\\x00-\\x7f]){0,60}")| {
        assess(QUESTION, &text);
        assess(&text, GERMAN);
    });
}
