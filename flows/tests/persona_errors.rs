//! Every kind of error in a persona's file.

use conductor_flows::{Persona, builtin_personas};

#[test]
fn personas_have_their_form() {
    let good = "---\nname: p\ndescription: \"Does: it\"\nprefix: P\n---\n\nBody.\n";
    let persona = Persona::parse("p.md", good).unwrap();
    assert_eq!(
        (persona.description.as_str(), persona.body.as_str()),
        ("Does: it", "Body.")
    );
    assert_eq!(
        Persona::parse("p.md", &good.replace('\n', "\r\n")).unwrap(),
        persona
    );
    for (text, kind, field) in [
        ("Body.", "syntax", ""),
        ("---\nname: p\n", "syntax", ""),
        ("---\nname p\n---\nx", "syntax", "front matter"),
        ("---\nnmae: p\n---\nx", "unknown_key", "nmae"),
        ("---\nname: p\nname: p\n---\nx", "duplicate_id", "name"),
        ("---\nname: p\nprefix: P\n---\nx", "missing", "description"),
        (&good.replace("Body.", ""), "empty", "body"),
        (&good.replace("name: p", "name: P!"), "bad_id", "name"),
        (&good.replace("name: p", "name: q"), "name_mismatch", "name"),
        (
            &good.replace("prefix: P", "prefix: p1"),
            "bad_prefix",
            "prefix",
        ),
    ] {
        let error = Persona::parse("p.md", text).unwrap_err();
        assert_eq!((error.kind(), error.field()), (kind, field), "{error}");
        assert!(!error.cure().is_empty());
    }
    assert!(builtin_personas().all().count() > 0);
}
