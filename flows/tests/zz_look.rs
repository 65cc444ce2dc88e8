mod common;
use conductor_flows::*;
#[test]
fn look() {
    for p in builtin_problems() { println!("PROBLEM {p} / {}", p.cure()); }
    let d = builtin_flow("architectural-analysis").unwrap();
    let mut l = common::launch(Band::Medium);
    l.fast = true; l.base = Some("main"); l.documents = common::documents();
    let e = expand(d, &l, builtin_personas()).unwrap();
    println!("{}", common::template(&e, "validation").replace('\u{1}', "¤"));
    println!("{}", serde_json::to_string_pretty(&e.plan).unwrap());
}
